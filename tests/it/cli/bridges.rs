//! `passmint bridges …`: bridges from files, stopped in an emergency, with keys that are only read from files.

use std::fs;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use passmint::tokens::keys::{Algorithm, KeyMaterial};

use super::{Operator, eventually, server_with_key};
use crate::support::tokens::header;
use crate::support::{Options, TestApp, master_key_file};

const BACKEND: &str = "preset = \"jwt\"\naudience = \"https://target.example\"\nlifetime = \"2m\"\n[claims]\nrole = \"member\"\n\
                       [allow]\nmin_acr = \"phr\"\nmax_auth_age = \"1h\"\n";

fn minted(app: &TestApp, access: &str) -> Option<String> {
    let reply = app.client("web").bearer("POST", "/v1/bridges/backend/token", access).send();
    (reply.status == 200).then(|| reply.json()["token"].as_str().unwrap().to_owned())
}

#[test]
fn a_bridge_is_made_changed_stopped_and_deleted_beside_a_running_server() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let (_, _, tokens) = app.person_with_tokens("openid bridge:backend");
    operator.write("backend.toml", BACKEND);
    assert!(operator.ok(&["bridges", "create", "backend", "--file", "backend.toml"]).contains("`backend` is made"));
    eventually("the server follows", || minted(&app, &tokens.access).is_some());
    let again = operator.refused(&["bridges", "create", "backend", "--file", "backend.toml"]);
    assert!(again.contains("A bridge with this name already exists"), "{again}");
    let listed = operator.json(&["bridges", "list"]);
    assert_eq!((&listed[0]["name"], &listed[0]["definition"]["lifetime"]), (&"backend".into(), &120.into()));
    assert_eq!(listed[0]["verified"], "live");
    let table = operator.ok(&["bridges", "list"]);
    assert!(
        table.contains("VERIFIED") && table.contains("live") && table.contains("a key of its own, ES256"),
        "{table}"
    );
    let shown = operator.ok(&["bridges", "show", "backend"]);
    assert!(shown.contains("verified:") && shown.contains("live: "), "{shown}");
    assert_eq!(operator.json(&["bridges", "show", "backend"])["verified"], "live");
    assert!(shown.contains("/v1/bridges/backend/jwks.json") && shown.contains("\"max_auth_age\": 3600"), "{shown}");
    assert_eq!(operator.json(&["bridges", "test", "backend"])[0]["claims"]["role"], "member");

    // A key that was made elsewhere, from a file.
    let key = KeyMaterial::generate(Algorithm::ES256).unwrap();
    let body = STANDARD.encode(key.secret().expose());
    operator.write("key.pem", &format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"));
    operator.ok(&["bridges", "update", "backend", "--file", "backend.toml", "--key-file", "key.pem"]);
    let signed_with = |kid: &str| minted(&app, &tokens.access).is_some_and(|token| header(&token)["kid"] == kid);
    eventually("it signs", || signed_with(&key.thumbprint()));
    let shown = operator.ok(&["bridges", "show", "backend"]);
    assert!(shown.contains(&key.thumbprint()) && !shown.contains(&body), "{shown}");

    // A secret, with settings in JSON.
    operator.write("secret", &format!("{}\n", "s".repeat(40)));
    operator
        .write("hs.json", r#"{"preset":"jwt","audience":"https://target.example","algorithm":"HS256","lifetime":60}"#);
    operator.ok(&["bridges", "update", "backend", "--file", "hs.json", "--secret-file", "secret"]);
    let symmetric = || minted(&app, &tokens.access).is_some_and(|token| header(&token)["alg"] == "HS256");
    eventually("the secret signs", symmetric);

    // The kill switch.
    assert!(operator.ok(&["bridges", "disable", "backend"]).contains("is stopped"));
    eventually("nothing is minted", || minted(&app, &tokens.access).is_none());
    assert!(operator.ok(&["bridges", "list"]).contains("stopped at "));
    operator.json(&["bridges", "test", "backend"]);
    operator.ok(&["bridges", "enable", "backend"]);
    eventually("it mints again", || minted(&app, &tokens.access).is_some());
    operator.ok(&["bridges", "delete", "backend"]);
    eventually("it is gone", || minted(&app, &tokens.access).is_none());
    assert!(operator.refused(&["bridges", "show", "backend"]).contains("no bridge is named `backend`"));
    assert_eq!(app.events("bridge.changed"), 6, "made, changed twice, stopped, let go, deleted");
}

#[test]
fn what_is_wrong_is_told_by_name_and_changes_nothing() {
    const DECLARED: &str = "[bridges.target]\npreset = \"jwt\"\naudience = \"https://target.example\"\n";
    let app = TestApp::with(&Options { config: DECLARED, ..Options::default() });
    let operator = Operator::of(&app);
    operator.write("passmint.toml", DECLARED);
    operator.write("good.toml", BACKEND);
    operator.write("unknown.toml", &BACKEND.replace("lifetime", "livetime"));
    operator.write("reserved.toml", &BACKEND.replace("role", "iss"));
    operator.write("secret_file.toml", &format!("secret_file = \"/run/secrets/x\"\n{BACKEND}"));
    operator.write("key_file.toml", &format!("key_file = \"/run/secrets/x\"\n{BACKEND}"));
    operator.write("account.json", r#"{ "preset": "firebase", "service_account_file": "/run/secrets/x" }"#);
    let public = KeyMaterial::generate(Algorithm::ES256).unwrap().public().unwrap().to_pem();
    operator.write("public.pem", &public);
    operator.write("garbage", "hunter2");
    operator.write("short", "short");
    operator.write("large.toml", &"#".repeat(300 * 1024));
    for (name, arguments, expected) in [
        ("no file", &["x", "--file", "none.toml"][..], "none.toml cannot be read"),
        ("an unknown setting", &["x", "--file", "unknown.toml"], "livetime"),
        ("a reserved claim", &["x", "--file", "reserved.toml"], "definition.claims.iss"),
        ("neither TOML nor JSON", &["x", "--file", "garbage"], "not TOML"),
        ("large", &["x", "--file", "large.toml"], "larger than"),
        ("a name", &["X", "--file", "good.toml"], "a name is 1 to 63"),
        ("no key", &["x", "--file", "good.toml", "--key-file", "garbage"], "neither a PEM block"),
        ("a short secret", &["x", "--file", "good.toml", "--secret-file", "short"], "at least 32 bytes"),
        ("a key that is no secret", &["x", "--file", "good.toml", "--secret-file", "public.pem"], "no secret"),
        ("a secret of the configuration", &["x", "--file", "secret_file.toml"], "with `--secret-file`"),
        ("a key of the configuration", &["x", "--file", "key_file.toml"], "with `--key-file`"),
        ("an account of the configuration", &["x", "--file", "account.json"], "with `--key-file`"),
        ("declared", &["target", "--file", "good.toml"], "is declared by"),
    ] {
        let told = operator.refused(&[&["bridges", "create"], arguments].concat());
        assert!(told.contains(expected) && !told.contains("hunter2"), "{name}: {told}");
    }
    for arguments in [&["update", "target", "--file", "good.toml"][..], &["delete", "target"]] {
        let told = operator.refused(&[&["bridges"], arguments].concat());
        assert!(told.contains("It is declared by test"), "{told}");
    }
    assert!(operator.refused(&["bridges", "disable", "none"]).contains("There is no bridge `none`"));
    assert_eq!(app.count("SELECT count(*) AS n FROM bridges"), 1);
    operator.ok(&["bridges", "disable", "target"]);
    assert_eq!(app.count("SELECT count(*) AS n FROM bridges WHERE stopped_by = 'command line'"), 1);
}

/// An imported key is resealed with all others when the master key changes; the running server continues with it, and
/// follows the next one.
#[test]
fn an_imported_key_survives_another_master_key() {
    let machine = Operator::new();
    let file = machine.path("near.key");
    fs::copy(master_key_file(), &file).unwrap();
    let app = server_with_key(&file, None);
    let mut operator = Operator::of(&app);
    operator.set("PASSMINT_MASTER_KEY_FILE", &file.display().to_string());
    operator.write("backend.toml", &format!("algorithm = \"HS256\"\n{BACKEND}"));
    operator.write("secret", &"s".repeat(32));
    operator.write("other", &"o".repeat(32));
    let (_, _, tokens) = app.person_with_tokens("openid bridge:backend");
    operator.ok(&["bridges", "create", "backend", "--file", "backend.toml", "--secret-file", "secret"]);
    eventually("it mints", || minted(&app, &tokens.access).is_some());
    let signed_by = |secret: &str, token: &str| {
        let (message, signature) = token.rsplit_once('.').unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.repeat(32).as_bytes());
        hmac::verify(&key, message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).is_ok()
    };
    let mints_with = |secret: &str| minted(&app, &tokens.access).is_some_and(|token| signed_by(secret, &token));
    assert!(mints_with("s") && !mints_with("o"));
    let sealed = "SELECT count(*) AS n FROM bridges WHERE sealed_key IS NOT NULL AND version = 1";
    assert_eq!(app.count(sealed), 1);
    operator.ok(&["keys", "rewrap", "--new-key-file", &operator.path("new.key").display().to_string()]);
    assert_eq!(app.count(sealed), 1, "the same key, only sealed anew");
    let tried = operator.json(&["bridges", "test", "backend"]);
    assert!(signed_by("s", tried[0]["token"].as_str().unwrap()));
    assert!(mints_with("s"));
    operator.ok(&["bridges", "update", "backend", "--file", "backend.toml", "--secret-file", "other"]);
    eventually("another key signs", || mints_with("o"));
}

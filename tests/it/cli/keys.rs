//! `passmint keys …`, with servers that follow.

use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use passmint::tokens::keys::{Algorithm, KeyMaterial};
use passmint::tokens::seal::{GroupReadable, MasterKey};
use serde_json::Value;

use super::{Operator, eventually, server_with_key, within};
use crate::support::{Database, Options, TestApp, introspect, master_key_file};

fn kids(app: &TestApp) -> Vec<String> {
    let document = app.request("GET", "/.well-known/jwks.json").send().expect(200).json();
    document["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// The key that signs access tokens, according to the operator's list.
fn signer(operator: &Operator) -> String {
    let list = operator.json(&["keys", "list"]);
    let signs = |key: &&Value| key["purpose"] == "tokens" && key["algorithm"] == "ES256" && key["state"] == "signing";
    list.as_array().unwrap().iter().find(signs).expect("a key signs")["kid"].as_str().unwrap().to_owned()
}

fn kid_of(token: &str) -> String {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

#[test]
fn a_running_server_follows_rotation_and_revocation() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let (_, mut passkey) = app.person();
    let before = app.client("web").sign_in(&mut passkey, "openid").expect(200).json();
    let before = before["accessToken"].as_str().unwrap().to_owned();
    let old = signer(&operator);
    assert_eq!(kid_of(&before), old);

    let told = operator.ok(&["keys", "rotate", "--purpose", "tokens", "--algorithm", "ES256", "--now"]);
    assert!(told.contains(&format!("{old} verifies until")), "{told}");
    let new = signer(&operator);
    assert_ne!(new, old);
    eventually("the new key is published", || kids(&app).contains(&new));
    assert!(kids(&app).contains(&old), "the old one still verifies");
    let after = app.client("web").sign_in(&mut passkey, "openid").expect(200).json();
    assert_eq!(kid_of(after["accessToken"].as_str().unwrap()), new);
    assert_eq!(introspect(&app, &before)["active"], true);

    operator.ok(&["keys", "revoke", &old]);
    eventually("the old key is withdrawn", || !kids(&app).contains(&old));
    assert_eq!(introspect(&app, &before)["active"], false);
    assert!(operator.refused(&["keys", "revoke", &old]).contains("was revoked at"));
    // A key's id may begin with a hyphen: it is a thumbprint in base64url.
    for unknown in ["nothing", "-nothing", "--nothing"] {
        let said = operator.refused(&["keys", "revoke", unknown]);
        assert!(said.contains("`passmint keys list` shows all of them"), "{said}");
    }
    // Added, retired, revoked.
    assert_eq!(app.events("key.changed"), 3);
}

#[test]
fn without_haste_the_next_key_is_published_first() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let old = signer(&operator);
    operator.ok(&["keys", "rotate", "--purpose", "tokens", "--algorithm", "ES256"]);
    eventually("two keys of each algorithm but RSA", || kids(&app).len() == 3);
    assert_eq!(signer(&operator), old, "the old one signs for another ten minutes");
    let again = operator.ok(&["keys", "rotate", "--purpose", "tokens", "--algorithm", "ES256"]);
    assert!(again.contains("--now lets it sign at once"), "{again}");
    let refusal = operator.refused(&["keys", "rotate", "--purpose", "bridge:none"]);
    assert!(refusal.contains("there is tokens ES256, tokens RS256, refresh HS256"), "{refusal}");
}

/// `passmint keys rewrap` changes the master key while servers run. The server on the same machine picks the new key
/// up. One elsewhere continues with what it has, follows revocations, and stops only at a key that it cannot open.
#[test]
fn running_servers_survive_a_change_of_the_master_key() {
    let machines = Operator::new();
    let (near_key, far_key) = (machines.path("near.key"), machines.path("far.key"));
    for file in [&near_key, &far_key] {
        fs::copy(master_key_file(), file).unwrap();
    }
    let near = server_with_key(&near_key, None);
    let far = server_with_key(&far_key, Some(&near));
    let mut operator = Operator::of(&near);
    operator.set("PASSMINT_MASTER_KEY_FILE", &near_key.display().to_string());
    let (_, mut passkey) = near.person();
    let tokens = near.client("web").sign_in(&mut passkey, "openid").expect(200).json();
    let refresh = tokens["refreshToken"].as_str().unwrap();
    let first = near.client("web").refresh(refresh).expect(200).json();
    let retired = signer(&operator);
    operator.ok(&["keys", "rotate", "--purpose", "tokens", "--algorithm", "ES256", "--now"]);

    let new_key = operator.path("new.key").display().to_string();
    let told = operator.ok(&["keys", "rewrap", "--new-key-file", &new_key]);
    assert!(told.contains("sealed 4 keys"), "{told}");
    assert_eq!(fs::read(&new_key).unwrap(), fs::read(&near_key).unwrap(), "put in its place");
    assert_eq!(near.events("master_key.changed"), 1);
    // A retry after a lost answer gets the same successor as before the change.
    let again = near.client("web").refresh(refresh).expect(200).json();
    assert_eq!(again["refresh_token"], first["refresh_token"]);

    operator.ok(&["keys", "revoke", &retired]);
    eventually("both follow a revocation", || [&near, &far].iter().all(|app| !kids(app).contains(&retired)));
    operator.ok(&["keys", "rotate", "--purpose", "tokens", "--algorithm", "ES256", "--now"]);
    let newest = signer(&operator);
    eventually("the near one opens what is sealed under the new key", || kids(&near).contains(&newest));
    assert!(!kids(&far).contains(&newest));
    within(Duration::from_secs(10), "the far one is not ready", &mut || {
        far.request("GET", "/readyz").send().status == 503
    });
    fs::copy(&new_key, &far_key).unwrap();
    eventually("the far one is ready again", || {
        far.request("GET", "/readyz").send().status == 200 && kids(&far).contains(&newest)
    });

    // A restart finds its keys, and with the old key says what is wrong.
    drop(near);
    let restarted = server_with_key(&near_key, Some(&far));
    assert!(kids(&restarted).contains(&newest));
    let old_key = fs::read_dir(machines.path(".")).unwrap().flatten().map(|entry| entry.path());
    let old_key = old_key.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("near.key."));
    let old_key = old_key.collect::<Vec<_>>();
    assert_eq!(old_key.len(), 1, "the old key is kept");
    operator.set("PASSMINT_MASTER_KEY_FILE", &old_key[0].display().to_string());
    let refusal = operator.refused(&["keys", "rotate"]);
    assert!(refusal.contains("but the database is sealed with"), "{refusal}");
}

#[test]
fn a_rewrap_that_would_change_nothing_is_refused() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let same = operator.path("master.key").display().to_string();
    assert!(operator.refused(&["keys", "rewrap", "--new-key-file", &same]).contains("is the file of the master key"));
    let copy = operator.path("copy.key").display().to_string();
    fs::copy(&same, &copy).unwrap();
    assert!(operator.refused(&["keys", "rewrap", "--new-key-file", &copy]).contains("holds the master key in use"));
    assert_eq!(app.events("master_key.changed"), 0);
}

/// Once the database is sealed under it, the file of the new key may be its only copy.
#[test]
fn a_rewrap_never_loses_the_new_key() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let load = |path: &Path| MasterKey::load(path, GroupReadable::Refused).unwrap().id();
    let old = load(&operator.path("master.key"));
    // Nothing can be stored there, so the old file stays in its place.
    let kept = operator.path(&format!("master.key.{old}"));
    let refusal = operator.refused(&["keys", "rewrap", "--new-key-file", &kept.display().to_string()]);
    assert!(refusal.contains("is where the old master key is kept: name another file"), "{refusal}");
    fs::create_dir(&kept).unwrap();
    let new_file = operator.path("master.key.new");
    let told = operator.ok(&["keys", "rewrap", "--new-key-file", &new_file.display().to_string()]);
    assert!(told.contains("could not be replaced") && told.contains("put "), "{told}");
    assert_eq!(load(&operator.path("master.key")), old, "as it was");
    let new = load(&new_file);
    assert_ne!(new, old);

    fs::copy(&new_file, operator.path("master.key")).unwrap();
    operator.ok(&["keys", "rotate", "--purpose", "refresh", "--now"]);
    // The same again with nothing in the way: both files hold the new key, and the old one is kept.
    fs::remove_file(&new_file).unwrap();
    operator.ok(&["keys", "rewrap", "--new-key-file", &new_file.display().to_string()]);
    assert_eq!(load(&operator.path("master.key")), load(&new_file));
    assert_eq!(load(&operator.path(&format!("master.key.{new}"))), new);
}

/// The procedure that the configuration reference describes for a database of one's own.
#[test]
fn the_master_key_of_a_named_database_is_made_once() {
    let database = Database::empty();
    let mut operator = Operator::new();
    operator.set("DATABASE_URL", database.url());
    let refusal = operator.refused(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(refusal.contains("run `passmint keys init`"), "{refusal}");
    let told = operator.ok(&["keys", "init"]);
    assert!(told.starts_with("made master key ") && told.contains("PASSMINT_MASTER_KEY_FILE"), "{told}");
    let id = told.split_whitespace().nth(3).unwrap().to_owned();

    let again = operator.refused(&["keys", "init"]);
    assert!(again.contains(&format!("has master key {id} already, and keys/master.key holds it")), "{again}");
    operator.set("PASSMINT_MASTER_KEY_FILE", &operator.path("other.key").display().to_string());
    let elsewhere = operator.refused(&["keys", "init"]);
    assert!(elsewhere.contains(&id) && elsewhere.contains("copy that key's file"), "{elsewhere}");
    assert!(!operator.path("other.key").exists());
    let missing = operator.refused(&["keys", "rotate"]);
    assert!(missing.contains("other.key does not exist"), "{missing}");
}

#[test]
fn a_key_file_that_exists_is_never_overwritten() {
    let database = Database::empty();
    let mut operator = Operator::new();
    operator.set("DATABASE_URL", database.url());
    fs::create_dir(operator.path("keys")).unwrap();
    operator.write("keys/master.key", "precious");
    assert!(operator.refused(&["keys", "init"]).contains("exists already and was left alone"));
    assert_eq!(fs::read_to_string(operator.path("keys/master.key")).unwrap(), "precious");
}

#[test]
fn imported_keys_sign_after_they_were_published() {
    let bridge = "[bridges.demo]\npreset = \"jwt\"\naudience = \"https://target.example\"\nalgorithm = \"EdDSA\"\n";
    let app = TestApp::with(&Options { config: bridge, ..Options::default() });
    let operator = Operator::of(&app);
    operator.write("passmint.toml", bridge);
    let material = KeyMaterial::generate(Algorithm::ES256).unwrap();
    let body = STANDARD.encode(material.secret().expose());
    operator.write("key.pem", &format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"));
    let told = operator.ok(&["keys", "import", "--purpose", "tokens", "key.pem"]);
    assert!(told.contains(&material.thumbprint()), "{told}");
    eventually("it is published", || kids(&app).contains(&material.thumbprint()));
    assert_ne!(signer(&operator), material.thumbprint(), "not yet");

    operator.write("secret.jwk", r#"{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#);
    operator.write("garbage.pem", "garbage");
    for (name, purpose, file, expected) in [
        ("twice", "tokens", "key.pem", "stored already"),
        ("a shared secret", "tokens", "secret.jwk", "not a shared secret"),
        ("a refresh key", "refresh", "key.pem", "nothing to import"),
        ("no such bridge", "bridge:none", "key.pem", "no bridge is named `none`"),
        ("another algorithm", "bridge:demo", "key.pem", "bridge `demo` signs with EdDSA"),
        ("no key", "tokens", "garbage.pem", "not in a form that can be read"),
        ("no file", "tokens", "missing.pem", "cannot be read"),
    ] {
        let refusal = operator.refused(&["keys", "import", "--purpose", purpose, file]);
        assert!(refusal.contains(expected), "{name}: {refusal}");
    }
}

//! Native apps: the documents by which a domain vouches for them, and their ceremonies, which have no `Origin` header.

use serde_json::{Value, json};

use crate::authenticator::Authenticator;
use crate::support::{Options, Reply, TestApp, verify};

/// The guide, whose configuration is tested here.
const GUIDE: &str = include_str!("../../docs/recipes/native-apps.md");

const HOME: &str = "https://id.example.com";
/// The origin that iOS writes into `clientDataJSON`: the RP id, wherever the websites are.
const APPLE: &str = "https://example.com";
/// The same for Android: the fingerprint, in base64url.
const ANDROID: &str = "android:apk-key-hash:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
const PRINT: &str = "E3:B0:C4:42:98:FC:1C:14:9A:FB:F4:C8:99:6F:B9:24:27:AE:41:E4:64:9B:93:4C:A4:95:99:1B:78:52:B8:55";
const OTHERS: &str = "android:apk-key-hash:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The guide's server, with a second relying party, which has no apps.
fn app() -> TestApp {
    let (_, rest) = GUIDE.split_once("```toml\npublic_url = \"https://id.example.com\"\n").expect("its configuration");
    let (config, _) = rest.split_once("```").expect("its end");
    let main = "[relying_parties.main]\n";
    assert!(config.contains(main));
    let config = config.replace(main, &format!("{main}default = true\n"))
        + "[relying_parties.plain]\nrp_id = \"plain.test\"\norigins = [\"https://plain.test\", \"https://www.plain.test\"]\nrelated_origins = [\"https://plain.example\"]\n";
    TestApp::with(&Options { public_url: Some(HOME), config: &config, ..Options::default() })
}

/// A call as the app sends it.
fn post(app: &TestApp, path: &str, body: &Value) -> Reply {
    app.request("POST", path).json(body).send()
}

fn wanted() -> Value {
    json!({ "result": { "kind": "tokens", "clientId": "mobile", "scope": "openid" } })
}

fn signs_up(app: &TestApp, origin: &str) -> (Authenticator, Reply) {
    let mut passkey = Authenticator::synchronised(origin);
    let begun = post(app, "/v1/passkeys/registration/options", &wanted()).expect(200).json();
    assert_eq!(begun["publicKey"]["rp"]["id"], "example.com");
    let answer = passkey.create(&begun["publicKey"]);
    let done = post(app, "/v1/passkeys/registration/verify", &verify(&begun, &answer));
    (passkey, done)
}

#[test]
fn people_sign_up_and_in_by_an_app() {
    let app = app();
    for origin in [APPLE, ANDROID] {
        let (mut passkey, done) = signs_up(&app, origin);
        assert_eq!(done.expect(200).json()["kind"], "tokens", "{origin}");
        let begun = post(&app, "/v1/passkeys/authentication/options", &wanted()).expect(200).json();
        let answer = passkey.get(&begun["publicKey"]);
        let done = post(&app, "/v1/passkeys/authentication/verify", &verify(&begun, &answer)).expect(200).json();
        assert!(done["accessToken"].is_string() && done["refreshToken"].is_string(), "{origin}: {done}");
    }
}

/// An app signed by somebody else is another app, even with the same package name.
#[test]
fn an_app_that_is_not_listed_signs_nobody_in() {
    let app = app();
    let (_, done) = signs_up(&app, OTHERS);
    done.expect_problem(403, "wrong_origin");
    assert_eq!(app.count("SELECT count(*) AS n FROM users"), 0);
}

/// Each domain vouches only for its own apps, and none lists apps that it does not have.
#[test]
fn a_domain_vouches_for_its_own_apps() {
    let app = app();
    let ask = |path: &str, host: &str| app.request("GET", path).header("Host", host).send();
    for host in ["example.com", "EXAMPLE.com:443", "id.example.com", "upstream:9000"] {
        let apple = ask("/.well-known/apple-app-site-association", host).expect(200);
        assert_eq!(apple.header("content-type"), Some("application/json"), "{host}");
        assert_eq!(apple.json(), json!({ "webcredentials": { "apps": ["A1B2C3D4E5.com.example.app"] } }), "{host}");
        let android = ask("/.well-known/assetlinks.json", host).expect(200);
        assert_eq!(android.header("content-type"), Some("application/json"), "{host}");
        let statements = android.json();
        let target = &statements[0]["target"];
        assert_eq!(
            (statements.as_array().unwrap().len(), &target["package_name"]),
            (1, &json!("com.example.app")),
            "{host}"
        );
        assert_eq!(target["sha256_cert_fingerprints"], json!([PRINT]), "{host}");
    }
    for path in ["/.well-known/apple-app-site-association", "/.well-known/assetlinks.json"] {
        for host in ["plain.test", "www.plain.test", "WWW.plain.test:8443", "plain.example"] {
            ask(path, host).expect_problem(404, "not_found");
        }
        TestApp::spawn().request("GET", path).send().expect_problem(404, "not_found");
    }
}

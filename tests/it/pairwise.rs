//! Pairwise subjects (OpenID Connect Core §8): each sector knows a person by a different subject, everywhere and
//! forever.

use passmint::tokens::keys::rotation::Trigger;
use passmint::tokens::keys::{Algorithm, Use};
use passmint::tokens::rotate;
use serde_json::{Value, json};

use crate::authenticator::{Authenticator, decode};
use crate::support::oidc::{Ask, redeem};
use crate::support::receiver::Receiver;
use crate::support::tokens::{Tokens, basic, claims, policy, within};
use crate::support::{API_SECRET, Options, TestApp};

const CLIENTS: &str = r#"
[clients.one]
first_party = true
origins = ["ORIGIN"]
grants = ["passkey", "refresh_token"]
scopes = ["openid", "profile", "passkeys"]
redirect_uris = ["https://one.example/cb"]
subject_type = "pairwise"

[clients.hinted]
first_party = true
redirect_uris = ["https://hinted.example/cb"]
post_logout_redirect_uris = ["https://hinted.example/done"]
backchannel_logout_uri = "RECEIVER/logout"
grants = ["authorization_code"]
scopes = ["openid"]
subject_type = "pairwise"

[clients.sibling]
first_party = true
origins = ["ORIGIN"]
grants = ["passkey", "refresh_token"]
scopes = ["openid"]
redirect_uris = ["https://one.example/other"]
subject_type = "pairwise"

[clients.two]
kind = "confidential"
secret_digest = "API_DIGEST"
first_party = true
origins = ["ORIGIN"]
grants = ["passkey", "refresh_token"]
scopes = ["openid"]
redirect_uris = ["https://two.example/cb"]
subject_type = "pairwise"
"#;

fn spawn() -> TestApp {
    spawn_told_at("https://hinted.example")
}

/// A server that notifies `hinted` of logouts at this address.
fn spawn_told_at(receiver: &str) -> TestApp {
    let config = CLIENTS.replace("RECEIVER", receiver);
    TestApp::with(&Options {
        config: &config,
        settings: &[("outbound.allow_private_addresses", "true")],
        ..Options::default()
    })
}

fn sign_in(app: &TestApp, client: &str, passkey: &mut Authenticator) -> Value {
    app.client(client).sign_in(passkey, "openid").expect(200).json()
}

fn subject(token: &str) -> String {
    claims(token)["sub"].as_str().unwrap().to_owned()
}

/// Security rule 83.
#[test]
fn each_sector_knows_a_person_by_another_name_in_every_place() {
    let app = spawn();
    let (_, mut passkey, id) = app.ada();
    let one = Tokens::of(&sign_in(&app, "one", &mut passkey));
    let name = subject(&one.id);
    assert_ne!(name, id.to_string());
    assert!(name.is_ascii() && name.len() <= 255);
    let sibling = Tokens::of(&sign_in(&app, "sibling", &mut passkey));
    assert_eq!(subject(&sibling.id), name, "one sector");
    assert_eq!(subject(&Tokens::of(&sign_in(&app, "web", &mut passkey)).id), id.to_string(), "public as before");
    let begun = app.client("two").begin("openid");
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    let two = Tokens::of(&app.redeem(&begun, &credential, Some(&basic("two", API_SECRET)), &[]).expect(200).json());
    assert_ne!(subject(&two.id), name, "another sector");

    assert_eq!(subject(&one.access), name);
    assert_eq!(subject(&one.refresh), name);
    assert_eq!(app.userinfo(&one.access).expect(200).json()["sub"], name);
    assert_eq!(serde_json::from_str::<Value>(&app.introspection(&one.access)).unwrap()["sub"], name);
    for token in [&two.access, &two.refresh] {
        let request = app.request("POST", "/oauth/introspect").form(&[("token", token)]);
        let told = request.header("Authorization", &basic("two", API_SECRET)).send().expect(200).json();
        assert_eq!((&told["active"], &told["sub"]), (&json!(true), &json!(subject(&two.id))));
    }
    let me = app.client("one").bearer("GET", "/v1/me", &one.access).send().expect(200).json();
    assert_eq!(me["id"], name);
    let session = app.client("one").bearer("GET", "/v1/session", &one.access).send().expect(200).json();
    assert_eq!(session["user"]["id"], name);
}

/// What a client holds or receives, decoded: it contains the real id nowhere.
#[test]
fn the_real_name_is_nowhere() {
    let app = spawn();
    let (_, mut passkey, id) = app.ada();
    let answer = sign_in(&app, "one", &mut passkey);
    let first = Tokens::of(&answer);
    let second = app.client("one").refresh(&first.refresh).expect(200).json();
    let me = app.client("one").bearer("GET", "/v1/me", &first.access).send().expect(200).body;
    let mut texts = vec![answer.to_string(), second.to_string(), me, app.userinfo(&first.access).body];
    for tokens in [&first, &Tokens::of(&second)] {
        for token in [&tokens.access, &tokens.refresh, &tokens.id] {
            let parts = token.split('.').take(2).map(|part| String::from_utf8(decode(&json!(part))).unwrap());
            texts.extend(parts);
        }
    }
    for text in texts {
        assert!(!text.contains(&id.to_string()) && !text.contains(&id.uuid().simple().to_string()), "{text}");
    }
}

#[test]
fn tokens_of_a_pairwise_client_work_as_all_others_do() {
    let app = spawn();
    let (_, mut passkey, id) = app.ada();
    let first = Tokens::of(&sign_in(&app, "one", &mut passkey));
    let second = Tokens::of(&app.client("one").refresh(&first.refresh).expect(200).json());
    let again = Tokens::of(&app.client("one").refresh(&first.refresh).expect(200).json());
    assert_eq!(again.refresh, second.refresh, "a lost answer is given again");
    assert!(app.opens(&second.access));
    assert_eq!(subject(&again.id), subject(&first.id));
    app.client("one").revoke(&second.refresh).expect(200);
    assert!(!app.opens(&second.access));
    let of_ada = format!("SELECT count(*) AS n FROM audit_events WHERE kind = 'token.revoked' AND user_id = '{id}'");
    assert_eq!(app.count(&of_ada), 1, "the trail knows the real person");
}

/// OpenID Connect Core §3.1.2.1: the hint contains the client's own subject for the person.
#[test]
fn a_hint_is_understood() {
    let app = spawn();
    let (mut ada, mut bob) = (app.ada().0, app.person().0);
    let ask = Ask::of("hinted");
    let first = redeem(&app, "hinted", &ask.send(&mut ada).back().code());
    let silent = ask.with("prompt", "none").with("id_token_hint", &first.id);
    let second = redeem(&app, "hinted", &silent.send(&mut ada).back().code());
    assert_eq!(subject(&second.id), subject(&first.id));
    assert_eq!(app.userinfo(&second.access).expect(200).json()["sub"], subject(&first.id));
    assert_eq!(silent.send(&mut bob).back().error(), "login_required", "somebody else is signed in");
}

/// Neither a rotation nor another server changes anybody's subject.
#[test]
fn a_name_stays() {
    let app = spawn();
    let (_, mut passkey, _) = app.ada();
    let before = subject(&Tokens::of(&sign_in(&app, "one", &mut passkey)).id);
    app.change_keys(|conn, master, now| {
        let keys = (&Use::Tokens, Algorithm::ES256);
        rotate::rotate(conn, master, keys, policy(chrono::Duration::days(1)), Trigger::AtOnce, now)
    });
    app.advance(chrono::Duration::minutes(11));
    assert_eq!(subject(&Tokens::of(&sign_in(&app, "one", &mut passkey)).id), before);
    let twin = TestApp::with(&Options {
        beside: Some(&app),
        public_url: Some(&app.origin),
        config: &CLIENTS.replace("RECEIVER", "https://hinted.example"),
        ..Options::default()
    });
    assert_eq!(subject(&Tokens::of(&sign_in(&twin, "one", &mut passkey)).id), before);
}

/// Security rules 83 and 115: the hint is understood, and the logout token contains the subject that the client knows.
#[test]
fn logout_keeps_to_the_name_of_the_sector() {
    let receiver = Receiver::start();
    let app = spawn_told_at(&receiver.url);
    let (mut browser, _, id) = app.ada();
    let code = Ask::of("hinted").send(&mut browser).back().code();
    let token = redeem(&app, "hinted", &code).id;
    let done = "https%3A%2F%2Fhinted.example%2Fdone";
    let reply = browser.get(&format!("/oauth/logout?id_token_hint={token}&post_logout_redirect_uri={done}"));
    assert_eq!((reply.status, reply.header("location")), (303, Some("https://hinted.example/done")), "no question");
    within(std::time::Duration::from_secs(4), "the client is told", || !receiver.hits().is_empty());
    let told = receiver.hits()[0].logout_token();
    assert_eq!(subject(&told), subject(&token));
    assert!(!claims(&told).to_string().contains(&id.to_string()));
}

//! What an app's access token reads and does in a person's account, and what is taken from an app while it redeems a
//! code.

use std::time::Duration as Real;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use serde_json::{Value, json};

use crate::authorize::allow;
use crate::support::oidc::{self, Ask, present, redeem};
use crate::support::tokens::{INACTIVE, Tokens, within};
use crate::support::{Browser, Reply, Request, TestApp};

fn by_token(app: &TestApp, method: &str, path: &str, token: &str) -> Reply {
    app.request(method, path).header("Authorization", &format!("Bearer {token}")).send()
}

fn is_signed_in(browser: &mut Browser) -> bool {
    browser.get("/v1/session").expect(200).json()["session"].is_object()
}

#[test]
fn an_app_is_told_what_userinfo_tells_it() {
    let app = oidc::app();
    let (mut browser, _, id) = app.ada();
    for scope in ["openid", "openid profile", "openid email", "openid profile email"] {
        let code = Ask::of("house").with("scope", scope).send(&mut browser).back().code();
        let token = redeem(&app, "house", &code).access;
        let told = app.userinfo(&token).expect(200).json();
        let me = by_token(&app, "GET", "/v1/me", &token).expect(200).json();
        let session = by_token(&app, "GET", "/v1/session", &token).expect(200).json();
        assert_eq!(me, session["user"], "{scope}");
        let known = [("id", "sub"), ("name", "name"), ("email", "email"), ("emailVerified", "email_verified")];
        for (member, claim) in known {
            assert_eq!(me.get(member), told.get(claim), "{scope}: {member}");
        }
        let mut members = me.as_object().unwrap().keys();
        assert!(members.all(|member| known.iter().any(|(name, _)| name == member)), "{scope}: {me}");
    }
    let own =
        json!({ "id": id.to_string(), "name": "Ada Lovelace", "email": "ada@example.com", "emailVerified": false });
    assert_eq!(browser.get("/v1/me").expect(200).json(), own, "their own page has all");
}

/// The response to a ceremony tells an app no more than its tokens do.
#[test]
fn a_ceremony_tells_an_app_what_userinfo_tells_it() {
    let app = TestApp::spawn();
    let (_, mut passkey, id) = app.ada();
    for (scope, name, email) in [
        ("openid", None, None),
        ("profile email", None, None),
        ("openid profile", Some("Ada Lovelace"), None),
        ("openid email", None, Some("ada@example.com")),
        ("openid profile email", Some("Ada Lovelace"), Some("ada@example.com")),
    ] {
        let answer = app.client("web").sign_in(&mut passkey, scope).expect(200).json();
        let user = &answer["user"];
        assert_eq!(user, &by_token(&app, "GET", "/v1/me", answer["accessToken"].as_str().unwrap()).expect(200).json());
        assert_eq!(user["id"], id.to_string(), "{scope}");
        assert_eq!((user["name"].as_str(), user["email"].as_str()), (name, email), "{scope}");
        assert_eq!(user.get("emailVerified").is_some(), email.is_some(), "{scope}");
    }
}

#[test]
fn an_app_ends_its_own_session_and_no_browsers() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let within_it = redeem(&app, "shop", &allow(&mut browser, &Ask::of("shop")));
    by_token(&app, "DELETE", "/v1/session", &within_it.access).expect_problem(403, "forbidden");
    assert!(is_signed_in(&mut browser));
    assert_eq!(app.events("session.signed_out"), 0);

    let offline = Ask::of("shop").with("scope", "openid offline_access");
    let outlives_it = redeem(&app, "shop", &allow(&mut browser, &offline));
    by_token(&app, "DELETE", "/v1/session", &outlives_it.access).expect(200);
    assert_eq!(app.introspection(&outlives_it.access), INACTIVE);
    assert!(is_signed_in(&mut browser));
}

/// Pressing twice, or in two tabs, shows that it is done; nobody learns anything about other people's things.
#[test]
fn removing_what_is_gone_leads_to_the_list() {
    let app = oidc::app();
    let (mut browser, mut passkey) = app.person();
    let (mut stranger, _) = app.person();
    allow(&mut browser, &Ask::of("shop"));
    browser.add(&mut app.passkey()).expect(200);
    app.browser().sign_in(&mut passkey).expect(200);
    let id_of =
        |listed: Reply, what: &str, at: usize| listed.expect(200).json()[what][at]["id"].as_str().unwrap().to_owned();
    let me = browser.get("/v1/session").expect(200).json()["session"]["id"].clone();
    let sessions = browser.get("/v1/me/sessions").expect(200).json()["sessions"].clone();
    let other = sessions.as_array().unwrap().iter().find(|one| one["id"] != me).unwrap()["id"].as_str().unwrap();
    let second = id_of(browser.get("/v1/passkeys"), "passkeys", 1);
    let strangers = id_of(stranger.get("/v1/passkeys"), "passkeys", 0);
    let page = browser.get("/account/apps").expect(200);
    for (path, fields, list) in [
        ("/account/apps/remove".to_owned(), &[("client", "shop")][..], "/account/apps?done=app-removed"),
        (format!("/account/sessions/{other}/sign-out"), &[], "/account/sessions?done=session-ended"),
        (format!("/account/passkeys/{second}/remove"), &[], "/account/passkeys?done=passkey-removed"),
        (format!("/account/passkeys/{strangers}/remove"), &[], "/account/passkeys?done=passkey-removed"),
    ] {
        for time in ["first", "second"] {
            let reply = browser.submit(&page, &path, fields).expect(303);
            assert_eq!(reply.header("location"), Some(list), "{path}, the {time} time");
        }
    }
    assert_eq!(["consent.revoked", "session.revoked", "passkey.removed"].map(|kind| app.events(kind)), [1, 1, 1]);
    assert_eq!(id_of(stranger.get("/v1/passkeys"), "passkeys", 0), strangers, "it is still there");
}

/// Someone whose session ended in the meantime returns to the page they were on.
#[test]
fn a_form_of_a_session_that_ended_leads_back_to_its_page() {
    let app = oidc::app();
    let mut nobody = app.browser();
    for (method, path, next) in [
        ("GET", "/device?user_code=BCDF-GHJK", "%2Fdevice%3Fuser_code%3DBCDF-GHJK"),
        ("GET", "/account/passkeys?done=passkey-added", "%2Faccount%2Fpasskeys%3Fdone%3Dpasskey-added"),
        ("GET", "/account/passkeys?x=%20+", "%2Faccount%2Fpasskeys"),
        ("POST", "/account/apps/remove", "%2Faccount%2Fapps"),
        ("POST", "/account/sessions/x/sign-out", "%2Faccount%2Fsessions"),
        ("POST", "/account/passkeys/x/rename", "%2Faccount%2Fpasskeys%2Fx%2Frename"),
        ("POST", "/device/review", "%2Fdevice%2Freview"),
    ] {
        let request = nobody.request(method, path);
        let reply = nobody.send(if method == "POST" { request.form(&[]) } else { request }).expect(303);
        assert_eq!(reply.header("location"), Some(format!("/?next={next}").as_str()), "{method} {path}");
    }
}

#[test]
fn a_name_that_cannot_be_seen_is_told_from_a_long_one() {
    let app = TestApp::spawn();
    let (mut browser, _) = app.person();
    let listed = browser.get("/v1/passkeys").expect(200).json();
    let path = format!("/account/passkeys/{}/rename", listed["passkeys"][0]["id"].as_str().unwrap());
    let page = browser.get(&path).expect(200);
    for (name, words) in [
        ("\u{3164}", "Use visible characters only."),
        ("a\u{202e}b", "Use visible characters only."),
        (&*"x".repeat(65), "Use 64 characters or fewer."),
    ] {
        let reply = browser.submit(&page, &path, &[("name", name)]).expect(422);
        assert!(reply.body.contains(words), "{name:?}: {}", reply.body);
    }
    let persian = "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}";
    browser.submit(&page, &path, &[("name", persian)]).expect(303);
    assert_eq!(browser.get("/v1/passkeys").expect(200).json()["passkeys"][0]["name"], persian);
}

/// An uncommitted family with the same id: the redemption of the code waits for it, with everything else done.
const HOLD: &str = "BEGIN;
    INSERT INTO refresh_tokens (family, user_id, session_id, client_id, scope, audience, leaf_digest, leaf_key,
        leaf_issued_at, leaf_expires_at, created_at, ends_at)
    SELECT grant_id, user_id, session_id, client_id, '', '{}', sha256('x'), '', now(), now(), now(), now()
    FROM authorization_codes";

const WAITING: &str =
    "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// Holds a redemption just before its end until another request waits too, or is done. Returns both replies.
fn while_it_is_redeemed(app: &TestApp, code: &str, meanwhile: Request) -> (Reply, Reply) {
    let mut holder = PgConnection::establish(app.database_url()).unwrap();
    holder.batch_execute(HOLD).unwrap();
    std::thread::scope(|scope| {
        let redeeming = scope.spawn(|| present(app, "shop", code));
        within(Real::from_secs(10), "the redemption waits", || app.count(WAITING) >= 1);
        let other = scope.spawn(move || meanwhile.send());
        within(Real::from_secs(10), "the other waits or is done", || app.count(WAITING) >= 2 || other.is_finished());
        holder.batch_execute("ROLLBACK").unwrap();
        (redeeming.join().unwrap(), other.join().unwrap())
    })
}

fn refused(app: &TestApp, tokens: &Tokens) {
    assert_eq!(app.introspection(&tokens.access), INACTIVE);
    app.userinfo(&tokens.access).expect(401);
    oidc::refresh(app, "shop", &tokens.refresh, &[]).expect_oauth(400, "invalid_grant");
}

fn code_of(browser: &mut Browser) -> String {
    allow(browser, &Ask::of("shop").with("scope", "openid offline_access"))
}

/// In either order, an app keeps nothing of a person who withdrew their consent.
#[test]
fn a_consent_is_taken_back_while_its_code_is_redeemed() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let code = code_of(&mut browser);
    let back = browser.request("DELETE", "/v1/me/consents/shop");
    let (redeemed, taken_back) = while_it_is_redeemed(&app, &code, back);
    taken_back.expect(200);
    refused(&app, &Tokens::of(&redeemed.expect(200).json()));
    assert_eq!(app.count("SELECT count(*) AS n FROM refresh_tokens WHERE revoked_at IS NULL"), 0);
}

/// A session that begins while all other sessions are being ended is ended too.
#[test]
fn all_others_end_while_one_begins() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let code = code_of(&mut browser);
    let others = browser.request("DELETE", "/v1/me/sessions");
    let (redeemed, ended) = while_it_is_redeemed(&app, &code, others);
    let ended: Value = ended.expect(200).json();
    refused(&app, &Tokens::of(&redeemed.expect(200).json()));
    assert_eq!(ended["ended"], 1);
    assert!(is_signed_in(&mut browser));
}

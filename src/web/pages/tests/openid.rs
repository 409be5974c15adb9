//! Samples of the pages of the OpenID flows, and the rules that apply only to them.

use askama::Template;
use chrono::Duration;

use super::super::account::Done;
use super::super::apps::{AppCard, Apps};
use super::super::authorize_error::{AuthorizeError, Fault};
use super::super::choose_account::ChooseAccount;
use super::super::consent::Consent;
use super::super::device::{CodeProblem, DeviceDone, DeviceEnter, DeviceReview, Outcome};
use super::super::form_post::FormPost;
use super::super::logout::{Onward, SignOut, SignedOut};
use super::super::returning::Returning;
use super::super::scopes::{AppIdentity, ScopeItem, Trust};
use super::super::sign_in::AppChip;
use super::super::{Frame, PageKind};
use super::samples::{HOSTILE, account, frame, now, signed_in};

type Page = (&'static str, askama::Result<String>);

const BACK: &str = "https://notes.acme.example/cb?code=abc&state=%22%3E%3Cscript%3E&iss=x";

fn plain() -> Frame {
    signed_in(PageKind::Plain)
}

fn chip() -> AppChip {
    AppChip { name: "Acme Notes".into(), host: "notes.acme.example".into() }
}

fn acme() -> AppIdentity {
    AppIdentity {
        name: "Acme Notes".into(),
        host: Some("notes.acme.example".into()),
        logo: None,
        home: Some("https://acme.example/".into()),
        policy: Some("https://acme.example/privacy".into()),
        terms: Some("https://acme.example/terms".into()),
        trust: Trust::Verified,
    }
}

fn hostile() -> AppIdentity {
    AppIdentity {
        name: HOSTILE.into(),
        host: Some("a-very-long-name-that-does-not-want-to-end.and-goes-on.example".into()),
        logo: Some("data:image/png;base64,iVBORw0KGgo=".into()),
        trust: Trust::Unverified(now() - Duration::days(2)),
        ..acme()
    }
}

fn scopes() -> Vec<ScopeItem> {
    let optional = |scope: &str| ScopeItem { optional: true, ..ScopeItem::fixed(scope) };
    vec![
        ScopeItem::fixed("openid"),
        ScopeItem { noted: vec!["plan".into(), HOSTILE.into()], ..ScopeItem::fixed("profile") },
        optional("email"),
        ScopeItem { fresh: true, ..optional("phone") },
        ScopeItem { description: Some("Write and delete your notes".into()), ..ScopeItem::fixed("notes:write") },
        ScopeItem::fixed("offline_access"),
    ]
}

fn consent() -> Consent {
    Consent {
        frame: plain(),
        app: acme(),
        account: account(),
        another: Some("/oauth/interaction/1/another".into()),
        action: "/oauth/interaction/1".into(),
        scopes: scopes()[..2].to_vec(),
        widening: false,
        resources: vec![],
    }
}

fn review() -> DeviceReview {
    DeviceReview {
        frame: plain(),
        code: "BCDF-GHJK".into(),
        app: AppIdentity { name: "Acme TV".into(), host: None, ..acme() },
        account: account(),
        scopes: ["openid", "profile", "offline_access"].map(ScopeItem::fixed).to_vec(),
        resources: vec!["https://api.acme.example/".into()],
        network: "203.0.113.0/24".into(),
        device: Some("Acme TV 4.1".into()),
        asked: now() - Duration::minutes(1),
        unticked: false,
        action: "/device".into(),
    }
}

fn every_scope() -> Vec<ScopeItem> {
    ["address", "groups", "passkeys", "bridge:*", "bridge:firebase", "admin", "admin:read", "notes:read"]
        .map(ScopeItem::fixed)
        .to_vec()
}

/// Every page of the OpenID flows, in every state with distinct markup.
pub(super) fn pages() -> Vec<Page> {
    let mut pages = vec![
        ("consent", consent().render()),
        (
            "consent-widening",
            Consent {
                app: hostile(),
                scopes: scopes(),
                widening: true,
                resources: vec!["Acme Notes API".into(), HOSTILE.into()],
                ..consent()
            }
            .render(),
        ),
        ("consent-every", Consent { scopes: every_scope(), another: None, ..consent() }.render()),
        (
            "choose-account",
            ChooseAccount { frame: plain(), app: chip(), account: account(), action: "/oauth/interaction/1".into() }
                .render(),
        ),
        ("returning", Returning { frame: frame(), app: "Acme Notes".into(), url: BACK.into() }.render()),
        ("form-post", form_post().render()),
        ("apps", apps().render()),
        ("apps-none", Apps { done: None, apps: vec![], ..apps() }.render()),
    ];
    for fault in Fault::ALL {
        pages.push(("error-authorize", authorize_error(fault).render()));
    }
    pages.extend(device_pages());
    pages.extend(logout_pages());
    pages
}

fn form_post() -> FormPost {
    let fields = vec![("code".into(), "abc".into()), ("state".into(), HOSTILE.into())];
    FormPost { frame: frame(), app: "Acme Notes".into(), url: "https://notes.acme.example/cb".into(), fields }
}

fn authorize_error(fault: Fault) -> AuthorizeError {
    AuthorizeError {
        frame: frame(),
        fault,
        detail: Some("The request named it once.".into()),
        sent: Some(format!("https://evil.example/{HOSTILE}")),
        request_id: "0190f3c2-7d1e".into(),
    }
}

fn apps() -> Apps {
    let card = |name: &str, scopes| AppCard {
        client: "notes".into(),
        open: Some("https://notes.acme.example/login?iss=https%3A%2F%2Fid.example".into()),
        name: name.into(),
        host: Some("notes.acme.example".into()),
        scopes,
        since: now() - Duration::days(40),
    };
    let apps = vec![card("Acme Notes", scopes()), card(HOSTILE, scopes()[..1].to_vec())];
    Apps { frame: plain(), done: Some(Done::AppRemoved), apps }
}

fn device_pages() -> Vec<Page> {
    let enter = |code: &str, problem| {
        let (code, action) = (code.into(), "/device".into());
        DeviceEnter { frame: plain(), code, problem, action }.render()
    };
    let done = |outcome| DeviceDone { frame: plain(), outcome, app: "Acme TV".into() }.render();
    vec![
        ("device", enter("", None)),
        ("device-filled", enter("BCDF-GHJK", None)),
        ("device-wrong", enter(HOSTILE, Some(CodeProblem::Unusable))),
        ("device-wait", enter("", Some(CodeProblem::TooMany(9)))),
        ("device-all-wrong", enter("BCDF-GHJK", Some(CodeProblem::AllWrong))),
        ("device-review", review().render()),
        (
            "device-unticked",
            DeviceReview { unticked: true, app: hostile(), device: Some(HOSTILE.into()), ..review() }.render(),
        ),
        ("device-allowed", done(Outcome::Allowed)),
        ("device-denied", done(Outcome::Denied)),
    ]
}

fn logout_pages() -> Vec<Page> {
    let ask = |app| {
        let fields = vec![("state".into(), HOSTILE.into())];
        SignOut { frame: plain(), app, action: "/oauth/logout".into(), fields }.render()
    };
    vec![
        ("sign-out", ask(None)),
        ("sign-out-app", ask(Some(chip()))),
        ("signed-out-told", signed_out().render()),
        ("signed-out-onward", SignedOut { frames: vec![], told: vec![], ..signed_out() }.render()),
    ]
}

fn signed_out() -> SignedOut {
    SignedOut {
        frame: frame(),
        told: vec!["Acme Notes".into(), HOSTILE.into()],
        frames: vec!["https://notes.acme.example/out?iss=a&sid=b".into()],
        onward: Some(Onward { app: "Acme Notes".into(), url: "https://notes.acme.example/bye?state=1".into() }),
    }
}

/// The page shows who, what, where to and which account. No comes before Yes, nothing has the focus, and there is at
/// most one warning.
#[test]
fn questions_weigh_yes_and_no_alike() {
    for html in [consent().render().unwrap(), review().render().unwrap()] {
        let no = html.find(r#"<button class="btn" type="submit" name="decision" value="deny">"#).unwrap();
        let yes = html.find(r#"<button class="btn" type="submit" name="decision" value="allow">"#).unwrap();
        assert!(no < yes, "No comes first");
        assert!(!html.contains("autofocus") && !html.contains("data-submit"));
        assert!(html.matches("notice-warn").count() <= 1);
        assert!(html.contains("ana@example.com"));
    }
    let html = consent().render().unwrap();
    assert!(html.contains("You will return to <bdi>notes.acme.example</bdi>") && !html.contains("notice-warn"));
    let html = Consent { app: hostile(), ..consent() }.render().unwrap();
    assert!(html.contains("It registered itself on <bdi>12 March 2026</bdi>"));
}

#[test]
fn only_what_is_optional_can_be_left_out() {
    let html = Consent { scopes: scopes(), ..consent() }.render().unwrap();
    assert_eq!(html.matches("type=\"checkbox\"").count(), 2);
    assert!(html.contains(r#"name="allow:email" value="yes" checked"#) && !html.contains("allow:profile"));
    assert_eq!(html.matches(">New<").count(), 1);
}

#[test]
fn a_device_is_compared_warned_of_and_owned_up_to() {
    for html in [review().render().unwrap(), DeviceReview { app: hostile(), ..review() }.render().unwrap()] {
        for wanted in [
            "BCDF-GHJK</p>",
            "Support staff never ask for this",
            r#"name="mine" value="yes" required"#,
            "203.0.113.0/24",
        ] {
            assert!(html.contains(wanted), "{wanted}");
        }
    }
    let filled = DeviceEnter { frame: plain(), code: "BCDF-GHJK".into(), problem: None, action: "/device".into() };
    let html = filled.render().unwrap();
    assert!(html.contains(r#"value="BCDF-GHJK""#) && !html.contains("data-submit"));
}

#[test]
fn the_way_back_keeps_its_address_and_needs_no_script() {
    let html = Returning { frame: frame(), app: "Acme".into(), url: BACK.into() }.render().unwrap();
    let address = super::attributes(&html, "content").into_iter().find_map(|content| content.strip_prefix("0;url="));
    assert_eq!(address.map(|url| url.replace("&#38;", "&").replace("&amp;", "&")).as_deref(), Some(BACK));
    assert!(html.contains(r#" rel="noreferrer">Continue</a>"#));
    let html = form_post().render().unwrap();
    assert!(html.contains(r#"<form method="post" action="https://notes.acme.example/cb" data-submit>"#));
    assert!(html.contains(r#"<button class="btn btn-primary btn-wide" type="submit">Continue</button>"#));
}

#[test]
fn an_address_that_was_not_proven_is_text() {
    for fault in Fault::ALL {
        let html = authorize_error(fault).render().unwrap();
        assert!(html.contains("https://evil.example/") && !html.contains("=\"https://evil"), "no link, no redirect");
        assert!(!html.contains("http-equiv"));
    }
}

#[test]
fn signing_out_tells_first_and_moves_on_then() {
    let html = signed_out().render().unwrap();
    assert!(html.contains(r#"content="3;url=https://notes.acme.example/bye?state=1""#));
    assert_eq!(html.matches("<iframe hidden ").count(), 1);
    let html = SignedOut { frames: vec![], ..signed_out() }.render().unwrap();
    assert!(html.contains(r#"content="0;url="#));
    assert!(!SignedOut::plain(frame()).render().unwrap().contains("http-equiv"));
}

//! The sample pages for the tests: every page, in every state with distinct markup.

use askama::Template;
use chrono::{Duration, TimeZone, Utc};
use serde_json::json;
use uuid::Uuid;

use super::super::account::{Activity, Done, Entry, Happened, Overview, Said, SessionCard, Sessions};
use super::super::approve::{Approve, Line};
use super::super::confirm::{Confirm, Reason};
use super::super::developer::Developer;
use super::super::docs::{DocLink, DocPage, OwnMarkup};
use super::super::enrol::Enrol;
use super::super::error::{ErrorPage, Kind};
use super::super::host_refused::{HostRefused, Onward};
use super::super::links::{Link, LinkDone, LinkProblem, LinkRefused, LinkStart};
use super::super::logout::SignedOut;
use super::super::passkeys::{Kept, NameProblem, PasskeyCard, Passkeys, Remove, Rename, Resume};
use super::super::scopes::{AppIdentity, Trust};
use super::super::sign_in::{AppChip, Asked, Scriptless, SignIn, SignUp, Way};
use super::super::{AccountCard, Armed, Boot, FooterLink, Frame, PageKind, messages};
use crate::clock::Time;
use crate::domain::id::Id;

/// A hostile user name.
pub(super) const HOSTILE: &str = r#"<img src=x onerror="alert(1)"> & 'co' </script>"#;

pub(super) fn now() -> Time {
    Utc.with_ymd_and_hms(2026, 3, 14, 15, 9, 26).unwrap()
}

/// A frame as handlers create it, signed out.
pub(in crate::web::pages) fn frame() -> Frame {
    Frame {
        locale: messages::ENGLISH,
        realm: "Passmint".into(),
        base: String::new(),
        public_host: "localhost:8080".into(),
        nonce: "bm9uY2Utbm9uY2Utbm9uY2U".into(),
        csrf: Some("csrf-token".into()),
        signed_in: None,
        footer: vec![
            FooterLink::Help("https://help.example/".into()),
            FooterLink::Contact("mailto:help@example.com".into()),
            FooterLink::Privacy("https://help.example/privacy".into()),
            FooterLink::Terms("https://help.example/terms".into()),
            FooterLink::Developer,
            FooterLink::Docs("/docs".into()),
        ],
        contact: Some("mailto:help@example.com".into()),
        now: now(),
        boot: Boot::default(),
    }
}

fn frame_for(page: PageKind) -> Frame {
    let armed = Armed {
        ceremony_id: "c1".into(),
        expires_in: 300,
        public_key: json!({ "challenge": "AAAA", "rpId": "localhost" }),
    };
    let armed = (page == PageKind::SignIn).then_some(armed);
    Frame { boot: Boot { page, armed, ..Boot::default() }, ..frame() }
}

pub(super) fn signed_in(page: PageKind) -> Frame {
    Frame { signed_in: Some(account()), ..frame_for(page) }
}

pub(super) fn account() -> AccountCard {
    AccountCard { name: Some("Ana Souza".into()), email: Some("ana@example.com".into()), short_id: "7f3a".into() }
}

fn passkey(n: u128, name: &str, kept: Kept) -> PasskeyCard {
    PasskeyCard {
        id: Id::new(Uuid::from_u128(n)),
        name: name.into(),
        provider: (kept == Kept::Account).then(|| "iCloud Keychain".into()),
        kept,
        created: now() - Duration::days(90),
        last_used: (n != 3).then(|| now() - Duration::hours(2)),
        current: n == 1,
        suspended: n == 2,
    }
}

fn session(n: u128, current: bool, browser: &str) -> SessionCard {
    let first_seen = now() - Duration::days(3);
    SessionCard {
        id: Id::new(Uuid::from_u128(n)),
        current,
        browser: browser.into(),
        place: Some("Lisbon".into()),
        first_seen,
        last_seen: now() - Duration::hours(20),
    }
}

pub(super) fn sign_in() -> SignIn {
    SignIn {
        frame: frame_for(PageKind::SignIn),
        app: None,
        email: String::new(),
        bad_email: false,
        right_address: None,
        passkeys: true,
        sign_up: SignUp::Open(Asked { name: true, email: true }),
        ways: vec![],
        cancel: None,
        sign_in_instead: None,
    }
}

/// The sign-in page for an app that requests a new account.
pub(super) fn create() -> SignIn {
    SignIn {
        app: Some(AppChip { name: "Acme Notes".into(), host: "notes.acme.example".into() }),
        sign_in_instead: Some("/oauth/interaction/pmi_x/another".into()),
        email: "ana@example.com".into(),
        ..sign_in()
    }
}

pub(super) fn ways() -> Vec<Way> {
    vec![
        Way::Password("/p".into()),
        Way::Email("/e".into()),
        Way::Recovery("/r".into()),
        Way::Upstream(HOSTILE.into(), "/u".into()),
    ]
}

/// Every page in every state with distinct markup, by name.
pub(super) fn pages() -> Vec<(&'static str, String)> {
    let mut pages = vec![
        ("sign-in", sign_in().render()),
        (
            "sign-in-app",
            SignIn {
                app: Some(AppChip { name: "Acme Notes".into(), host: "notes.acme.example".into() }),
                ways: ways(),
                cancel: Some("/oauth/interaction/pmi_x/cancel".into()),
                ..sign_in()
            }
            .render(),
        ),
        (
            "sign-in-asks-nothing",
            SignIn { sign_up: SignUp::Open(Asked { name: false, email: false }), ..sign_in() }.render(),
        ),
        ("sign-in-create", create().render()),
        ("sign-in-bad-email", SignIn { email: "ana@".into(), bad_email: true, ..sign_in() }.render()),
        ("sign-in-wrong-origin", SignIn { right_address: Some("http://localhost:8080/".into()), ..sign_in() }.render()),
        ("sign-in-sso", SignIn { passkeys: false, ways: ways(), ..sign_in() }.render()),
        ("scriptless", Scriptless { frame: frame(), back: "/".into(), ways: ways() }.render()),
        ("signed-out", SignedOut::plain(frame()).render()),
    ];
    pages.extend(account_pages());
    pages.extend(passkey_pages());
    pages.extend(super::openid::pages());
    pages.extend(action_pages());
    pages.extend(confirm_pages());
    pages.extend(host_refused_pages());
    for (name, bridges, sign_up) in [
        ("developer", vec!["firebase".to_owned(), "supabase".to_owned()], true),
        ("developer-no-bridge", vec![], true),
        ("developer-no-sign-up", vec![], false),
    ] {
        let (origin, client_id, scope) =
            ("http://localhost:8080".into(), "quickstart".into(), "openid profile email offline_access".into());
        pages.push((
            name,
            Developer {
                frame: frame_for(PageKind::Developer),
                origin,
                client_id,
                scope,
                bridges,
                sign_up,
                docs: Some("/docs/api".into()),
            }
            .render(),
        ));
    }
    for (name, kind) in [
        ("error-400", Kind::Request),
        ("error-403", Kind::Forbidden),
        ("error-csrf", Kind::Stale),
        ("error-404", Kind::NotFound),
        ("error-405", Kind::Method),
        ("error-413", Kind::TooLarge),
        ("error-429", Kind::TooMany(3)),
        ("error-503", Kind::Unavailable),
    ] {
        pages.push((
            name,
            ErrorPage { frame: frame(), kind, request_id: "0190f3c2-7d1e".into(), retry: Some("/account".into()) }
                .render(),
        ));
    }
    let body = OwnMarkup::new("<p>Two calls.</p><h2>Options</h2><p>Send <code>POST</code>.</p><pre>{\n  \"kind\": \"tokens\"\n}</pre><table><tr><th>code</th><th>status</th></tr><tr><td><code>wrong_origin</code></td><td>403</td></tr></table>".into());
    let link = |title: &str, current| DocLink { href: "/docs/api".into(), title: title.into(), current };
    pages.push((
        "doc",
        DocPage {
            frame: frame(),
            title: "Passkeys over REST".into(),
            body,
            contents: vec![DocLink { href: "#errors".into(), title: "Errors".into(), current: false }],
            nav: vec![link("Overview", false), link("Passkeys over REST", true)],
        }
        .render(),
    ));
    pages.into_iter().map(|(name, html)| (name, html.unwrap())).collect()
}

fn confirm_pages() -> Vec<(&'static str, askama::Result<String>)> {
    let confirm = Confirm {
        frame: signed_in(PageKind::StepUp),
        account: account(),
        reason: Reason::RemovePasskey("YubiKey 5".into()),
        has_passkey: true,
        another: Some("/oauth/interaction/pmi_x/another".into()),
        cancel: "/account".into(),
    };
    let mut pages = vec![("confirm", confirm.render())];
    for (name, reason) in [
        ("confirm-add", Reason::AddPasskey),
        ("confirm-resume", Reason::ResumePasskey(HOSTILE.into())),
        ("confirm-others", Reason::SignOutOthers),
        ("confirm-any", Reason::Continue),
    ] {
        pages.push((name, Confirm { reason, has_passkey: false, another: None, ..confirm.clone() }.render()));
    }
    pages
}

fn host_refused_pages() -> Vec<(&'static str, askama::Result<String>)> {
    let start = "https://wiki.example/.passmint/start?rd=%2F";
    let another = || Onward::AnotherAccount(format!("{start}&another=1"));
    let refused = |name: &str, onward| {
        let app = AppChip { name: name.into(), host: "wiki.example".into() };
        HostRefused { frame: signed_in(PageKind::Plain), app, account: account(), onward }.render()
    };
    vec![
        ("host-refused", refused("The wiki", another())),
        ("host-closed", refused("The wiki", Onward::Nowhere)),
        ("host-open", refused("The wiki", Onward::There(start.to_owned()))),
        ("host-fresh", refused("The wiki", Onward::Confirming(start.to_owned()))),
        ("host-refused-hostile", refused(HOSTILE, another())),
    ]
}

fn action_pages() -> Vec<(&'static str, askama::Result<String>)> {
    let app = |name: &str| AppIdentity {
        name: name.into(),
        host: Some("shop.example".into()),
        logo: None,
        home: None,
        policy: None,
        terms: None,
        trust: Trust::Verified,
    };
    let asked = |name: &str| Enrol {
        frame: frame_for(PageKind::Action),
        app: app(name),
        account: account(),
        token: "pmt_token".into(),
    };
    let approve = |operation: &str, value: &str| Approve {
        frame: frame_for(PageKind::Action),
        app: app("Acme Shop"),
        account: account(),
        operation: operation.into(),
        details: vec![Line { label: "Amount".into(), value: value.into() }],
        token: "pmt_token".into(),
        cancel: "https://shop.example/?error=access_denied".into(),
    };
    let refused = |problem| LinkRefused { frame: frame(), problem }.render();
    vec![
        ("enrol-start", LinkStart { frame: frame_for(PageKind::Plain), link: Link::Enrol }.render()),
        ("enrol", asked("Acme Shop").render()),
        ("enrol-hostile", asked(HOSTILE).render()),
        ("enrol-done", LinkDone { frame: frame(), link: Link::Enrol }.render()),
        ("enrol-over", refused(LinkProblem::Over)),
        ("enrol-other", refused(LinkProblem::OtherAccount)),
        ("enrol-have", refused(LinkProblem::HasPasskey)),
        ("approve-none", refused(LinkProblem::NoPasskey)),
        ("approve-start", LinkStart { frame: frame_for(PageKind::Plain), link: Link::Approve }.render()),
        ("approve", approve("Pay 100.00 EUR to Acme", "100.00 EUR").render()),
        ("approve-hostile", approve(HOSTILE, HOSTILE).render()),
        ("approve-bare", Approve { details: vec![], ..approve("Delete the archive", "") }.render()),
        ("approve-done", LinkDone { frame: frame(), link: Link::Approve }.render()),
    ]
}

fn account_pages() -> Vec<(&'static str, askama::Result<String>)> {
    let frame = || signed_in(PageKind::Plain);
    let all = [
        Happened::SignedIn,
        Happened::SignInRefused,
        Happened::SignedOut,
        Happened::SignedUp,
        Happened::Confirmed,
        Happened::PasskeyAdded,
        Happened::PasskeyRenamed,
        Happened::PasskeyRemoved,
        Happened::PasskeyPaused,
        Happened::PasskeyResumed,
        Happened::SessionEnded,
        Happened::TokensIssued,
        Happened::DeviceAllowed,
        Happened::DeviceDenied,
        Happened::DeviceCodeRefused,
        Happened::Signed,
        Happened::AppActed,
        Happened::OperatorActed,
        Happened::LinkUsed,
        Happened::Other,
    ];
    let entries: Vec<_> = (0..)
        .zip(all)
        .map(|(n, what)| Entry {
            what,
            at: now() - Duration::hours(n * 9),
            about: (n % 2 == 1).then(|| "YubiKey 5".into()),
            from: Some("Firefox on Linux, Lisbon".into()),
        })
        .collect();
    let overview = Overview {
        frame: frame(),
        done: Some(Done::Welcome),
        passkeys: 1,
        sessions: 2,
        latest: Some(entries[0].clone()),
        said: vec![
            Said {
                title: "Your plan".to_owned(),
                text: Some(HOSTILE.to_owned()),
                items: vec![("Until".to_owned(), "1 May".to_owned()), (HOSTILE.to_owned(), HOSTILE.to_owned())],
                at: entries[0].at,
            },
            Said { title: HOSTILE.to_owned(), text: None, items: vec![], at: entries[0].at },
        ],
    };
    let sessions = vec![session(1, true, "Firefox on Linux"), session(2, false, HOSTILE)];
    vec![
        ("account", overview.clone().render()),
        (
            "account-empty",
            Overview { done: None, passkeys: 0, sessions: 1, latest: None, said: vec![], ..overview }.render(),
        ),
        ("sessions", Sessions { frame: frame(), done: Some(Done::SessionEnded), sessions: sessions.clone() }.render()),
        ("sessions-one", Sessions { frame: frame(), done: None, sessions: sessions[..1].to_vec() }.render()),
        ("activity", Activity { frame: frame(), entries }.render()),
        ("activity-empty", Activity { frame: frame(), entries: vec![] }.render()),
    ]
}

fn passkey_pages() -> Vec<(&'static str, askama::Result<String>)> {
    let frame = || signed_in(PageKind::Passkeys);
    let cards = vec![
        passkey(1, "iCloud Keychain", Kept::Account),
        passkey(2, HOSTILE, Kept::Copyable),
        passkey(3, "Work laptop", Kept::Device),
        passkey(4, "YubiKey 5", Kept::SecurityKey),
    ];
    let imported = passkey(5, "Imported", Kept::Unknown);
    let rename = |typed: &str, problem| Rename {
        frame: signed_in(PageKind::Plain),
        id: Id::new(Uuid::from_u128(1)),
        name: HOSTILE.into(),
        typed: typed.into(),
        problem,
    };
    let remove = |n: usize, last_way| Remove { frame: signed_in(PageKind::Plain), passkey: cards[n].clone(), last_way };
    vec![
        (
            "passkeys",
            Passkeys { frame: frame(), done: Some(Done::PasskeyAdded), passkeys: cards.clone(), unusable: vec![] }
                .render(),
        ),
        ("passkeys-none", Passkeys { frame: frame(), done: None, passkeys: vec![], unusable: vec![] }.render()),
        (
            "passkeys-unusable",
            Passkeys {
                frame: frame(),
                done: None,
                passkeys: vec![imported],
                unusable: vec![HOSTILE.into(), "Old key".into()],
            }
            .render(),
        ),
        ("rename", rename(HOSTILE, None).render()),
        ("rename-empty", rename("", Some(NameProblem::Empty)).render()),
        ("rename-long", rename(&"x".repeat(65), Some(NameProblem::Long)).render()),
        ("rename-unprintable", rename("a\u{202e}b", Some(NameProblem::Unprintable)).render()),
        ("remove", remove(0, false).render()),
        ("remove-hostile", remove(1, false).render()),
        ("remove-last", remove(3, true).render()),
        ("resume", Resume { frame: signed_in(PageKind::Plain), id: cards[1].id, name: cards[1].name.clone() }.render()),
    ]
}

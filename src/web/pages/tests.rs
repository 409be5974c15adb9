//! Every page, rendered and read: the rules that hold for all of them, and the catalogue's completeness.
//!
//! `PASSMINT_PAGES=<folder> cargo test --lib web::pages -- --ignored write_the_pages` writes them out to be looked at.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use askama::Template;
use chrono::{Duration, TimeZone, Utc};
use serde_json::json;
use uuid::Uuid;

use super::account::{Activity, Done, Entry, Happened, Overview, Section, SessionCard, Sessions};
use super::confirm::{Confirm, Reason};
use super::developer::Developer;
use super::docs::{DocLink, DocPage, OwnMarkup};
use super::error::{ErrorPage, Kind};
use super::passkeys::{Kept, NameProblem, PasskeyCard, Passkeys, Remove, Rename};
use super::sign_in::{AppChip, Scriptless, SignIn, SignUp, SignedOut, Way};
use super::{AccountCard, Armed, Boot, FooterLink, Frame, PageKind, Theme, assets, messages};
use crate::clock::Time;
use crate::domain::id::Id;

/// What a hostile user would call themselves.
const HOSTILE: &str = r#"<img src=x onerror="alert(1)"> & 'co' </script>"#;

fn now() -> Time {
    Utc.with_ymd_and_hms(2026, 3, 14, 15, 9, 26).unwrap()
}

/// A frame as a handler makes it, signed out.
pub(super) fn frame() -> Frame {
    Frame {
        locale: messages::ENGLISH,
        theme: Theme::Auto,
        realm: "Passmint".into(),
        public_host: "localhost:8080".into(),
        nonce: "bm9uY2Utbm9uY2Utbm9uY2U".into(),
        csrf: Some("csrf-token".into()),
        signed_in: None,
        footer: vec![
            FooterLink::Help("https://help.example/".into()),
            FooterLink::Privacy("/privacy".into()),
            FooterLink::Developer,
            FooterLink::Docs("/docs".into()),
        ],
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

fn signed_in(page: PageKind) -> Frame {
    Frame { signed_in: Some(account()), ..frame_for(page) }
}

fn account() -> AccountCard {
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
        last_used_from: Some("Chrome on Windows, Lisbon".into()),
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

fn sign_in() -> SignIn {
    SignIn {
        frame: frame_for(PageKind::SignIn),
        app: None,
        email: String::new(),
        bad_email: false,
        right_address: None,
        passkeys: true,
        sign_up: SignUp::Open,
        ways: vec![],
        contact: Some("help@example.com".into()),
    }
}

fn ways() -> Vec<Way> {
    vec![
        Way::Password("/p".into()),
        Way::Email("/e".into()),
        Way::Recovery("/r".into()),
        Way::Upstream(HOSTILE.into(), "/u".into()),
    ]
}

/// Every page in every state that has markup of its own, by name.
fn pages() -> Vec<(&'static str, String)> {
    let mut pages = vec![
        ("sign-in", sign_in().render()),
        (
            "sign-in-app",
            SignIn {
                app: Some(AppChip { name: "Acme Notes".into(), host: "notes.acme.example".into() }),
                ways: ways(),
                ..sign_in()
            }
            .render(),
        ),
        ("sign-in-bad-email", SignIn { email: "ana@".into(), bad_email: true, ..sign_in() }.render()),
        ("sign-in-wrong-origin", SignIn { right_address: Some("http://localhost:8080/".into()), ..sign_in() }.render()),
        ("sign-in-sso", SignIn { passkeys: false, ways: ways(), contact: None, ..sign_in() }.render()),
        ("scriptless", Scriptless { frame: frame(), ways: ways() }.render()),
        ("signed-out", SignedOut { frame: frame() }.render()),
    ];
    pages.extend(account_pages());
    pages.extend(passkey_pages());
    let confirm = Confirm {
        frame: signed_in(PageKind::StepUp),
        account: account(),
        reason: Reason::RemovePasskey("YubiKey 5".into()),
        expired: false,
        has_passkey: true,
        cancel: "/account".into(),
    };
    for (name, reason) in [
        ("confirm-add", Reason::AddPasskey),
        ("confirm-others", Reason::SignOutOthers),
        ("confirm-any", Reason::Continue),
    ] {
        pages.push((name, Confirm { reason, expired: true, has_passkey: false, ..confirm.clone() }.render()));
    }
    pages.push(("confirm", confirm.render()));
    for (name, bridges) in
        [("developer", vec!["firebase".to_owned(), "supabase".to_owned()]), ("developer-no-bridge", vec![])]
    {
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
            nav: vec![link("Overview", false), link("Passkeys over REST", true)],
        }
        .render(),
    ));
    pages.into_iter().map(|(name, html)| (name, html.unwrap())).collect()
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
        Happened::SessionEnded,
        Happened::TokensIssued,
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
    };
    let sessions = vec![session(1, true, "Firefox on Linux"), session(2, false, HOSTILE)];
    vec![
        ("account", overview.clone().render()),
        ("account-empty", Overview { done: None, passkeys: 0, sessions: 1, latest: None, ..overview }.render()),
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
    let rename = |typed: &str, problem| Rename {
        frame: signed_in(PageKind::Plain),
        id: Id::new(Uuid::from_u128(1)),
        name: HOSTILE.into(),
        typed: typed.into(),
        problem,
    };
    let remove = |n: usize, last_way| Remove { frame: signed_in(PageKind::Plain), passkey: cards[n].clone(), last_way };
    vec![
        ("passkeys", Passkeys { frame: frame(), done: Some(Done::PasskeyAdded), passkeys: cards.clone() }.render()),
        ("passkeys-none", Passkeys { frame: frame(), done: None, passkeys: vec![] }.render()),
        ("rename", rename(HOSTILE, None).render()),
        ("rename-empty", rename("", Some(NameProblem::Empty)).render()),
        ("rename-long", rename(&"x".repeat(65), Some(NameProblem::Long)).render()),
        ("remove", remove(0, false).render()),
        ("remove-hostile", remove(1, false).render()),
        ("remove-last", remove(3, true).render()),
    ]
}

/// The values of an attribute, in the order of the document.
fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let wanted = format!(" {name}=\"");
    html.match_indices(&wanted).map(|(at, _)| html[at + wanted.len()..].split('"').next().unwrap()).collect()
}

#[test]
fn every_page_keeps_the_rules() {
    for (name, html) in pages() {
        assert_eq!(html.matches("<h1").count(), 1, "{name}: one h1");
        assert_eq!(html.matches("<title>").count(), 1, "{name}");
        every_element_is_closed(name, &html);
        assert!(
            !html.contains(" style=") && !html.contains("<style") && !html.contains("javascript:"),
            "{name}: inline style"
        );
        let tags = html.split('<').map(|tag| tag.split('>').next().unwrap());
        for tag in tags {
            let handler = tag.split_whitespace().skip(1).any(|word| word.starts_with("on") && word.contains('='));
            assert!(!handler || tag.contains('&'), "{name}: inline handler in <{tag}>");
        }
        let ids = attributes(&html, "id");
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "{name}: ids are unique: {ids:?}");
        for wanted in ["for", "aria-describedby", "aria-labelledby", "data-copy", "data-close"] {
            for id in attributes(&html, wanted).into_iter().flat_map(str::split_whitespace) {
                assert!(ids.contains(&id), "{name}: {wanted} names {id}, which is not there");
            }
        }
        every_field_is_labelled(name, &html);
        every_post_carries_the_token(name, &html);
    }
}

fn every_element_is_closed(name: &str, html: &str) {
    let void = ["meta", "link", "input", "!doctype"];
    let mut open = vec![];
    for tag in html.split('<').skip(1).map(|tag| tag.split('>').next().unwrap()) {
        let element = tag.trim_start_matches('/').split_whitespace().next().unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(element), "{name}: </{element}>");
        } else if !void.contains(&element) {
            open.push(element);
        }
    }
    assert!(open.is_empty(), "{name}: {open:?} not closed");
}

fn every_field_is_labelled(name: &str, html: &str) {
    let labels = attributes(html, "for");
    for tag in html.split('<').filter(|tag| tag.starts_with("input ") || tag.starts_with("select ")) {
        if tag.contains("type=\"hidden\"") || tag.contains("type=\"radio\"") {
            continue;
        }
        let id = attributes(tag, "id");
        assert!(id.first().is_some_and(|id| labels.contains(id)), "{name}: no label for <{tag}");
        assert!(!tag.contains("placeholder"), "{name}: a placeholder is no label");
    }
}

fn every_post_carries_the_token(name: &str, html: &str) {
    for form in html.split("<form ").skip(1) {
        let form = form.split("</form>").next().unwrap();
        assert!(form.contains("method=\"post\""), "{name}");
        assert!(form.contains(r#"<input type="hidden" name="csrf" value="csrf-token">"#), "{name}: {form}");
        assert!(attributes(&format!(" {form}"), "action")[0].starts_with('/'), "{name}: forms stay on our origin");
    }
}

#[test]
fn what_people_wrote_is_never_markup() {
    for (name, html) in pages() {
        assert!(!html.contains("<img"), "{name}");
        assert_eq!(html.matches("</script>").count(), 2, "{name}");
    }
    let mut hostile = sign_in();
    hostile.frame.boot.next = Some("/</script><script>&\u{2028}".into());
    hostile.frame.realm = HOSTILE.into();
    let html = hostile.render().unwrap();
    assert_eq!(html.matches("</script>").count(), 2);
    let boot = html.split("id=\"boot\">").nth(1).unwrap().split("</script>").next().unwrap();
    let boot: serde_json::Value = serde_json::from_str(boot).unwrap();
    assert_eq!(boot["next"], "/</script><script>&\u{2028}");
    assert_eq!(boot["page"], "signIn");
    assert_eq!(boot["armed"]["expiresIn"], 300);
    assert_eq!(boot["words"]["waiting"], "Waiting for your device…");
}

#[test]
fn errors_come_first_in_the_title() {
    for (name, html) in pages() {
        let title = html.split("<title>").nth(1).unwrap().split("</title>").next().unwrap();
        let wrong = name.starts_with("error-") || matches!(name, "sign-in-bad-email" | "rename-empty" | "rename-long");
        assert_eq!(title.starts_with("Error: "), wrong, "{name}: {title}");
        assert!(title.ends_with(" – Passmint"), "{name}: {title}");
    }
}

#[test]
fn the_sign_in_page_as_its_states_want_it() {
    let html = sign_in().render().unwrap();
    assert!(html.contains(r#"autocomplete="username webauthn""#) && html.contains(" autofocus"));
    assert!(html.find("id=\"pk\"").unwrap() < html.find("id=\"em\"").unwrap(), "the button comes first");
    assert!(html.contains("id=\"new\"") && html.contains("id=\"other\"") && html.contains("id=\"trouble\""));

    let html = SignIn { sign_up: SignUp::Closed, email: "ana@example.com".into(), ..sign_in() }.render().unwrap();
    assert!(!html.contains("id=\"new\"") && !html.contains(" autofocus"));

    let html = SignIn { right_address: Some("http://localhost:8080/".into()), ..sign_in() }.render().unwrap();
    assert_eq!(html.matches("<fieldset disabled>").count(), 2, "the server disables the forms, not the script");
    assert!(html.contains(r#"href="http://localhost:8080/""#));

    let html = SignIn { passkeys: false, ways: ways(), ..sign_in() }.render().unwrap();
    assert!(!html.contains("data-ceremony") && !html.contains("webauthn\""), "enforced single sign-on has no passkey");
}

#[test]
fn the_sign_in_page_stays_under_forty_kilobytes() {
    let assets = [assets::urls().css, assets::urls().module, assets::urls().icons];
    let files: usize =
        assets.iter().map(|url| assets::find(url.strip_prefix(assets::PREFIX).unwrap()).unwrap().bytes.len()).sum();
    let page = sign_in().render().unwrap().len();
    assert!(page <= 16 * 1024, "the page alone has {page} bytes");
    assert!(files + page <= 64 * 1024, "{files} + {page} bytes before compression");
}

#[test]
fn banners_come_from_codes_and_nothing_else() {
    for done in Done::ALL {
        assert_eq!(Done::from_code(done.code()), Some(done));
    }
    for code in ["", "Welcome", HOSTILE] {
        assert_eq!(Done::from_code(code), None);
    }
    assert_eq!(Section::ALL.map(|section| section.href()).len(), 4);
}

#[test]
fn moments_are_told_as_people_say_them() {
    let frame = frame();
    for (at, text) in [
        (now(), "today, 15:09 UTC"),
        (now() - Duration::hours(20), "yesterday, 19:09 UTC"),
        (now() - Duration::days(40), "2 February 2026"),
    ] {
        let html = frame.when(&at).to_string();
        assert!(html.ends_with(&format!(">{text}</time>")) && html.starts_with("<time datetime=\"2026-"), "{html}");
    }
}

// ---- The catalogue against what uses it

fn room() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/pages")
}

fn files(folder: &Path, extension: &str) -> Vec<(String, String)> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

/// Removes everything between two marks, marks included.
fn without(text: &str, open: &str, close: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(open) {
        out.push_str(before);
        rest = after.split_once(close).map_or("", |(_, after)| after);
    }
    out + rest
}

/// Words that stand in a template itself: text nodes, and attributes that are read out.
fn words_outside_the_catalogue(template: &str) -> Vec<String> {
    let mut bare = template.to_owned();
    // The shape of the page is a class, given as a block.
    for (open, close) in [("{% block shape %}", "{% endblock %}"), ("{#", "#}"), ("{{", "}}"), ("{%", "%}")] {
        bare = without(&bare, open, close);
    }
    let mut said: Vec<String> = ["aria-label", "title", "placeholder", "alt"]
        .iter()
        .flat_map(|name| attributes(&bare, name))
        .map(str::to_owned)
        .collect();
    said.extend(without(&bare, "<", ">").split_whitespace().map(str::to_owned));
    said.into_iter().filter(|word| word.chars().any(char::is_alphabetic)).collect()
}

#[test]
fn templates_have_no_words_of_their_own() {
    assert_eq!(words_outside_the_catalogue(r#"<p aria-label="a {{ b }}">{{ t.x }} Hello</p>"#), ["a ", "Hello"]);
    for (path, template) in files(&room().join("templates"), "html") {
        let words = words_outside_the_catalogue(&template);
        assert!(words.is_empty(), "{path} says {words:?} by itself");
        assert!(!template.contains("|safe"), "{path}: nothing is marked safe in a template");
    }
}

#[test]
fn the_module_has_no_words_of_its_own() {
    let module = include_str!("assets/passkey.js");
    let code: String = module
        .lines()
        .filter(|line| !line.trim_start().starts_with("//") && !line.trim_start().starts_with("/**"))
        .map(|line| line.split("; // ").next().unwrap())
        .collect::<Vec<_>>()
        .join("\n");
    for (n, literal) in code.split('"').enumerate().filter(|(n, _)| n % 2 == 1) {
        let words = literal.split(' ').filter(|word| word.len() > 1 && word.chars().all(char::is_alphabetic)).count();
        let classes = ["problem fault", "btn btn-small"].contains(&literal);
        assert!(words < 2 || classes, "literal {n} speaks: {literal:?}");
        assert!(!literal.contains('\n'), "the scan lost its place near {literal:?}");
    }
    for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", ".style"] {
        assert!(!module.contains(sink), "{sink} is blocked by the content security policy");
    }
}

#[test]
fn every_text_is_used() {
    let mut sources: String = files(&room().join("templates"), "html").into_iter().map(|(_, text)| text).collect();
    sources.extend(
        files(&room(), "rs")
            .into_iter()
            .filter(|(path, _)| !path.ends_with("english.rs") && !path.ends_with("tests.rs"))
            .map(|(_, text)| text),
    );
    let used = |key: &str| {
        sources
            .match_indices(&format!(".{key}"))
            .any(|(at, found)| !sources[at + found.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    let unused: Vec<_> = messages::ENGLISH.texts.entries().into_iter().filter(|(key, ..)| !used(key)).collect();
    assert!(unused.is_empty(), "nothing uses these texts: {unused:#?}");
    let module = include_str!("assets/passkey.js");
    for key in serde_json::to_value(&messages::ENGLISH.texts.module).unwrap().as_object().unwrap().keys() {
        let row = key.strip_suffix("Title").or_else(|| key.strip_suffix("Text")).unwrap_or(key);
        let used = [format!("w.{key}"), format!("\"{row}\""), format!(" {row}: [")];
        assert!(used.iter().any(|use_| module.contains(use_)), "the module never says {key}");
    }
}

#[test]
fn every_icon_is_in_the_sprite() {
    let sprite = include_str!("assets/icons.svg");
    let there: HashSet<_> = attributes(sprite, "id").into_iter().collect();
    let mut wanted = HashSet::new();
    let pages = pages();
    for (_, html) in &pages {
        wanted.extend(
            attributes(html, "href").into_iter().filter_map(|href| href.split_once(".svg#")).map(|(_, icon)| icon),
        );
    }
    assert_eq!(wanted, there, "icons that pages show, icons that the sprite has");
}

#[test]
#[ignore = "writes the pages into $PASSMINT_PAGES, to be looked at in a browser"]
fn write_the_pages() {
    let folder = PathBuf::from(std::env::var_os("PASSMINT_PAGES").expect("PASSMINT_PAGES names a folder"));
    fs::create_dir_all(folder.join("assets")).unwrap();
    for url in [assets::urls().css, assets::urls().module, assets::urls().icons] {
        let name = url.strip_prefix(assets::PREFIX).unwrap();
        fs::write(folder.join("assets").join(name), assets::find(name).unwrap().bytes).unwrap();
    }
    for (name, html) in pages() {
        fs::write(folder.join(format!("{name}.html")), &html).unwrap();
        let dark = html.replacen("dir=\"ltr\">", "dir=\"ltr\" data-theme=\"dark\">", 1);
        fs::write(folder.join(format!("{name}.dark.html")), dark).unwrap();
    }
}

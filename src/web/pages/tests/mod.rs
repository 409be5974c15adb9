//! The rules that hold for all pages, checked on every rendered page.
//!
//! `PASSMINT_PAGES=<folder> cargo test --lib web::pages -- --ignored write_the_pages` writes the pages to a folder for
//! inspection.

mod catalogue;
mod openid;
mod samples;

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use askama::Template;
use chrono::Duration;

use super::account::{Done, Section};
use super::assets;
use super::sign_in::{AppChip, Asked, Scriptless, SignIn, SignUp};
pub(super) use samples::frame;
use samples::{HOSTILE, create, now, pages, sign_in, ways};

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
            html.contains(r#"<meta name="referrer" content="same-origin">"#),
            "{name}: forms must tell their origin"
        );
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
    let void = ["meta", "link", "input", "img", "!doctype"];
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
        if form.contains(" data-submit") {
            assert!(!form.contains("csrf"), "{name}: what guards our forms is nothing for an app");
            continue;
        }
        assert!(form.contains(r#"<input type="hidden" name="csrf" value="csrf-token">"#), "{name}: {form}");
        assert!(attributes(&format!(" {form}"), "action")[0].starts_with('/'), "{name}: forms stay on our origin");
    }
}

#[test]
fn what_people_wrote_is_never_markup() {
    for (name, html) in pages() {
        let images = html.split("<img").skip(1);
        for image in images {
            assert!(
                image.starts_with(r#" class="logo" src="data:image/png;base64,"#),
                "{name}: pictures are our own: {image:.40}"
            );
        }
        let modules = 1 + html.matches(assets::urls().action).count();
        assert_eq!(html.matches("</script>").count(), modules + 1, "{name}: the modules, and the data for them");
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
        let states = [
            "sign-in-bad-email",
            "rename-empty",
            "rename-long",
            "rename-unprintable",
            "device-wrong",
            "device-wait",
            "device-all-wrong",
            "device-unticked",
        ];
        let wrong = name.starts_with("error-") || states.contains(&name);
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

/// OpenID Connect's `prompt=create`.
#[test]
fn an_app_that_wants_a_new_account_gets_the_page_that_makes_one() {
    let html = create().render().unwrap();
    assert!(html.contains("<title>Create a passkey – Passmint</title>"));
    assert!(html.contains(r#"<h1 id="new-title" tabindex="-1">Create a passkey</h1>"#));
    assert!(html.contains(r#"<section id="new" class="new" aria-labelledby="new-title">"#), "the form is to be seen");
    assert!(html.contains(r#"value="ana@example.com" aria-describedby="new-email-hint""#), "with the app's hint");
    assert!(html.contains(r#"href="/oauth/interaction/pmi_x/another">Sign in</a>"#), "for those who have one");
    assert!(!html.contains(" autofocus") && !html.contains("data-close"));

    let right_address = Some("http://localhost:8080/".to_owned());
    for plain in [SignIn { sign_up: SignUp::Closed, ..create() }, SignIn { right_address, ..create() }] {
        let html = plain.render().unwrap();
        assert!(html.contains("<h1>Sign in</h1>") && !html.contains("id=\"new\""), "nobody may create one here");
    }
}

/// Without script, the purpose of the pressed button is not lost.
#[test]
fn every_form_that_needs_script_says_where_it_leads() {
    let mut view = sign_in();
    view.frame.boot.next = Some("/oauth/interaction/pmi_x".into());
    let html = view.render().unwrap();
    let carried = r#"<input type="hidden" name="next" value="/oauth/interaction/pmi_x">"#;
    assert_eq!(html.matches(carried).count(), html.matches("<form ").count());
    assert!(!sign_in().render().unwrap().contains("name=\"next\""));

    let back = "/oauth/interaction/pmi_x".to_owned();
    let html = Scriptless { frame: frame(), back, ways: vec![] }.render().unwrap();
    assert!(html.contains(r#"href="/oauth/interaction/pmi_x">Back to sign in</a>"#));
}

#[test]
fn the_panel_creates_nothing_where_nobody_may_sign_up() {
    for (name, html) in pages().into_iter().filter(|(name, _)| name.starts_with("developer")) {
        assert_eq!(html.contains("name=\"create\""), name != "developer-no-sign-up", "{name}");
    }
}

#[test]
fn the_form_for_new_people_asks_what_the_operator_wants() {
    for (name, email) in [(false, false), (true, false), (false, true), (true, true)] {
        let html = SignIn { sign_up: SignUp::Open(Asked { name, email }), ..sign_in() }.render().unwrap();
        assert_eq!(html.contains("id=\"new-name\""), name, "name {name}, e-mail {email}");
        assert_eq!(html.contains("id=\"new-email\""), email, "name {name}, e-mail {email}");
        assert!(html.contains("data-ceremony=\"create\""), "the button is there");
    }
}

#[test]
fn who_was_sent_by_an_app_can_go_back_to_it() {
    let app = AppChip { name: HOSTILE.into(), host: "notes.acme.example".into() };
    let cancel = "/oauth/interaction/pmi_x/cancel";
    let html = SignIn { app: Some(app.clone()), cancel: Some(cancel.into()), ..sign_in() }.render().unwrap();
    assert!(html.contains(&format!("href=\"{cancel}\"")) && html.contains("Cancel and return to <bdi>"), "{html}");
    let html = SignIn { app: Some(app), ..sign_in() }.render().unwrap();
    assert!(!html.contains("Cancel and return"), "only where there is a way back");
}

/// Checks of pages, T25 and T29: each reason has a heading, a text, and a row of the module.
#[test]
fn each_refusal_after_a_good_passkey_has_its_own_words() {
    let module = include_str!("../assets/passkey.js");
    let words = serde_json::to_value(&frame().t().module).unwrap();
    for (reason, row, heading) in [
        ("account_disabled", "turnedOff", "This account is turned off"),
        ("passkey_paused", "paused", "This passkey is paused for your safety"),
        ("no_group", "noGroup", "This app is not for your account"),
    ] {
        assert!(module.contains(&format!("{reason}: \"{row}\"")), "{reason} is shown as {row}");
        assert!(module.contains(&format!("{row}: [")), "{row} says what to do next");
        assert_eq!(words[format!("{row}Title")], heading);
        assert!(words[format!("{row}Text")].as_str().is_some_and(|text| !text.is_empty()), "{row}");
    }
}

#[test]
fn the_sign_in_page_stays_under_forty_kilobytes() {
    let assets = [assets::urls().css, assets::urls().module, assets::urls().icons];
    let files: usize =
        assets.iter().map(|url| assets::find(url.strip_prefix(assets::PREFIX).unwrap()).unwrap().gzip.len()).sum();
    let page = sign_in().render().unwrap().len();
    assert!(page <= 16 * 1024, "the page alone has {page} bytes");
    assert!(files + page <= 40 * 1000, "{files} + {page} bytes");
}

#[test]
fn banners_come_from_codes_and_nothing_else() {
    for done in Done::ALL {
        assert_eq!(Done::from_code(done.code()), Some(done));
    }
    for code in ["", "Welcome", HOSTILE] {
        assert_eq!(Done::from_code(code), None);
    }
    assert_eq!(Section::ALL.map(|section| section.href()).len(), 5);
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

#[test]
#[ignore = "writes the pages into $PASSMINT_PAGES, to be looked at in a browser"]
fn write_the_pages() {
    let folder = PathBuf::from(std::env::var_os("PASSMINT_PAGES").expect("PASSMINT_PAGES names a folder"));
    fs::create_dir_all(folder.join("assets")).unwrap();
    for url in [assets::urls().css, assets::urls().module, assets::urls().icons, assets::urls().action] {
        let name = url.strip_prefix(assets::PREFIX).unwrap();
        fs::write(folder.join("assets").join(name), assets::find(name).unwrap().bytes).unwrap();
    }
    for (name, html) in pages() {
        fs::write(folder.join(format!("{name}.html")), &html).unwrap();
        let dark = html.replacen("dir=\"ltr\">", "dir=\"ltr\" style=\"color-scheme: dark\">", 1);
        fs::write(folder.join(format!("{name}.dark.html")), dark).unwrap();
    }
}

//! The site's operator, as shown on its pages: where people find help, what happens to their data, whom to contact.

use super::problems::{Wrong, quoted};
use super::reader::Reader;
use super::section::{Fallback, Kind, Section, key};
use crate::domain::client::fields;
use crate::domain::text::Email;

/// Information about the site's operator. Whatever is not given is not shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// Their help page.
    pub help_url: Option<String>,
    /// Their privacy statement.
    pub privacy_url: Option<String>,
    /// Their terms of service.
    pub terms_url: Option<String>,
    /// How to contact them: `mailto:` and an address, or the URL of a page.
    pub contact: Option<String>,
}

pub(super) const SECTION: Section = Section {
    title: "Site",
    doc: "Who runs this site, as its pages tell people. Each is a link at the foot of every page; what is left out is shown nowhere.",
    keys: &[
        key("site.help_url", Kind::Text("https address"), Fallback::Unset, "Your help page about signing in."),
        key("site.privacy_url", Kind::Text("https address"), Fallback::Unset, "Your privacy statement."),
        key("site.terms_url", Kind::Text("https address"), Fallback::Unset, "Your terms of service."),
        key(
            "site.contact",
            Kind::Text("`mailto:` and an address, or an https address"),
            Fallback::Unset,
            "Where people turn to you. Pages that tell them to ask those who run the service link it there, too.",
        ),
    ],
};

/// Reads the section.
pub(super) fn read(reader: &mut Reader<'_>) -> Site {
    Site {
        help_url: reader.text_as("site.help_url", web_address),
        privacy_url: reader.text_as("site.privacy_url", web_address),
        terms_url: reader.text_as("site.terms_url", web_address),
        contact: reader.text_as("site.contact", contact),
    }
}

fn web_address(text: &str) -> Result<String, Wrong> {
    fields::web_address(text).map(|()| text.to_owned()).map_err(|fault| Wrong::in_value(text, fault))
}

fn contact(text: &str) -> Result<String, Wrong> {
    match text.strip_prefix("mailto:") {
        Some(address) if is_mail_address(address) => Ok(text.to_owned()),
        Some(_) => Err(Wrong::new(
            format!("{} is not an e-mail address alone", quoted(text)),
            "write \"mailto:help@example.com\", without a subject or a second address",
        )),
        None if is_mail_address(text) => {
            Err(Wrong::new(format!("{} is no link", quoted(text)), format!("write \"mailto:{text}\"")))
        }
        None => web_address(text),
    }
}

/// Whether this is a single address that can be put into a link unchanged: no character has a special meaning there
/// (RFC 6068 §2).
fn is_mail_address(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_+@".contains(c);
    text.chars().all(plain) && Email::parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::load_file;

    #[test]
    fn nothing_is_told_unless_it_is_given() {
        assert_eq!(load_file("").unwrap().site, Site::default());
        let text = "[site]\nhelp_url = \"https://example.com/help\"\nprivacy_url = \"https://example.com/privacy\"\n\
                    terms_url = \"https://example.com/terms\"\ncontact = \"mailto:help+id@example.com\"";
        let site = load_file(text).unwrap().site;
        assert_eq!(site.help_url.as_deref(), Some("https://example.com/help"));
        assert_eq!(site.privacy_url.as_deref(), Some("https://example.com/privacy"));
        assert_eq!(site.terms_url.as_deref(), Some("https://example.com/terms"));
        assert_eq!(site.contact.as_deref(), Some("mailto:help+id@example.com"));
        let page = load_file("site.contact = \"https://example.com/contact\"").unwrap().site;
        assert_eq!(page.contact.as_deref(), Some("https://example.com/contact"));
    }

    #[test]
    fn what_could_lead_elsewhere_is_a_mistake() {
        for (name, line, said) in [
            ("plain http", "help_url = \"http://example.com/\"", "is not an https address"),
            ("a script", "privacy_url = \"javascript:alert(1)\"", "is not an https address"),
            ("a path", "terms_url = \"/terms\"", "is not an https address"),
            ("empty", "help_url = \"\"", "is empty"),
            ("an address without its scheme", "contact = \"help@example.com\"", "write \"mailto:help@example.com\""),
            ("a subject", "contact = \"mailto:a@example.com?subject=x\"", "is not an e-mail address alone"),
            ("two addresses", "contact = \"mailto:a@example.com,b@example.com\"", "is not an e-mail address alone"),
            ("a telephone", "contact = \"tel:+441\"", "is not an https address"),
            ("a slip", "contact_url = \"https://example.com/\"", "there is no such setting"),
        ] {
            let problems = load_file(&format!("[site]\n{line}")).unwrap_err().to_string();
            assert!(problems.starts_with("site.") && problems.contains(said), "{name}: {problems}");
        }
    }
}

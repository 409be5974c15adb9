//! What every page has: its head, header and footer, the account it is shown to, and the data for the page module.

use chrono::Datelike;
use serde::Serialize;
use serde_json::{Value, json};

use super::assets;
use super::messages::{Html, Locale, Texts};
use crate::clock::Time;

/// The frame around a page. Every view holds one as `frame`.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The language of the page.
    pub locale: Locale,
    /// The name of this installation as people know it.
    pub realm: String,
    /// What stands before the paths of our pages: nothing under our public address; that address on pages that are read at the
    /// administration listener.
    pub base: String,
    /// Host (and port, when unusual) of our own public address, shown in the footer.
    pub public_host: String,
    /// The nonce of this answer's content security policy.
    pub nonce: String,
    /// The synchroniser token for forms. Requests in JSON need none, they count by where their browser says they come from; the
    /// page module sends it with those that act for an account.
    pub csrf: Option<String>,
    /// Who is signed in, if anybody.
    pub signed_in: Option<AccountCard>,
    /// Links at the foot of the page.
    pub footer: Vec<FooterLink>,
    /// Where people turn to those who run the site, where they said so.
    pub contact: Option<String>,
    /// The request's time, against which the page's moments are told.
    pub now: Time,
    /// What the page module is told.
    pub boot: Boot,
}

/// A person, as their own pages show them.
#[derive(Clone, Debug, Default)]
pub struct AccountCard {
    /// Their name, if they gave one.
    pub name: Option<String>,
    /// Their e-mail address, if they gave one.
    pub email: Option<String>,
    /// A short form of the account's id, for accounts with neither.
    pub short_id: String,
}

impl AccountCard {
    /// The line that stands first: name, else e-mail, else the short id.
    pub fn title(&self) -> &str {
        self.name.as_deref().or(self.email.as_deref()).unwrap_or(&self.short_id)
    }

    /// The line below, when it says something new.
    pub fn detail(&self) -> Option<&str> {
        self.email.as_deref().filter(|_| self.name.is_some())
    }

    /// One letter for the round badge (decoration; a screen reader never hears it).
    pub fn initial(&self) -> String {
        self.title().chars().find(|c| c.is_alphanumeric()).map(|c| c.to_uppercase().to_string()).unwrap_or_default()
    }
}

/// A link at the foot of each page.
#[derive(Clone, Debug)]
pub enum FooterLink {
    /// The operator's help page.
    Help(String),
    /// Where the operator is asked.
    Contact(String),
    /// The operator's privacy statement.
    Privacy(String),
    /// The operator's terms of service.
    Terms(String),
    /// Our developer panel.
    Developer,
    /// Our documentation, at this path.
    Docs(String),
}

impl FooterLink {
    /// Where it leads, from a page with this [base](Frame::base).
    pub fn href(&self, base: &str) -> String {
        match self {
            Self::Help(href) | Self::Contact(href) | Self::Privacy(href) | Self::Terms(href) | Self::Docs(href) => {
                href.clone()
            }
            Self::Developer => format!("{base}/developer"),
        }
    }

    /// Its words.
    pub fn label(&self, t: &Texts) -> &'static str {
        match self {
            Self::Help(_) => t.footer_help,
            Self::Contact(_) => t.footer_contact,
            Self::Privacy(_) => t.footer_privacy,
            Self::Terms(_) => t.footer_terms,
            Self::Developer => t.footer_developer,
            Self::Docs(_) => t.footer_docs,
        }
    }
}

/// What the module does on a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PageKind {
    /// Nothing but copy buttons and focus.
    #[default]
    Plain,
    /// Signing in: autofill, the button, creating for new people.
    SignIn,
    /// A fresh verification of somebody who is signed in.
    StepUp,
    /// The list of passkeys: adding.
    Passkeys,
    /// The developer panel: the result is shown instead of followed.
    Developer,
    /// An app lets somebody do one thing.
    Action,
}

/// Options for an autofill request, made together with the page so that the module needs no request of its own.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Armed {
    /// The ceremony that the options belong to.
    pub ceremony_id: String,
    /// Seconds until its challenge is void.
    pub expires_in: u64,
    /// WebAuthn request options in their JSON form, without `allowCredentials`.
    pub public_key: Value,
}

/// What the page module is told in `#boot`, beside its words.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Boot {
    /// What the page is for.
    pub page: PageKind,
    /// Where to go after success: a path on our own origin, already checked by the server (the module checks again).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Options for autofill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub armed: Option<Armed>,
    /// Signal API data to report once the page is open (after a removal, on the list of passkeys).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<Value>,
    /// Whether passkeys are made on the device itself and nowhere else, as the operator has decided; filled in for all pages.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub here_only: bool,
}

impl Frame {
    /// The words of the page's language.
    pub fn t(&self) -> &'static Texts {
        self.locale.texts
    }

    /// Addresses of the assets.
    pub fn assets(&self) -> assets::AssetUrls {
        assets::urls()
    }

    /// The mark of the browser's tab, in the address itself: no request of its own.
    pub fn favicon(&self) -> &'static str {
        concat!(
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'%3E%3Cpath fill='%230a9b6d' ",
            "d='M20.6 3.4c-6.9-.7-12 1.2-14.6 4.7-2 2.7-2 6-.6 8.5 1.5-4 4.6-7.2 9-9-3.9 2.7-7 6.7-8.3 12.1a1.1 1.1 0 0 0 2.2.5",
            "c.2-1 .5-1.9.8-2.8 3 .9 6.1.2 8.2-2.1 2.7-2.9 3.8-7 3.3-11.9z'/%3E%3C/svg%3E"
        )
    }

    /// A decorative icon from the sprite. `name` is a constant of a template, never data.
    pub fn icon(&self, name: &'static str) -> Html {
        Html::trusted(format!(
            r#"<svg class="icon" width="24" height="24" aria-hidden="true" focusable="false"><use href="{}#{name}"></use></svg>"#,
            assets::urls().icons
        ))
    }

    /// A moment as people say it, with the machine's form beside it: "today, 14:05 UTC".
    pub fn when(&self, at: &Time) -> Html {
        Html::trusted(format!(r#"<time datetime="{}">{}</time>"#, at.format("%Y-%m-%dT%H:%M:%SZ"), self.when_text(*at)))
    }

    /// The day of a moment, for the middle of a sentence: "14 March 2026".
    pub(super) fn day(&self, at: Time) -> String {
        self.t().on_date(at.day(), self.t().month(at.month0()), at.year())
    }

    fn when_text(&self, at: Time) -> String {
        let clock = at.format("%H:%M");
        match self.now.date_naive().signed_duration_since(at.date_naive()).num_days() {
            0 => self.t().today_at(clock),
            1 => self.t().yesterday_at(clock),
            _ => self.day(at),
        }
    }

    /// `#boot`: JSON with `<`, `>` and `&` as escapes, so that no value can end the script element it stands in.
    pub fn boot_json(&self) -> Html {
        let mut boot = json!(self.boot);
        boot["lang"] = json!(self.locale.lang);
        boot["words"] = json!(self.t().module);
        if let Some(contact) = &self.contact {
            boot["contact"] = json!(contact);
        }
        let text = boot.to_string();
        let text = text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
        Html::trusted(text.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029"))
    }
}

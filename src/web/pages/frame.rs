//! What every page has: its head, header and footer, the signed-in account, and the data for the page module.

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
    /// The display name of this installation.
    pub realm: String,
    /// The prefix of links to our pages: empty under our public URL; that URL on pages served by the administration
    /// listener.
    pub base: String,
    /// Host (and port, if not the default) of our public URL, shown in the footer.
    pub public_host: String,
    /// The nonce of the content security policy.
    pub nonce: String,
    /// The synchroniser token for forms. JSON requests do not require one, because they are judged by the origin that
    /// the browser states; the page module sends it with requests that act for an account.
    pub csrf: Option<String>,
    /// The signed-in user, if any.
    pub signed_in: Option<AccountCard>,
    /// The links in the footer.
    pub footer: Vec<FooterLink>,
    /// How to contact the operator, if configured.
    pub contact: Option<String>,
    /// The time of the request, to which the times on the page are relative.
    pub now: Time,
    /// The data for the page module.
    pub boot: Boot,
}

/// A user, as their own pages show them.
#[derive(Clone, Debug, Default)]
pub struct AccountCard {
    /// The name, if they gave one.
    pub name: Option<String>,
    /// The e-mail address, if they gave one.
    pub email: Option<String>,
    /// A short form of the account's ID, for accounts with neither.
    pub short_id: String,
}

impl AccountCard {
    /// The first line: name, else e-mail, else the short ID.
    pub fn title(&self) -> &str {
        self.name.as_deref().or(self.email.as_deref()).unwrap_or(&self.short_id)
    }

    /// The second line, if it adds anything.
    pub fn detail(&self) -> Option<&str> {
        self.email.as_deref().filter(|_| self.name.is_some())
    }

    /// One letter for the round badge (decoration, hidden from screen readers).
    pub fn initial(&self) -> String {
        self.title().chars().find(|c| c.is_alphanumeric()).map(|c| c.to_uppercase().to_string()).unwrap_or_default()
    }
}

/// A link in the footer of every page.
#[derive(Clone, Debug)]
pub enum FooterLink {
    /// The operator's help page.
    Help(String),
    /// The operator's contact.
    Contact(String),
    /// The operator's privacy statement.
    Privacy(String),
    /// The operator's terms of service.
    Terms(String),
    /// Our developer panel.
    Developer,
    /// Our documentation, at this URL.
    Docs(String),
}

impl FooterLink {
    /// The target of the link, from a page with this [base](Frame::base).
    pub fn href(&self, base: &str) -> String {
        match self {
            Self::Help(href) | Self::Contact(href) | Self::Privacy(href) | Self::Terms(href) | Self::Docs(href) => {
                href.clone()
            }
            Self::Developer => format!("{base}/developer"),
        }
    }

    /// The text of the link.
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

/// What the page module does on a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PageKind {
    /// Nothing but copy buttons and focus.
    #[default]
    Plain,
    /// Signing in: autofill, the button, sign-up for new users.
    SignIn,
    /// Confirming the identity of a signed-in user.
    StepUp,
    /// The list of passkeys: adding.
    Passkeys,
    /// The developer panel: the result is shown, and not followed.
    Developer,
    /// One action that an app permits a user.
    Action,
}

/// Options for an autofill request, created with the page so that the module does not have to request them.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Armed {
    /// The ID of the ceremony that the options belong to.
    pub ceremony_id: String,
    /// Seconds until its challenge expires.
    pub expires_in: u64,
    /// WebAuthn request options in their JSON form, without `allowCredentials`.
    pub public_key: Value,
}

/// The data for the page module in `#boot`, apart from its texts.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Boot {
    /// What the page is for.
    pub page: PageKind,
    /// Where to go after success: a path on our own origin, checked by the server (and again by the module).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Options for autofill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub armed: Option<Armed>,
    /// Signal API data to report once the page is open (on the list of passkeys, for example after a removal).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<Value>,
    /// Whether passkeys can be created only on the device itself, as configured. Set for all pages.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub here_only: bool,
}

impl Frame {
    /// The texts in the page's language.
    pub fn t(&self) -> &'static Texts {
        self.locale.texts
    }

    /// The URLs of the assets.
    pub fn assets(&self) -> assets::AssetUrls {
        assets::urls()
    }

    /// The favicon, as a `data:` URL that needs no request.
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

    /// A time for readers, with its machine-readable form: "today, 14:05 UTC".
    pub fn when(&self, at: &Time) -> Html {
        Html::trusted(format!(r#"<time datetime="{}">{}</time>"#, at.format("%Y-%m-%dT%H:%M:%SZ"), self.when_text(*at)))
    }

    /// The day of a time, for use within a sentence: "14 March 2026".
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

    /// `#boot`: JSON with `<`, `>` and `&` escaped, so that no value can end the script element that contains it.
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

//! Scopes in plain words, as consent, the device page and the list of apps show them.
//!
//! What must always hold: a scope that changes something, or that nobody described, is never listed among those that
//! only look; what a resource says about its own scopes is data, printed isolated.
//!
//! To add a scope of ours: its words in the catalogue and its row in [`own_words`].

use super::Frame;
use super::messages::{Html, Texts};

/// What a scope lets an app do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It looks.
    Read,
    /// It changes something, or nobody knows.
    Change,
    /// It goes on while nobody is there.
    Away,
}

impl Reach {
    /// All, in the order of the page.
    const ALL: [Self; 3] = [Self::Read, Self::Change, Self::Away];

    /// The heading of its group.
    pub fn label(&self, t: &Texts) -> &'static str {
        match self {
            Self::Read => t.scopes_read,
            Self::Change => t.scopes_change,
            Self::Away => t.scopes_away,
        }
    }

    /// Its icon in the sprite.
    pub fn icon(&self) -> &'static str {
        match self {
            Self::Read => "person",
            Self::Change => "shield",
            Self::Away => "clock",
        }
    }
}

/// A scope that is asked for or was allowed.
#[derive(Clone, Debug)]
pub struct ScopeItem {
    /// The scope, as it is on the wire.
    pub scope: String,
    /// What the resource that owns it says about it; none for our own.
    pub description: Option<String>,
    /// Whether the person may leave it out: it gets a tick box.
    pub optional: bool,
    /// Whether it was not among those allowed before.
    pub fresh: bool,
}

impl ScopeItem {
    /// A scope that comes with the app and cannot be left out.
    pub fn fixed(scope: &str) -> Self {
        Self { scope: scope.to_owned(), description: None, optional: false, fresh: false }
    }

    /// What it lets an app do.
    pub fn reach(&self) -> Reach {
        if self.scope.starts_with("bridge:") {
            return Reach::Change;
        }
        match self.scope.as_str() {
            "openid" | "profile" | "email" | "address" | "phone" | "groups" => Reach::Read,
            "offline_access" => Reach::Away,
            _ => Reach::Change,
        }
    }

    /// In plain words: ours, else the resource's own, else its name.
    pub fn words(&self, t: &Texts) -> Html {
        if let Some(name) = self.scope.strip_prefix("bridge:").filter(|name| *name != "*") {
            return t.scope_bridge(name);
        }
        if let Some(part) = self.scope.strip_prefix("admin:").filter(|part| *part != "read") {
            return t.scope_admin_part(part);
        }
        match (own_words(&self.scope, t), &self.description) {
            (Some(words), _) => Html::trusted(words.to_owned()),
            (None, Some(description)) => Html::isolated(description),
            (None, None) => t.scope_other(&self.scope),
        }
    }

    /// The name of its tick box in the form; one that comes back ticked stays.
    pub fn field(&self) -> String {
        format!("allow:{}", self.scope)
    }
}

/// Our own scopes.
fn own_words(scope: &str, t: &Texts) -> Option<&'static str> {
    Some(match scope {
        "openid" => t.scope_openid,
        "profile" => t.scope_profile,
        "email" => t.scope_email,
        "address" => t.scope_address,
        "phone" => t.scope_phone,
        "groups" => t.scope_groups,
        "offline_access" => t.scope_offline,
        "passkeys" => t.scope_passkeys,
        "transactions" => t.scope_transactions,
        "bridge:*" => t.scope_bridges,
        "admin" => t.scope_admin,
        "admin:read" => t.scope_admin_read,
        _ => return None,
    })
}

/// Scopes of one reach under one heading.
#[derive(Clone, Debug)]
pub struct ScopeGroup {
    /// What they let an app do.
    pub reach: Reach,
    /// Each with a number for the ids of its elements, unique over all groups.
    pub items: Vec<(usize, ScopeItem)>,
}

/// Puts scopes under their headings: what looks, what changes, what goes on.
pub(super) fn grouped(scopes: &[ScopeItem]) -> Vec<ScopeGroup> {
    let of = |reach| scopes.iter().cloned().enumerate().filter(move |(_, item)| item.reach() == reach).collect();
    let groups = Reach::ALL.into_iter().map(|reach| ScopeGroup { reach, items: of(reach) });
    groups.filter(|group: &ScopeGroup| !group.items.is_empty()).collect()
}

/// An app that asks for something, as far as a page shows it.
#[derive(Clone, Debug)]
pub struct AppIdentity {
    /// Its registered name.
    pub name: String,
    /// The host its answer goes to: the domain that we know, not the app's own claim. None for a device.
    pub host: Option<String>,
    /// Its logo itself, a checked copy, as a `data:` URL. Nothing is ever loaded from elsewhere.
    pub logo: Option<String>,
    /// Its home page, complete.
    pub home: Option<String>,
    /// Its privacy statement, complete.
    pub policy: Option<String>,
    /// Its terms of service, complete.
    pub terms: Option<String>,
    /// Whether somebody here vouches for it.
    pub trust: Trust,
}

/// Whether somebody here vouches for an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The operator set it up.
    Verified,
    /// It registered itself at this time.
    Unverified(crate::clock::Time),
}

impl AppIdentity {
    /// One letter for the square badge where there is no logo (decoration).
    pub fn initial(&self) -> String {
        self.name.chars().find(|c| c.is_alphanumeric()).map(|c| c.to_uppercase().to_string()).unwrap_or_default()
    }

    /// The one warning of the page, where there is one.
    pub fn warning(&self, frame: &Frame) -> Option<Html> {
        match self.trust {
            Trust::Verified => None,
            Trust::Unverified(at) => Some(frame.t().app_unverified_since(frame.day(at))),
        }
    }

    /// Links to what the app says about itself.
    pub fn links(&self, t: &Texts) -> Vec<(&'static str, String)> {
        let all = [(t.app_home, &self.home), (t.app_policy, &self.policy), (t.app_terms, &self.terms)];
        all.into_iter().filter_map(|(label, href)| Some((label, href.clone()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::messages::ENGLISH;
    use super::*;

    #[test]
    fn scopes_are_told_in_words_and_never_as_less_than_they_are() {
        let t = ENGLISH.texts;
        for (scope, reach, words) in [
            ("openid", Reach::Read, t.scope_openid),
            ("email", Reach::Read, t.scope_email),
            ("groups", Reach::Read, t.scope_groups),
            ("passkeys", Reach::Change, t.scope_passkeys),
            ("transactions", Reach::Change, t.scope_transactions),
            ("offline_access", Reach::Away, t.scope_offline),
            ("admin", Reach::Change, t.scope_admin),
            ("bridge:*", Reach::Change, t.scope_bridges),
            ("bridge:fire<b>", Reach::Change, "Sign you in to <bdi>fire&lt;b&gt;</bdi>"),
            ("admin:clients", Reach::Change, "Manage <bdi>clients</bdi> on this site, in your name"),
            ("notes:read", Reach::Change, "Use <bdi>notes:read</bdi>"),
        ] {
            let item = ScopeItem::fixed(scope);
            assert_eq!((item.reach(), item.words(t).to_string()), (reach, words.to_owned()), "{scope}");
        }
        let described = ScopeItem { description: Some("Read <your> notes".into()), ..ScopeItem::fixed("notes:read") };
        assert_eq!(described.words(t).to_string(), "<bdi>Read &lt;your&gt; notes</bdi>");
        let own = ScopeItem { description: Some("Nothing at all".into()), ..ScopeItem::fixed("email") };
        assert_eq!(own.words(t).to_string(), t.scope_email, "nobody renames our own scopes");
    }

    #[test]
    fn groups_keep_every_scope_once() {
        let scopes = ["offline_access", "email", "notes:write", "openid"].map(ScopeItem::fixed);
        let groups = grouped(&scopes);
        let numbers: Vec<_> = groups.iter().flat_map(|group| group.items.iter().map(|(n, _)| *n)).collect();
        assert_eq!(numbers, [1, 3, 2, 0]);
        assert_eq!(groups.iter().map(|group| group.reach).collect::<Vec<_>>(), Reach::ALL);
    }
}

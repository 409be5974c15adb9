//! Scopes in plain words, for the consent page, the device page and the list of apps.
//!
//! What must always hold: a scope that allows changes, or that has no known meaning, is never listed among the
//! read-only ones; a resource's descriptions of its own scopes are data and printed isolated.
//!
//! To add one of our own scopes: its text in the catalogue and its row in [`own_words`].

use super::Frame;
use super::messages::{Html, Texts};

/// What a scope lets an app do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Read access.
    Read,
    /// Changes, or unknown.
    Change,
    /// Access while the user is absent.
    Away,
}

impl Reach {
    /// All, in the order of display.
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

/// A scope that is requested or was allowed.
#[derive(Clone, Debug)]
pub struct ScopeItem {
    /// The scope, as sent on the wire.
    pub scope: String,
    /// The description by the resource that owns it; `None` for our own scopes.
    pub description: Option<String>,
    /// With `profile`: the names of the attributes that the app receives.
    pub noted: Vec<String>,
    /// Whether the user can deselect it. If so, it has a tick box.
    pub optional: bool,
    /// Whether it was not allowed before.
    pub fresh: bool,
}

impl ScopeItem {
    /// A scope that cannot be deselected.
    pub fn fixed(scope: &str) -> Self {
        Self { scope: scope.to_owned(), description: None, noted: Vec::new(), optional: false, fresh: false }
    }

    /// What the scope lets an app do.
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

    /// The scope in plain words: ours, else the resource's, else its name.
    pub fn words(&self, t: &Texts) -> Html {
        if let Some(name) = self.scope.strip_prefix("bridge:").filter(|name| *name != "*") {
            return t.scope_bridge(name);
        }
        if let Some(part) = self.scope.strip_prefix("admin:").filter(|part| *part != "read") {
            return t.scope_admin_part(part);
        }
        if !self.noted.is_empty() {
            return t.scope_profile_and(self.noted.join(", "));
        }
        match (own_words(&self.scope, t), &self.description) {
            (Some(words), _) => Html::trusted(words.to_owned()),
            (None, Some(description)) => Html::isolated(description),
            (None, None) => t.scope_other(&self.scope),
        }
    }

    /// The name of its tick box in the form. The scope is kept if the box is ticked.
    pub fn field(&self) -> String {
        format!("allow:{}", self.scope)
    }
}

/// The texts of our own scopes.
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

/// The scopes of one reach, under one heading.
#[derive(Clone, Debug)]
pub struct ScopeGroup {
    /// What the scopes let an app do.
    pub reach: Reach,
    /// Each with a number for the IDs of its elements, unique across all groups.
    pub items: Vec<(usize, ScopeItem)>,
}

/// Groups scopes by reach: read, change, access while absent.
pub(super) fn grouped(scopes: &[ScopeItem]) -> Vec<ScopeGroup> {
    let of = |reach| scopes.iter().cloned().enumerate().filter(move |(_, item)| item.reach() == reach).collect();
    let groups = Reach::ALL.into_iter().map(|reach| ScopeGroup { reach, items: of(reach) });
    groups.filter(|group: &ScopeGroup| !group.items.is_empty()).collect()
}

/// A requesting app, as pages show it.
#[derive(Clone, Debug)]
pub struct AppIdentity {
    /// Its registered name.
    pub name: String,
    /// The host that its answer goes to: the domain known to us, not one claimed by the app. `None` for a device.
    pub host: Option<String>,
    /// A checked copy of its logo, as a `data:` URL. Pages never load anything from elsewhere.
    pub logo: Option<String>,
    /// The URL of its home page.
    pub home: Option<String>,
    /// The URL of its privacy statement.
    pub policy: Option<String>,
    /// The URL of its terms of service.
    pub terms: Option<String>,
    /// Whether the operator vouches for it.
    pub trust: Trust,
}

/// Whether the operator vouches for an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The operator set it up.
    Verified,
    /// It registered itself at this time.
    Unverified(crate::clock::Time),
}

impl AppIdentity {
    /// One letter for the square badge if there is no logo (decoration).
    pub fn initial(&self) -> String {
        self.name.chars().find(|c| c.is_alphanumeric()).map(|c| c.to_uppercase().to_string()).unwrap_or_default()
    }

    /// The warning of the page, if any. There is at most one.
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

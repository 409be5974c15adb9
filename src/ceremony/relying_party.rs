//! Relying-party profiles: which origins belong to which RP ID.
//!
//! The profile is chosen by an exact match of a configured origin, never derived from a request.

use std::time::Duration;

use url::Url;
use webauthn_rs_core::WebauthnCore;

use super::error::CeremonyError;
use crate::domain::native_apps::NativeApps;

/// A relying-party profile.
pub struct RelyingParty {
    /// Its name in the configuration.
    pub name: String,
    /// The RP ID that its passkeys are bound to.
    pub rp_id: String,
    /// Name shown in the browser's dialog.
    pub display_name: String,
    /// The origins where it is used, compared byte for byte: its own, followed by the related ones.
    pub origins: Vec<String>,
    /// The number of its own origins.
    own: usize,
    /// The native apps that use its passkeys.
    apps: NativeApps,
    pub(super) library: WebauthnCore,
}

impl RelyingParty {
    /// Creates a profile. Its own origins and the related ones, on other domains, were validated by the configuration:
    /// web origins, or `android:apk-key-hash:…`.
    pub fn new(
        name: &str,
        rp_id: &str,
        display_name: &str,
        (mut origins, related): (Vec<String>, Vec<String>),
        apps: NativeApps,
        timeout: Duration,
    ) -> Self {
        let own = origins.len();
        origins.extend(related);
        let urls = origins.iter().filter_map(|origin| Url::parse(origin).ok()).collect();
        // The library compares origins as URLs; the strict parser before it compares bytes.
        let library =
            WebauthnCore::new_unsafe_experts_only(display_name, rp_id, urls, timeout, Some(false), Some(false));
        let (name, rp_id, display_name) = (name.to_owned(), rp_id.to_owned(), display_name.to_owned());
        Self { name, rp_id, display_name, origins, own, apps, library }
    }

    /// The origins under its RP ID, and the related ones.
    fn own_and_related(&self) -> (&[String], &[String]) {
        self.origins.split_at(self.own)
    }

    /// Whether the profile is used at this origin.
    pub fn has_origin(&self, origin: &str) -> bool {
        self.origins.iter().any(|own| own == origin)
    }
}

/// All profiles of one server.
pub struct RelyingParties {
    profiles: Vec<RelyingParty>,
    default: usize,
}

impl RelyingParties {
    /// The profiles, and the index of the default one. `None` if there is no such index.
    pub fn new(profiles: Vec<RelyingParty>, default: usize) -> Option<Self> {
        (default < profiles.len()).then_some(Self { profiles, default })
    }

    /// The default profile.
    pub fn default_profile(&self) -> &RelyingParty {
        &self.profiles[self.default]
    }

    /// The profile with this name.
    pub fn named(&self, name: &str) -> Option<&RelyingParty> {
        self.profiles.iter().find(|profile| profile.name == name)
    }

    /// The profile that is used at this origin.
    pub fn for_origin(&self, origin: &str) -> Option<&RelyingParty> {
        self.profiles.iter().find(|profile| profile.has_origin(origin))
    }

    /// The web origins that the related-origins document lists at a host: those of the RP ID with that name, so that no
    /// domain vouches for another one's origins. A host with any other name may be an internal name of this server, and
    /// stands for the default profile. Related origins come first: browsers check only those, and accept no more than
    /// five names.
    pub fn published_at(&self, host: &str) -> Vec<&str> {
        let mut parties: Vec<&RelyingParty> =
            self.profiles.iter().filter(|profile| profile.rp_id.eq_ignore_ascii_case(host)).collect();
        if parties.is_empty() {
            parties.push(self.default_profile());
        }
        let (own, related): (Vec<&[String]>, Vec<&[String]>) =
            parties.into_iter().map(RelyingParty::own_and_related).unzip();
        let all = related.into_iter().chain(own).flatten().map(String::as_str);
        all.filter(|origin| origin.starts_with("http")).collect()
    }

    /// The native apps that a host vouches for: those of the RP ID with that name, otherwise of the profile whose
    /// website it is. Only a host that no profile names stands for the default profile: Android trusts every host that
    /// it asks, so none may vouch for the apps of another.
    pub fn apps_at(&self, host: &str) -> Vec<&NativeApps> {
        let is_host = |origin: &String| {
            let url = Url::parse(origin).ok();
            url.and_then(|url| url.host_str().map(|own| own.eq_ignore_ascii_case(host))).unwrap_or(false)
        };
        let is_rp_id = |profile: &&RelyingParty| profile.rp_id.eq_ignore_ascii_case(host);
        let parties: Vec<&RelyingParty> = if self.profiles.iter().any(|profile| is_rp_id(&profile)) {
            self.profiles.iter().filter(is_rp_id).collect()
        } else if self.profiles.iter().any(|profile| profile.origins.iter().any(is_host)) {
            self.profiles.iter().filter(|profile| profile.own_and_related().0.iter().any(is_host)).collect()
        } else {
            vec![self.default_profile()]
        };
        parties.into_iter().map(|profile| &profile.apps).collect()
    }

    /// Every profile.
    pub fn iter(&self) -> impl Iterator<Item = &RelyingParty> {
        self.profiles.iter()
    }

    /// Chooses the profile of a ceremony: only by the request's `Origin` if it has one, otherwise by the requested
    /// name, then the client's profile, then the default.
    pub fn choose(
        &self,
        origin: Option<&str>,
        named: Option<&str>,
        client: Option<&str>,
    ) -> Result<&RelyingParty, CeremonyError> {
        if let Some(origin) = origin {
            return self.for_origin(origin).ok_or_else(|| CeremonyError::WrongOrigin {
                received: origin.to_owned(),
                allowed: self.default_profile().origins.clone(),
            });
        }
        match named.or(client) {
            None => Ok(self.default_profile()),
            Some(name) => self.named(name).ok_or(CeremonyError::NoSuchRelyingParty),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiles() -> RelyingParties {
        let make = |name, rp_id, origins: &[&str]| {
            let origins = origins.iter().map(|origin| (*origin).to_owned());
            let (related, own) = origins.partition(|origin: &String| origin.ends_with(".example"));
            RelyingParty::new(name, rp_id, name, (own, related), NativeApps::default(), Duration::from_secs(60))
        };
        let android = "android:apk-key-hash:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        RelyingParties::new(
            vec![
                make("main", "example.com", &["https://example.com", android]),
                make("shop", "shop.test", &["https://shop.test", "https://shop.example"]),
            ],
            0,
        )
        .unwrap()
    }

    #[test]
    fn the_origin_chooses_and_only_exactly() {
        let profiles = profiles();
        for origin in ["https://shop.test", "https://shop.example"] {
            assert_eq!(profiles.choose(Some(origin), Some("main"), Some("main")).unwrap().name, "shop", "{origin}");
        }
        for origin in
            ["https://shop.test/", "https://SHOP.test", "https://shop.test:443", "http://shop.test", "null", ""]
        {
            let refused = profiles.choose(Some(origin), Some("shop"), None).err();
            assert!(matches!(refused, Some(CeremonyError::WrongOrigin { .. })), "{origin}");
        }
    }

    #[test]
    fn each_domain_vouches_for_its_own() {
        let profiles = profiles();
        for host in ["shop.test", "SHOP.test"] {
            assert_eq!(profiles.published_at(host), ["https://shop.example", "https://shop.test"], "{host}");
        }
        for host in ["example.com", "www.shop.test", "shop.example", "upstream", ""] {
            assert_eq!(profiles.published_at(host), ["https://example.com"], "{host}");
        }
    }

    #[test]
    fn without_an_origin_the_name_then_the_client_then_the_default() {
        let profiles = profiles();
        assert_eq!(profiles.choose(None, Some("shop"), Some("main")).unwrap().name, "shop");
        assert_eq!(profiles.choose(None, None, Some("shop")).unwrap().name, "shop");
        assert_eq!(profiles.choose(None, None, None).unwrap().name, "main");
        assert!(matches!(profiles.choose(None, Some("other"), None).err(), Some(CeremonyError::NoSuchRelyingParty)));
    }
}

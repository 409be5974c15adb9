//! Native apps that use the passkeys of a domain: how they are named, and the documents in which the domain vouches for
//! them.
//!
//! Pure. Invariant: the ceremony origin of every app that a domain vouches for is accepted, because both come from one
//! list. (The origin of an Android app names its certificate, so another app signed with that certificate has the same
//! origin.)
//!
//! To add a platform: a field of [`NativeApps`] with its format, and the document that its system reads.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::client::fields::Fault;

/// What Android requires of a domain for passkeys: the first for sign-ins, the second as proof that the app belongs to
/// the domain.
const RELATIONS: [&str; 2] =
    ["delegate_permission/common.get_login_creds", "delegate_permission/common.handle_all_urls"];

/// The native apps of a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NativeApps {
    /// Apps for Apple's systems.
    pub apple: Vec<AppleApp>,
    /// Apps for Android.
    pub android: Vec<AndroidApp>,
}

/// An app for Apple's systems, by its application identifier: `<team>.<bundle>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppleApp(String);

/// An app for Android.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AndroidApp {
    package: String,
    certificates: Vec<Certificate>,
}

/// SHA-256 of a certificate that an app is signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate([u8; 32]);

impl AppleApp {
    /// Reads `A1B2C3D4E5.com.example.app`: ten capitals and digits that name the team, and the bundle's identifier.
    ///
    /// # Errors
    /// [`Fault`] with the remedy.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let team = |team: &str| {
            team.len() == 10 && team.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        };
        let part =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let fits = text.len() <= 255
            && text.split_once('.').is_some_and(|(first, bundle)| team(first) && bundle.split('.').all(part));
        if fits {
            return Ok(Self(text.to_owned()));
        }
        let cure = "write the team's ID, a dot and the bundle's identifier: \"A1B2C3D4E5.com.example.app\"";
        Err(Fault::new("is not the application identifier of an app for Apple's systems", cure))
    }

    /// The application identifier.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Certificate {
    /// Reads a fingerprint as `keytool` and the Play Console print it: 32 bytes in hexadecimal, with colons between them.
    ///
    /// # Errors
    /// [`Fault`] with the remedy.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let byte = |two: &str| {
            let digits = two.len() == 2 && two.bytes().all(|digit| digit.is_ascii_hexdigit());
            if digits { u8::from_str_radix(two, 16).ok() } else { None }
        };
        let bytes: Option<Vec<u8>> = text.split(':').map(byte).collect();
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or_else(|| {
            let cure = "write the 32 bytes of its SHA-256 as `keytool -list -v` prints them: \"FA:C6:17:…\"";
            Fault::new("is not the fingerprint of a certificate", cure)
        })
    }

    fn fingerprint(&self) -> String {
        let bytes: Vec<String> = self.0.iter().map(|byte| format!("{byte:02X}")).collect();
        bytes.join(":")
    }

    /// The origin that Android writes into `clientDataJSON` for apps signed with this certificate.
    pub fn origin(&self) -> String {
        format!("android:apk-key-hash:{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl AndroidApp {
    /// An app with its package name and signing certificates.
    ///
    /// # Errors
    /// [`Fault`] with the remedy.
    pub fn new(package: &str, certificates: Vec<Certificate>) -> Result<Self, Fault> {
        let part = |part: &str| {
            part.starts_with(|first: char| first.is_ascii_alphabetic())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if package.len() > 255 || !package.contains('.') || !package.split('.').all(part) {
            let cure = "write it as in the app's manifest: \"com.example.app\"";
            return Err(Fault::new("is not the package of an app for Android", cure));
        }
        Ok(Self { package: package.to_owned(), certificates })
    }

    /// The package name.
    pub fn package(&self) -> &str {
        &self.package
    }

    /// The origins of its ceremonies.
    pub fn origins(&self) -> impl Iterator<Item = String> {
        self.certificates.iter().map(Certificate::origin)
    }
}

/// `apple-app-site-association` (Apple, "Supporting associated domains"): which apps may use the domain's passkeys.
/// `None` without apps.
pub fn site_association(apps: &[&NativeApps]) -> Option<Value> {
    let ids: Vec<&str> = apps.iter().flat_map(|apps| &apps.apple).map(AppleApp::as_str).collect();
    (!ids.is_empty()).then(|| json!({ "webcredentials": { "apps": ids } }))
}

/// `assetlinks.json` (Google, Digital Asset Links): the same for Android. `None` without apps.
pub fn asset_links(apps: &[&NativeApps]) -> Option<Value> {
    let statement = |app: &AndroidApp| {
        let fingerprints: Vec<String> = app.certificates.iter().map(Certificate::fingerprint).collect();
        json!({
            "relation": RELATIONS,
            "target": {
                "namespace": "android_app",
                "package_name": app.package,
                "sha256_cert_fingerprints": fingerprints,
            },
        })
    };
    let statements: Vec<Value> = apps.iter().flat_map(|apps| &apps.android).map(statement).collect();
    (!statements.is_empty()).then_some(Value::Array(statements))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINGERPRINT: &str =
        "E3:B0:C4:42:98:FC:1C:14:9A:FB:F4:C8:99:6F:B9:24:27:AE:41:E4:64:9B:93:4C:A4:95:99:1B:78:52:B8:55";

    fn apps() -> NativeApps {
        let certificate = Certificate::parse(FINGERPRINT).unwrap();
        NativeApps {
            apple: vec![AppleApp::parse("A1B2C3D4E5.com.example.app").unwrap()],
            android: vec![AndroidApp::new("com.example.app", vec![certificate]).unwrap()],
        }
    }

    #[test]
    fn apple_names_an_app_by_team_and_bundle() {
        for good in ["A1B2C3D4E5.com.example.app", "0123456789.app", "ABCDEFGHIJ.com.example.My-App"] {
            assert_eq!(AppleApp::parse(good).map(|app| app.0).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "com.example.app",
            "A1B2C3D4E5",
            "A1B2C3D4E5.",
            "a1b2c3d4e5.com.example",
            "A1B2C3D4E.com.example",
            "A1B2C3D4E5.com..example",
            "A1B2C3D4E5.com.example.*",
            "A1B2C3D4E5.com.ex ample",
            "A1B2C3D4E5.com.exämple",
            &format!("A1B2C3D4E5.{}", "a".repeat(256)),
        ] {
            assert!(AppleApp::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_certificate_is_written_as_its_tools_print_it() {
        let origin = "android:apk-key-hash:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
        for spelled in [FINGERPRINT, &FINGERPRINT.to_lowercase()] {
            let certificate = Certificate::parse(spelled).unwrap();
            assert_eq!((certificate.origin().as_str(), certificate.fingerprint().as_str()), (origin, FINGERPRINT));
        }
        for bad in [
            "",
            "E3",
            &FINGERPRINT.replace(':', ""),
            &FINGERPRINT[3..],
            &format!("{FINGERPRINT}:00"),
            &FINGERPRINT.replace("E3", "+3"),
        ] {
            assert!(Certificate::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn android_names_an_app_by_its_package() {
        for good in ["com.example.app", "a.b", "com.example_1.App"] {
            assert_eq!(AndroidApp::new(good, Vec::new()).unwrap().package(), good);
        }
        for bad in ["", "app", "com..app", "com.1app", "com.example-app", ".com.app", "com.app.", "com.exa mple"] {
            assert!(AndroidApp::new(bad, Vec::new()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_domain_vouches_in_the_words_of_each_system() {
        let apps = apps();
        assert_eq!(
            site_association(&[&apps]),
            Some(json!({ "webcredentials": { "apps": ["A1B2C3D4E5.com.example.app"] } }))
        );
        assert_eq!(
            asset_links(&[&apps]),
            Some(json!([{
                "relation": ["delegate_permission/common.get_login_creds", "delegate_permission/common.handle_all_urls"],
                "target": {
                    "namespace": "android_app",
                    "package_name": "com.example.app",
                    "sha256_cert_fingerprints": [FINGERPRINT],
                },
            }]))
        );
        let none = NativeApps::default();
        assert_eq!((site_association(&[&none]), asset_links(&[])), (None, None));
    }
}

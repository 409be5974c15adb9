//! Which redirect URIs belong to a client: compared byte for byte (RFC 9700 §2.1), except for the port of a loopback
//! address, which a native app cannot know in advance (RFC 8252 §7.3).

use url::{Host, Url};

use crate::domain::client::ClientKind;

/// Who could receive a response: the owner of a domain, or any program on the person's own device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landing {
    /// An `https` address.
    Web,
    /// A port on the person's own device; any program there may listen on it.
    Loopback,
    /// A scheme of an app's own; any other app may claim it (RFC 8252 §8.6).
    PrivateUse,
}

impl Landing {
    /// The landing of a registered redirect URI.
    pub fn of(redirect_uri: &str) -> Self {
        if redirect_uri.starts_with("https://") {
            Self::Web
        } else if redirect_uri.starts_with("http://") {
            Self::Loopback
        } else {
            Self::PrivateUse
        }
    }

    /// Whether a program on the person's device could receive the response, using the name of any public client.
    pub const fn is_local(self) -> bool {
        matches!(self, Self::Loopback | Self::PrivateUse)
    }
}

/// Whether a redirect URI is one that a client of this kind registered.
pub fn is_registered(asked: &str, registered: &[String], kind: ClientKind) -> bool {
    let public = kind == ClientKind::Public;
    registered.iter().any(|own| {
        own == asked || differ_in_loopback_port(own, asked) || (public && adds_a_port_to_localhost(own, asked))
    })
}

/// Whether `asked` adds a port to `http://localhost`, registered without one; everything else must be equal. RFC 8252
/// §8.3 advises against `localhost`, because a name may resolve elsewhere, but programs register it and then add the
/// port they were given. So this is for public clients only: their codes are useless without the verifier, and such a
/// place gets nothing without the person's confirmation.
fn adds_a_port_to_localhost(registered: &str, asked: &str) -> bool {
    const START: &str = "http://localhost";
    let own = registered.strip_prefix(START).filter(|rest| !rest.starts_with(':')).and_then(behind_port);
    own.is_some() && own == asked.strip_prefix(START).and_then(behind_port)
}

/// Whether both are exactly `http://127.0.0.1` or `http://[::1]` with any port or none; everything else must be equal.
fn differ_in_loopback_port(registered: &str, asked: &str) -> bool {
    ["http://127.0.0.1", "http://[::1]"].iter().any(|start| {
        match (registered.strip_prefix(start).and_then(behind_port), asked.strip_prefix(start).and_then(behind_port)) {
            (Some(own), Some(theirs)) => own == theirs,
            _ => false,
        }
    })
}

/// The rest after an optional port of 1 to 65535; `None` if anything else follows the host.
fn behind_port(rest: &str) -> Option<&str> {
    let Some(digits) = rest.strip_prefix(':') else {
        return (rest.is_empty() || rest.starts_with(['/', '?'])).then_some(rest);
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (port, rest) = digits.split_at(end);
    let plain = !port.starts_with('0') && port.parse::<u16>().is_ok();
    (plain && (rest.is_empty() || rest.starts_with(['/', '?']))).then_some(rest)
}

/// The host that people are told they return to; `None` for an app's own scheme.
pub(super) fn host(redirect_uri: &str) -> Option<String> {
    let url = Url::parse(redirect_uri).ok().filter(|url| matches!(url.scheme(), "https" | "http"))?;
    let host = match url.host()? {
        Host::Domain(domain) => domain.to_owned(),
        Host::Ipv4(ip) => ip.to_string(),
        Host::Ipv6(ip) => format!("[{ip}]"),
    };
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host,
    })
}

/// The place that people are told they return to: a host, or an app's own scheme.
pub fn place_of(redirect_uri: &str) -> String {
    host(redirect_uri).unwrap_or_else(|| redirect_uri.split(':').next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_equal_strings_and_loopback_ports_are_registered() {
        let registered: Vec<String> = [
            "https://app.example/cb",
            "https://app.example/cb?from=us",
            "http://127.0.0.1/cb",
            "http://[::1]:7000/cb",
            "http://localhost:3000/cb",
            "http://localhost/callback",
            "com.example.app:/cb",
        ]
        .map(str::to_owned)
        .into();
        for good in [
            "https://app.example/cb",
            "https://app.example/cb?from=us",
            "http://127.0.0.1/cb",
            "http://127.0.0.1:1/cb",
            "http://127.0.0.1:65535/cb",
            "http://[::1]/cb",
            "http://[::1]:7001/cb",
            "http://localhost:3000/cb",
            "http://localhost/callback",
            "com.example.app:/cb",
        ] {
            for kind in [ClientKind::Public, ClientKind::Confidential] {
                assert!(is_registered(good, &registered, kind), "{good}");
            }
        }
        for any_port in ["http://localhost:3118/callback", "http://localhost:1/callback"] {
            assert!(is_registered(any_port, &registered, ClientKind::Public), "{any_port}");
            assert!(!is_registered(any_port, &registered, ClientKind::Confidential), "{any_port}");
        }
        let long = format!("https://app.example/cb{}", "a".repeat(64 * 1024));
        for bad in [
            "",
            "https://app.example/cb/",
            "https://app.example/cb/x",
            "https://app.example/cb/../cb",
            "https://app.example/%2e%2e/cb",
            "https://app.example/c%62",
            "https://app.example/cb?",
            "https://app.example/cb?from=us&x=1",
            "https://app.example/cb#",
            "https://app.example/cb#x",
            "https://app.example:443/cb",
            "https://app.example:8443/cb",
            "https://app.example@evil.example/cb",
            "https://user@app.example/cb",
            "https://app.example.evil.example/cb",
            "https://APP.example/cb",
            "HTTPS://app.example/cb",
            "https://аpp.example/cb",
            "https://xn--pp-6kc.example/cb",
            "https://app.example\\cb",
            "https://app.example/cb\t",
            " https://app.example/cb",
            "https://app.example/cb\n",
            "https://app.example/%63b",
            "https://app.example/%2563b",
            "//app.example/cb",
            "/cb",
            "http://app.example/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "http://127.0.0.2/cb",
            "http://0.0.0.0/cb",
            "http://127.1/cb",
            "http://2130706433/cb",
            "http://127.0.0.1:0/cb",
            "http://127.0.0.1:080/cb",
            "http://127.0.0.1:65536/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:80@evil.example/cb",
            "http://127.0.0.1@evil.example/cb",
            "http://127.0.0.1.evil.example/cb",
            "http://127.0.0.1:80.evil.example/cb",
            "http://127.0.0.1:80/cb/x",
            "https://127.0.0.1/cb",
            "http://[::1]evil/cb",
            "http://[0:0:0:0:0:0:0:1]/cb",
            "http://[::ffff:127.0.0.1]/cb",
            "http://localhost/cb",
            "http://localhost:3001/cb",
            "http://localhost.evil.example:3000/cb",
            "http://localhost:0/callback",
            "http://localhost:03118/callback",
            "http://localhost:65536/callback",
            "http://localhost:/callback",
            "http://localhost:3118/callback/x",
            "http://localhost:3118/callback?x=1",
            "http://localhost:3118@evil.example/callback",
            "http://localhost.evil.example/callback",
            "http://localhost.:3118/callback",
            "http://LOCALHOST:3118/callback",
            "https://localhost:3118/callback",
            "com.example.app:/cb/x",
            "com.example.app://cb",
            &long,
        ] {
            assert!(!is_registered(bad, &registered, ClientKind::Public), "{bad}");
        }
    }

    const OWN: [&str; 6] = [
        "https://app.example/cb",
        "https://app.example/cb?from=us",
        "http://127.0.0.1:7000/cb",
        "http://[::1]/cb",
        "http://localhost/cb",
        "com.example.app:/cb",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        /// An accepted URI is a registered text, or what a browser reads as the same place at another port of the
        /// device.
        #[test]
        fn what_is_accepted_leads_where_it_was_registered(
            which in 0..OWN.len(),
            edits in prop::collection::vec((0..40_usize, 0..4_usize, "[a-z0-9:/?#@.%\\\\-]{0,5}"), 0..3),
        ) {
            let registered = OWN.map(str::to_owned);
            let mut asked = OWN[which].to_owned();
            for (at, cut, text) in edits {
                let at = at.min(asked.len());
                asked.replace_range(at..(at + cut).min(asked.len()), &text);
            }
            if is_registered(&asked, &registered, ClientKind::Public) && !registered.contains(&asked) {
                let without_port = |text: &str| {
                    let mut url = Url::parse(text).unwrap();
                    url.set_port(None).unwrap();
                    url.to_string()
                };
                let place = without_port(&asked);
                let mut loopback = OWN.into_iter().filter(|own| own.starts_with("http://"));
                prop_assert!(loopback.any(|own| without_port(own) == place), "{} was accepted", asked);
            }
        }
    }

    #[test]
    fn where_an_answer_lands() {
        for (uri, landing, shown) in [
            ("https://app.example/cb", Landing::Web, Some("app.example")),
            ("https://app.example:8443/cb", Landing::Web, Some("app.example:8443")),
            ("http://127.0.0.1:7000/cb", Landing::Loopback, Some("127.0.0.1:7000")),
            ("http://[::1]/cb", Landing::Loopback, Some("[::1]")),
            ("http://localhost:3000/cb", Landing::Loopback, Some("localhost:3000")),
            ("com.example.app:/cb", Landing::PrivateUse, None),
            ("com.evil://bank.example/cb", Landing::PrivateUse, None),
        ] {
            assert_eq!(Landing::of(uri), landing, "{uri}");
            assert_eq!(host(uri).as_deref(), shown, "{uri}");
        }
    }
}

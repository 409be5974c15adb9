//! The network side of a caller: address, network, browser, request ID.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv6Addr};

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, USER_AGENT};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};

use crate::domain::audit::Provenance;

/// The request ID; set by the telemetry middleware.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// The network of an address, as one household or office shares it: /24 for IPv4, /56 for IPv6. Rate limits count by
/// it, and nothing else of an address is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(u64, bool);

impl Network {
    /// The network of an address. An IPv4-mapped IPv6 address counts as IPv4.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(u64::from(u32::from(v4) >> 8), false),
            IpAddr::V6(v6) => Self(u64::try_from(u128::from(v6) >> 72).unwrap_or_default(), true),
        }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.1 {
            write!(f, "{}/56", Ipv6Addr::from(u128::from(self.0) << 72))
        } else {
            let [_, a, b, c] = u32::try_from(self.0).unwrap_or_default().to_be_bytes();
            write!(f, "{a}.{b}.{c}.0/24")
        }
    }
}

/// The proxies whose `X-Forwarded-For` is trusted.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(pub Vec<crate::config::Network>);

impl TrustedProxies {
    /// Whether an address belongs to a trusted proxy.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|range| range.contains(address))
    }

    /// The caller's address: the peer's or, behind trusted proxies, the rightmost forwarded address that is not a
    /// trusted proxy. Everything left of it was written by the caller and is ignored: it can neither choose another
    /// address nor hide this one. If anything right of it does not parse, the peer's address is used, so that garbage
    /// never extends trust.
    pub fn caller(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(peer) {
            return peer;
        }
        let lines = headers.get_all("x-forwarded-for").rev();
        let mut hops = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        hops.find_map(|hop| match forwarded_address(hop) {
            Some(address) if self.trusts(address) => None,
            Some(address) => Some(address),
            None => Some(peer),
        })
        .unwrap_or(peer)
    }
}

/// The address written by one proxy.
fn forwarded_address(hop: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(hop).ok()?.trim().parse().ok()
}

/// The caller of a request, as an argument of handlers.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The network that rate limits count by.
    pub network: Network,
    /// What the audit trail records about the caller.
    pub provenance: Provenance,
}

impl Caller {
    /// Reads the caller from a request.
    pub fn of(request: &HttpRequest) -> Self {
        let peer = request.peer_addr().map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |address| address.ip());
        let address = request
            .app_data::<web::Data<TrustedProxies>>()
            .map_or(peer, |proxies| proxies.caller(peer, request.headers()));
        let network = Network::of(address);
        let user_agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok()).map(browser_in_words);
        Self {
            network,
            provenance: Provenance {
                address_class: Some(network.to_string()),
                request_id: request.extensions().get::<RequestId>().map(|id| id.0.clone()),
                user_agent,
            },
        }
    }
}

impl FromRequest for Caller {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}

/// "Firefox on Linux": enough for users to tell their sessions apart, too little for fingerprinting.
fn browser_in_words(agent: &str) -> String {
    // Order matters: Edge and Opera also contain Chrome's name, and Chrome contains Safari's.
    const BROWSERS: [(&str, &str); 6] = [
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ];
    const SYSTEMS: [(&str, &str); 7] = [
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let find =
        |table: &[(&str, &'static str)]| table.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name);
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => "Unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    fn forwarded(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn forwarded_addresses_count_only_behind_trusted_proxies() {
        let proxies = TrustedProxies(vec![
            crate::config::Network::read("10.0.0.0/8").unwrap(),
            crate::config::Network::read("::1").unwrap(),
        ]);
        let long = "1.1.1.1, ".repeat(999) + "198.51.100.1";
        for (name, peer, values, caller) in [
            ("no proxy", "192.0.2.9", vec!["198.51.100.1"], "192.0.2.9"),
            ("one proxy", "10.0.0.1", vec!["198.51.100.1"], "198.51.100.1"),
            ("IPv6 proxy", "::1", vec!["2001:db8::5"], "2001:db8::5"),
            ("the client's own lie is left of the truth", "10.0.0.1", vec!["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
            ("two proxies", "10.0.0.1", vec!["198.51.100.1, 10.0.0.2"], "198.51.100.1"),
            ("two header lines", "10.0.0.1", vec!["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
            ("garbage", "10.0.0.1", vec!["198.51.100.1, evil"], "10.0.0.1"),
            ("garbage left of the truth", "10.0.0.1", vec!["x, 198.51.100.1"], "198.51.100.1"),
            ("garbage in a line of its own", "10.0.0.1", vec!["x", "198.51.100.1, 10.0.0.2"], "198.51.100.1"),
            ("garbage between proxies", "10.0.0.1", vec!["198.51.100.1, x, 10.0.0.2"], "10.0.0.1"),
            ("empty", "10.0.0.1", vec![""], "10.0.0.1"),
            ("only proxies", "10.0.0.1", vec!["10.0.0.3"], "10.0.0.1"),
            ("none", "10.0.0.1", vec![], "10.0.0.1"),
            ("a thousand lies left of the truth", "10.0.0.1", vec![long.as_str()], "198.51.100.1"),
            ("a port", "10.0.0.1", vec!["198.51.100.1:80"], "10.0.0.1"),
            ("brackets", "10.0.0.1", vec!["[2001:db8::5]"], "10.0.0.1"),
            ("a proxy in IPv6's clothes", "::ffff:10.0.0.1", vec!["198.51.100.1, ::ffff:10.0.0.2"], "198.51.100.1"),
        ] {
            let got = proxies.caller(peer.parse().unwrap(), &forwarded(&values));
            assert_eq!(got, caller.parse::<IpAddr>().unwrap(), "{name}");
        }
        let proxy: IpAddr = "10.0.0.1".parse().unwrap();
        for other in ["forwarded", "x-real-ip", "true-client-ip", "x-client-ip"] {
            for (through, caller) in [(vec![], proxy), (vec!["198.51.100.1"], "198.51.100.1".parse().unwrap())] {
                let mut headers = forwarded(&through);
                headers.insert(HeaderName::from_static(other), HeaderValue::from_static("for=1.1.1.1"));
                assert_eq!(proxies.caller(proxy, &headers), caller, "{other} is never read");
            }
        }
        let mut headers = forwarded(&["198.51.100.1"]);
        headers.append(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(proxies.caller(proxy, &headers), proxy, "what is no text");
        headers.append(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_static("192.0.2.7"));
        assert_eq!(proxies.caller(proxy, &headers).to_string(), "192.0.2.7", "left of the truth it counts for nothing");
    }

    proptest! {
        /// What a caller sends stands left of what the proxy adds and has no effect: not even that the proxy's own
        /// address is used.
        #[test]
        fn what_a_caller_writes_never_chooses_its_address(
            lie in prop_oneof!["[ -~]{0,60}", "([0-9]{1,3}[.:,]? ?){1,8}", "(::ffff:)?10\\.0\\.0\\.[0-9](, ?10\\.0\\.0\\.2)?"],
            in_one_line in any::<bool>(),
        ) {
            let address = |text: &str| text.parse::<IpAddr>().unwrap();
            let proxies = TrustedProxies(vec![crate::config::Network::read("10.0.0.0/8").unwrap()]);
            let (proxy, stranger, seen) = (address("10.0.0.1"), address("192.0.2.9"), address("198.51.100.1"));
            let line = format!("{lie}, {seen}");
            let headers = if in_one_line { forwarded(&[line.as_str()]) } else { forwarded(&[lie.as_str(), "198.51.100.1"]) };
            prop_assert_eq!(proxies.caller(proxy, &headers), seen);
            prop_assert_eq!(proxies.caller(stranger, &headers), stranger);
        }
    }

    #[test]
    fn networks() {
        for (address, network) in [
            ("198.51.100.77", "198.51.100.0/24"),
            ("::ffff:198.51.100.1", "198.51.100.0/24"),
            ("2001:db8:1:2ff:3::4", "2001:db8:1:200::/56"),
        ] {
            assert_eq!(Network::of(address.parse().unwrap()).to_string(), network, "{address}");
        }
    }

    #[test]
    fn browsers_in_words() {
        for (agent, words) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36",
                "Chrome on Linux",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1",
                "Safari on iPhone",
            ),
            ("curl/8.0", "curl"),
            ("\"><script>", "Unknown"),
        ] {
            assert_eq!(browser_in_words(agent), words);
        }
    }
}

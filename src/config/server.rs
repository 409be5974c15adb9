//! Settings of the server itself: its URL, where it listens, where its files are, who may sign up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::network::Network;
use super::problems::{Wrong, quoted};
use super::public_url::PublicUrl;
use super::reader::Reader;
use super::section::{Choice, Fallback, Key, Kind, Section, choices};
use super::text;
use super::values::show_text;

choices! {
    /// What the sign-up page asks for in addition to the passkey.
    SignUpAsks {
        /// Nothing.
        Nothing = "nothing",
        /// A display name.
        Name = "name",
        /// An e-mail address.
        Email = "email",
        /// A name and an e-mail address.
        NameAndEmail = "name-and-email",
    }
}

/// The server.
#[derive(Clone, Debug)]
pub struct Server {
    /// The public URL of the server.
    pub public_url: PublicUrl,
    /// The name that pages and passkey prompts show.
    pub realm: String,
    /// Where the public listener binds; never empty.
    pub listen: Vec<SocketAddr>,
    /// Where metrics, API documentation and readiness details are served; `None`: switched off.
    pub admin_listen: Option<SocketAddr>,
    /// The number of worker threads; 0 for one per core.
    pub workers: usize,
    /// Where the private cluster and other state are stored.
    pub data_dir: PathBuf,
    /// Where keys are stored.
    pub keys_dir: PathBuf,
    /// The proxies whose `X-Forwarded-For` headers are trusted.
    pub trusted_proxies: Vec<Network>,
    /// Whether anyone may create an account.
    pub allow_sign_up: bool,
    /// What the sign-up page asks for.
    pub sign_up_asks: SignUpAsks,
}

pub(super) const SECTION: Section = Section {
    title: "Server",
    doc: "The public address of the server, where it listens, where its files are.",
    keys: &[
        Key {
            path: "public_url",
            kind: Kind::Text("URL"),
            default: Fallback::Value("http://localhost:8080"),
            doc: "The URL that people, apps and other servers use: scheme, host and port, nothing more. It is the \
                issuer of every token and the origin of the pages, and its host is the default relying party ID. It \
                must be `https` unless the host is `localhost`. Forwarded headers and `Host` never change it. Changing \
                the host later makes existing passkeys useless, unless a relying party keeps the old name.",
        },
        Key {
            path: "realm",
            kind: Kind::Text("name to show"),
            default: Fallback::Value("Passmint"),
            doc: "The name that pages and passkey prompts show to people.",
        },
        Key {
            path: "listen",
            kind: Kind::List("IP address and port"),
            default: Fallback::Derived(
                "`127.0.0.1` and `[::1]` with the port of `public_url`, or 8080 when it names none",
            ),
            doc: "Where the public listener binds. Behind a proxy on another machine write `[\"0.0.0.0:8080\"]` and name \
                  the proxy in `trusted_proxies`.",
        },
        Key {
            path: "admin_listen",
            kind: Kind::Text("IP address and port, or `off`"),
            default: Fallback::Derived("`127.0.0.1` with the port after that of `listen`"),
            doc: "Where `/metrics`, `/openapi.json`, `/docs` and readiness detail are served. Keep it on loopback or a \
                  private network. `off` serves them nowhere.",
        },
        Key {
            path: "workers",
            kind: Kind::Integer(0, 1024),
            default: Fallback::Value("0"),
            doc: "How many threads serve requests; 0 for one per core.",
        },
        Key {
            path: "data_dir",
            kind: Kind::Path,
            default: Fallback::Value("data"),
            doc: "The directory of the private PostgreSQL cluster, if no `database.url` is given.",
        },
        Key {
            path: "keys_dir",
            kind: Kind::Path,
            default: Fallback::Value("keys"),
            doc: "The directory of the master key. Keep it apart from backups of the data: it decrypts them.",
        },
        Key {
            path: "trusted_proxies",
            kind: Kind::List("IP address or network"),
            default: Fallback::Value(""),
            doc: "The proxies whose `X-Forwarded-For` headers are trusted. The rightmost address in the header that is \
                not itself trusted is the caller's. Empty: the peer is the caller.",
        },
        Key {
            path: "allow_sign_up",
            kind: Kind::Switch,
            default: Fallback::Value("true"),
            doc: "Whether anyone may create an account. When `false`, accounts come from administrators, imports and \
                action tokens.",
        },
        Key {
            path: "sign_up_asks",
            kind: Kind::Choice(SignUpAsks::WORDS),
            default: Fallback::Value("name-and-email"),
            doc: "What the sign-up page asks for besides the passkey. People may leave it empty, and an address given \
                there is unverified. With `nothing` the page has only the button.",
        },
    ],
};

/// Reads the section.
pub(super) fn read(reader: &mut Reader<'_>) -> Server {
    let public_url = reader.text_as("public_url", PublicUrl::read).unwrap_or_else(|| {
        PublicUrl::read("http://localhost:8080").expect("the default is one of the values that the key accepts")
    });
    let listen = listen(reader, &public_url);
    let admin_listen = admin_listen(reader, &listen);
    Server {
        listen,
        admin_listen,
        realm: reader.text_as("realm", text::display_name).unwrap_or_default(),
        workers: reader.integer("workers"),
        data_dir: reader.path("data_dir").unwrap_or_default(),
        keys_dir: reader.path("keys_dir").unwrap_or_default(),
        trusted_proxies: reader.list_as("trusted_proxies", Network::read).unwrap_or_default(),
        allow_sign_up: reader.switch("allow_sign_up"),
        sign_up_asks: reader.choice("sign_up_asks"),
        public_url,
    }
}

fn listen(reader: &mut Reader<'_>, public_url: &PublicUrl) -> Vec<SocketAddr> {
    let given = reader.list_as("listen", address);
    if given.as_ref().is_some_and(Vec::is_empty) {
        let wrong = Wrong::new("is empty: nobody could reach the server", "name an address, or leave the key out");
        reader.mistake("listen", wrong);
    }
    match given {
        Some(given) if !given.is_empty() => given,
        given => {
            let port = public_url.port().unwrap_or(8080);
            let loopback: Vec<SocketAddr> =
                vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()];
            if given.is_none() {
                let shown: Vec<String> = loopback.iter().map(|address| show_text(&address.to_string())).collect();
                reader.derived("listen", format!("[{}]", shown.join(", ")));
            }
            loopback
        }
    }
}

fn admin_listen(reader: &mut Reader<'_>, listen: &[SocketAddr]) -> Option<SocketAddr> {
    let read = |text: &str| if text == "off" { Ok(None) } else { address(text).map(Some) };
    let admin = reader.text_as("admin_listen", read).unwrap_or_else(|| {
        let port = match listen.first().map_or(8080, SocketAddr::port) {
            // A random port there means a random port here; the highest port has no successor.
            0 => 0,
            u16::MAX => u16::MAX - 1,
            port => port + 1,
        };
        let admin = (Ipv4Addr::LOCALHOST, port).into();
        if !reader.is_given("admin_listen") {
            reader.derived("admin_listen", show_text(&format!("{admin}")));
        }
        Some(admin)
    });
    let taken = |public: &&SocketAddr| admin.is_some_and(|admin| overlap(**public, admin));
    if let Some(public) = listen.iter().find(taken) {
        let wrong = Wrong::new(format!("is also served by listen ({public})"), "give it a port of its own, or \"off\"");
        reader.contradiction("admin_listen", &["listen", "public_url"], wrong);
    }
    admin
}

/// Whether two listeners cannot both bind.
fn overlap(left: SocketAddr, right: SocketAddr) -> bool {
    let any = |ip: IpAddr| ip.is_unspecified();
    left.port() != 0 && left.port() == right.port() && (left.ip() == right.ip() || any(left.ip()) || any(right.ip()))
}

fn address(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_| {
        let what = format!("{} is not an IP address and port", quoted(text));
        Wrong::new(what, "write \"127.0.0.1:8080\", \"[::1]:8080\" or, for every interface, \"0.0.0.0:8080\"")
    })
}

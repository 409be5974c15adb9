//! Tests the client against malicious servers on this machine.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::key_sets::KeySets;
use super::*;
use crate::clock::Clock;

/// A certificate authority for these tests, and what it signed for `localhost`.
struct Trusted {
    authority: String,
    certificate: String,
    key: String,
}

static TRUSTED: LazyLock<Trusted> = LazyLock::new(|| {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (own, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let authority = params.self_signed(&own).unwrap().pem();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = leaf.signed_by(&key, &Issuer::new(params, own)).unwrap().pem();
    Trusted { authority, certificate, key: key.serialize_pem() }
});

/// A server that runs `speak` for each connection, and the number of connections.
fn serve(speak: impl Fn(TcpStream) + Send + 'static) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let callers = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&callers);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            speak(stream);
        }
    });
    (port, callers)
}

/// A server that reads a request and responds with these bytes.
fn answering(answer: String) -> (u16, Arc<AtomicUsize>) {
    serve(move |mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(answer.as_bytes());
    })
}

fn ok(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

fn client(allow_private: bool) -> Outbound {
    Outbound::new(allow_private, Some(TRUSTED.authority.as_bytes())).unwrap()
}

async fn reason(client: &Outbound, url: &str) -> &'static str {
    client.get(url, "*/*", "test").await.map_or_else(|error| error.reason(), |_| "done")
}

/// A caller that hangs up must not prevent the others from fetching.
#[tokio::test]
async fn keys_are_fetched_to_the_end_whoever_hangs_up() {
    let keys = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;
    let (go_on, told) = std::sync::mpsc::channel();
    let (port, callers) = serve(move |mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        told.recv().unwrap();
        let _ = stream.write_all(ok("Content-Type: application/json\r\n", keys).as_bytes());
    });
    let (sets, url) = (KeySets::new(&client(true), Clock::system(), "test"), format!("http://127.0.0.1:{port}/keys"));
    let connected = async {
        while callers.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = sets.of("owner", &url) => panic!("nothing was answered yet"),
        () = connected => {}
    }
    go_on.send(()).unwrap();
    assert!(sets.of("owner", &url).await.is_ok());
    assert_eq!(callers.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_honest_answer_is_read() {
    let answer = ok("Content-Type: Application/JSON; charset=utf-8\r\nCache-Control: max-age=5\r\n", "{}");
    let (port, _) = answering(answer);
    let expected = Answer {
        status: 200,
        media_type: Some("application/json".into()),
        cache_control: Some("max-age=5".into()),
        body: b"{}".to_vec(),
    };
    let url = format!("http://localhost:{port}/a?b=c#d");
    assert_eq!(client(true).get(&url, "application/json", "test").await.unwrap(), expected);
    assert_eq!(client(true).post(Post::new(&url, "application/json", vec![1; 9], "test")).await.unwrap(), expected);
}

#[tokio::test]
async fn the_request_says_who_and_what_and_nothing_else() {
    let (told, hears) = std::sync::mpsc::channel();
    let (port, _) = serve(move |mut stream| {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).unwrap();
        told.send(String::from_utf8_lossy(&buffer[..length]).to_ascii_lowercase()).unwrap();
        let _ = stream.write_all(ok("", "").as_bytes());
    });
    client(true).get(&format!("http://127.0.0.1:{port}/a%20b?c=d#e"), "application/json", "test").await.unwrap();
    let request = hears.recv().unwrap();
    let mut lines: Vec<&str> = request.trim_end().lines().collect();
    lines[1..].sort_unstable();
    let version = env!("CARGO_PKG_VERSION");
    let (host, agent) = (format!("host: 127.0.0.1:{port}"), format!("user-agent: passmint/{version}"));
    let expected = ["get /a%20b?c=d http/1.1", "accept: application/json", "connection: close", &host, &agent];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn private_addresses_are_not_even_connected_to() {
    let (port, callers) = answering(ok("", ""));
    let strict = client(false);
    for host in ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "[::1]", "127.1"] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{port}/");
            let error = strict.get(&url, "*/*", "test").await.unwrap_err();
            assert!(matches!(error, OutboundError::Forbidden), "{url}: {error}");
        }
    }
    for address in ["169.254.169.254", "0.0.0.0", "224.0.0.1", "[fe80::1]", "[64:ff9b::7f00:1]"] {
        let error = client(true).get(&format!("http://{address}:{port}/"), "*/*", "test").await.unwrap_err();
        assert!(matches!(error, OutboundError::Forbidden), "{address}, whatever is allowed: {error}");
    }
    let error = client(true).get("http://1.1.1.1/", "*/*", "test").await.unwrap_err();
    assert!(matches!(error, OutboundError::Forbidden), "a public address without TLS: {error}");
    assert_eq!(callers.load(Ordering::SeqCst), 0);
}

/// An operator allows one host in the private network; everything else there stays blocked.
#[tokio::test]
async fn hosts_that_may_be_private_are_named_one_by_one() {
    let (port, callers) = answering(ok("", ""));
    let client = client(false).reaching(vec!["127.0.0.1".to_owned(), "[::1]".to_owned()]);
    assert_eq!(reason(&client, &format!("http://127.0.0.1:{port}/")).await, "done");
    assert_eq!(reason(&client.apart(), &format!("http://0x7f.1:{port}/")).await, "done", "the same address");
    for host in ["localhost", "127.0.0.2"] {
        assert_eq!(reason(&client, &format!("http://{host}:{port}/")).await, "forbidden", "{host}");
    }
    let never = client.reaching(vec!["169.254.169.254".to_owned()]);
    assert_eq!(reason(&never, "http://169.254.169.254/").await, "forbidden", "never, also when named");
    assert_eq!(callers.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn addresses_that_are_none_are_refused() {
    for url in ["", "x", "ftp://localhost/", "file:///etc/passwd", "https://user@localhost/", "http://a:b@localhost/"] {
        assert_eq!(reason(&client(true), url).await, "address", "{url}");
    }
    // If no DNS server responds either, the time limit is reached first.
    let unknown = reason(&client(true), "https://no-such-name.invalid/").await;
    assert!(["name", "time"].contains(&unknown), "{unknown}");
}

#[tokio::test]
async fn hostile_answers_are_refused_by_name() {
    let (inner, reached) = answering(ok("", ""));
    let redirect = format!("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{inner}/\r\nContent-Length: 0\r\n\r\n");
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
    for (name, answer, expected) in [
        ("a redirect inward", redirect, "status"),
        ("an error", "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".into(), "status"),
        ("too large by its own word", "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nx".into(), "size"),
        (
            "too large in chunks",
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}", chunk.repeat(3)),
            "size",
        ),
        ("compressed", ok("Content-Encoding: gzip\r\n", "x"), "encoding"),
        ("an endless head", format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(100_000)), "http"),
        ("cut off", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx".into(), "http"),
        ("no HTTP", "SSH-2.0-OpenSSH\r\n\r\n".into(), "http"),
        ("nothing", String::new(), "http"),
    ] {
        let (port, _) = answering(answer);
        assert_eq!(reason(&client(true), &format!("http://127.0.0.1:{port}/")).await, expected, "{name}");
    }
    assert_eq!(reached.load(Ordering::SeqCst), 0, "nobody was redirected");
}

/// If the body is ignored, only the status of the response counts.
#[tokio::test]
async fn an_ignored_body_is_whatever_it_is() {
    for (name, answer, expected) in [
        ("too large", "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nx".to_owned(), "done"),
        ("compressed", ok("Content-Encoding: gzip\r\n", "x"), "done"),
        ("cut off", "HTTP/1.1 202 OK\r\nContent-Length: 10\r\n\r\nx".into(), "done"),
        ("no chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz".into(), "done"),
        ("an error", "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".into(), "status"),
    ] {
        let (port, _) = answering(answer);
        let url = format!("http://127.0.0.1:{port}/");
        let sent = Post { answer: Body::Ignored, ..Post::new(&url, "text/plain", vec![1], "test") };
        let told = client(true).post(sent).await.map_or_else(|error| error.reason(), |_| "done");
        assert_eq!(told, expected, "{name}");
    }
}

#[tokio::test]
async fn names_that_hang_hold_up_nobody_who_is_apart() {
    let (port, _) = answering(ok("", ""));
    let (url, hung) = (format!("http://localhost:{port}/"), client(true));
    let _held = Arc::clone(&hung.lookups).try_acquire_many_owned(u32::try_from(LOOKUPS).unwrap()).unwrap();
    let sent = Post { within: Duration::from_millis(50), ..Post::new(&url, "text/plain", vec![1], "test") };
    assert!(matches!(hung.post(sent).await, Err(OutboundError::TimedOut)));
    assert_eq!(reason(&hung.apart(), &url).await, "done");
}

/// The runtime's clock is paused and jumps when nothing else can run, so five seconds pass at once.
#[tokio::test(start_paused = true)]
async fn whoever_keeps_us_waiting_is_left() {
    let (port, callers) = serve(|stream| {
        // Held open, without ever responding.
        std::mem::forget(stream);
    });
    assert_eq!(reason(&client(true), &format!("http://127.0.0.1:{port}/")).await, "time");
    assert!(callers.load(Ordering::SeqCst) <= 1);
}

#[tokio::test]
async fn certificates_are_checked() {
    let certificates = CertificateDer::pem_slice_iter(TRUSTED.certificate.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(TRUSTED.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates.map(Result::unwrap).collect(), key)
        .unwrap();
    let config = Arc::new(config);
    let (port, _) = serve(move |stream| {
        let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(ok("", "").as_bytes());
        stream.conn.send_close_notify();
        let _ = stream.flush();
    });
    let trusting = client(true);
    let unknowing = Outbound::new(true, None).unwrap();
    assert_eq!(reason(&trusting, &format!("https://localhost:{port}/")).await, "done");
    assert_eq!(reason(&trusting, &format!("https://127.0.0.1:{port}/")).await, "connection", "another name");
    assert_eq!(reason(&unknowing, &format!("https://localhost:{port}/")).await, "connection", "an unknown authority");
}

#[test]
fn an_authority_file_without_certificates_is_refused() {
    for (name, pem) in [("empty", ""), ("no PEM", "x"), ("a key", TRUSTED.key.as_str())] {
        assert!(matches!(Outbound::new(false, Some(pem.as_bytes())), Err(SetupError::ExtraCa)), "{name}");
    }
}

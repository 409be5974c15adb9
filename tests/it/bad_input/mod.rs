//! What strangers send: broken, huge, slow or hostile requests on every route.
//!
//! [`whatever_is_sent_is_answered_properly`] generates its requests from a seed, so a failure can be repeated: its
//! message contains the request. To try a new kind of bad input, add a line to one of the lists below.

mod limits;

use std::collections::BTreeMap;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use passmint::routes::ROUTES;
use passmint::web::error::Kind;
use serde_json::json;

use crate::admin::Ops;
use crate::raw::{answers, ask, exchange};
use crate::routes::csrf_of;
use crate::support::tokens::at_once;
use crate::support::{Options, Reply, TestApp};

/// splitmix64: small, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most)).map(|_| self.roll().to_le_bytes()[0]).collect()
    }
}

/// Markup that must never be echoed, and a host that must never be redirected to.
const MARK: &str = "<script>alert(7261)</script>";

const VALUES: [&str; 40] = [
    "\"\"",
    "null",
    "true",
    "-1",
    "1e999",
    "0.1",
    "99999999999999999999999",
    "[]",
    "{}",
    "[[[[[[[[[[]]]]]]]]]]",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\u{202e}x\"",
    "\"<script>alert(7261)</script>\"",
    "\"'; DROP TABLE users; --\"",
    "\"%00\"",
    "\"../../etc/passwd\"",
    "\"https://evil.example\"",
    "\"web\"",
    "\"api\"",
    "\"openid admin\"",
    "\"a@b.example\"",
    "\"@\"",
    "\"x@\\u0000\"",
    "\"\u{feff}\"",
    "\"sign-up\"",
    "\"step-up\"",
    "\"add\"",
    "{\"kind\":\"tokens\",\"clientId\":\"web\"}",
    "{\"kind\":\"tokens\",\"clientId\":\"web\",\"scope\":\"\\u0000\"}",
    "{\"kind\":\"bridge\",\"clientId\":\"web\",\"bridge\":\"\\u0000\"}",
    "{\"kind\":\"session\",\"kind\":\"tokens\"}",
    "{\"kind\":\"tokens\",\"clientId\":\"web\",\"audience\":\"\\u0000\",\"nonce\":\"\\u0000\"}",
    "[\"security-key\"]",
    "[\"x\",7]",
    "\"platform\"",
    "\"localhost\"",
    "\"pmc_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"",
    "{\"id\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"rawId\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"type\":\"public-key\",\"response\":{\"clientDataJSON\":\"e30\",\"authenticatorData\":\"AA\",\"signature\":\"AA\"}}",
    "{\"id\":\"\\u0000\",\"rawId\":null,\"response\":{\"attestationObject\":\"o2NmbXRkbm9uZQ\"}}",
];

const MEMBERS: [&str; 17] = [
    "email",
    "name",
    "purpose",
    "result",
    "relyingParty",
    "attachment",
    "hints",
    "ceremonyId",
    "credential",
    "clientId",
    "suspended",
    "kind",
    "__proto__",
    "",
    "\\u0000",
    "id",
    "csrf",
];

const FIELDS: [&str; 17] = [
    "csrf",
    "name",
    "username",
    "grant_type",
    "refresh_token",
    "scope",
    "ceremony_id",
    "credential",
    "client_id",
    "client_secret",
    "token",
    "token_type_hint",
    "audience",
    "resource",
    "code",
    "__proto__",
    "",
];

const FIELD_VALUES: [&str; 22] = [
    "",
    "x",
    "%00",
    "%ff%fe",
    "%",
    "%zz",
    "+",
    "web",
    "api",
    "refresh_token",
    "urn:passmint:params:oauth:grant-type:passkey",
    "authorization_code",
    "client_credentials",
    "openid",
    "openid%20admin",
    "%3Cscript%3Ealert(7261)%3C/script%3E",
    "a%40b.example",
    "eyJhbGciOiJub25lIn0.e30.",
    "eyJ0eXAiOiJydCtqd3QiLCJhbGciOiJIUzI1NiJ9.e30.AA",
    "pmc_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "%7B%7D",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

const IDS: [&str; 16] = [
    "x",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "%00",
    "%ff",
    "%2e%2e",
    "..%2f..%2fetc",
    "%0d%0aX-Evil:1",
    "%3Cscript%3Ealert(7261)%3C%2Fscript%3E",
    "'%20OR%201=1",
    "backend",
    "app.css",
    "{id}",
    "%E2%80%AE",
    "1",
    "%F0%9F%92%A9",
];

const QUERIES: [&str; 14] = [
    "",
    "?",
    "?next=//evil.example",
    "?next=https://evil.example",
    "?next=/\\evil.example",
    "?next=%2F%2Fevil.example",
    "?next=/account%0d%0aSet-Cookie:x=y",
    "?next=javascript:alert(7261)",
    "?done=%3Cscript%3Ealert(7261)%3C/script%3E",
    "?done=passkey-renamed&done=x",
    "?%ff=%ff",
    "?a&b&c=&=d",
    "?next=/a?next=/b",
    "?access_token=x",
];

/// Header lines as bytes, because some values are not valid text.
const HEADERS: [&[u8]; 44] = [
    b"Origin: null",
    b"Origin: https://evil.example",
    b"Origin: http://localhost",
    b"Origin: \xff\xfe",
    b"Origin: ",
    b"Origin: a\r\nOrigin: b",
    b"Sec-Fetch-Site: cross-site",
    b"Sec-Fetch-Site: same-origin",
    b"Sec-Fetch-Site: \xff",
    b"Cookie: a=b; c",
    b"Cookie: =; ;;=;",
    b"Cookie: \xff=\xfe",
    b"Cookie: passmint-dev-1=x",
    b"Authorization: Bearer",
    b"Authorization: Bearer x",
    b"Authorization: Bearer a.b.c",
    b"Authorization: Bearer eyJhbGciOiJub25lIn0.e30.",
    b"Authorization: Basic",
    b"Authorization: Basic %%%",
    b"Authorization: Basic Og==",
    b"Authorization: Basic d2ViOg==",
    b"Authorization: \xff",
    b"Authorization: Bearer x\r\nAuthorization: Basic y",
    b"X-Forwarded-For: evil, \xff",
    b"X-Forwarded-For: 1.2.3.4",
    b"Forwarded: for=\"",
    b"X-Forwarded-Host: evil.example",
    b"X-Forwarded-Proto: gopher",
    b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    b"traceparent: 00-zz",
    b"traceparent: \xff",
    b"Accept: text/html",
    b"Accept: */*;q=9,text/html;q=\xff",
    b"Accept-Language: de, ar;q=0.9",
    b"Accept-Language: ,,;;==\xff",
    b"User-Agent: <script>alert(7261)</script>",
    b"User-Agent: \xff\xff",
    b"If-None-Match: *",
    b"If-None-Match: \"x\", W/\"y\"",
    b"Content-Encoding: gzip",
    b"Range: bytes=0-0,5-,-9",
    b"Expect: 100-continue",
    b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket",
    b"Accept-Encoding: gzip, br;q=1",
];

const TYPES: [&[u8]; 12] = [
    b"application/json",
    b"application/json; charset=utf-8",
    b"application/json;charset=utf-7",
    b"application/x-www-form-urlencoded",
    b"APPLICATION/JSON",
    b"text/plain",
    b"",
    b"multipart/form-data; boundary=x",
    b"application/json, text/plain",
    b"\xff\xff",
    b"application/",
    b"application/x-www-form-urlencoded; charset=\xff",
];

fn json_body(dice: &mut Dice) -> Vec<u8> {
    let members: Vec<String> =
        (0..dice.below(6)).map(|_| format!("\"{}\":{}", dice.pick(&MEMBERS), dice.pick(&VALUES))).collect();
    spoil(dice, format!("{{{}}}", members.join(",")).into_bytes())
}

fn form_body(dice: &mut Dice) -> Vec<u8> {
    let pairs: Vec<String> =
        (0..dice.below(6)).map(|_| format!("{}={}", dice.pick(&FIELDS), dice.pick(&FIELD_VALUES))).collect();
    spoil(dice, pairs.join("&").into_bytes())
}

/// Sometimes truncates, alters, repeats, nests or replaces a body.
fn spoil(dice: &mut Dice, mut body: Vec<u8>) -> Vec<u8> {
    match dice.below(16) {
        0 => body.truncate(dice.below(body.len())),
        1 if !body.is_empty() => {
            let at = dice.below(body.len());
            body[at] ^= 1 << dice.below(8);
        }
        2 => body = [body.as_slice(), &body].concat(),
        3 => body = [b"\xef\xbb\xbf", body.as_slice()].concat(),
        4 => body = dice.bytes(2000),
        5 => body = [b"[".repeat(dice.below(16_000)), b"]".repeat(dice.below(16_000))].concat(),
        6 => body = [b"{\"credential\":".repeat(dice.below(2_000)), b"1".to_vec()].concat(),
        7 => body = format!("{{\"name\":\"{}\"}}", "ä".repeat(dice.below(16_000))).into_bytes(),
        8 => body = b"a=1&".repeat(dice.below(200)),
        9 => body = b"%".repeat(dice.below(32_000)),
        10 => body = vec![b'a'; 32 * 1024 + 1 + dice.below(100)],
        _ => {}
    }
    body
}

struct Shot {
    bytes: Vec<u8>,
    too_large: bool,
}

/// What a request may carry besides nonsense: valid credentials that lead past the first checks.
struct Keys<'a> {
    cookie: &'a str,
    csrf: &'a str,
    bearer: &'a str,
}

fn shot(dice: &mut Dice, keys: &Keys<'_>) -> Shot {
    let route = dice.pick(ROUTES);
    let mut path = route.path.replace("{id}", dice.pick(&IDS)).replace("{name}", dice.pick(&IDS));
    path.push_str(dice.pick(&QUERIES));
    if dice.one_in(40) {
        path.push_str(&"a".repeat(8_000));
    }
    let method =
        if dice.one_in(12) { dice.pick(&["HEAD", "PUT", "OPTIONS", "PATCH", "DELETE", "x"]) } else { route.method };
    let mut body = match route.method {
        "GET" if !dice.one_in(8) => Vec::new(),
        _ if path.starts_with("/v1/") => json_body(dice),
        _ => form_body(dice),
    };
    let mut of_type: &[u8] = if path.starts_with("/v1/") { TYPES[0] } else { TYPES[3] };
    if dice.one_in(8) {
        of_type = dice.pick(&TYPES);
    }
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n").into_bytes();
    match dice.below(5) {
        0 | 1 => {
            head.extend(format!("Cookie: {}\r\nSec-Fetch-Site: same-origin\r\n", keys.cookie).bytes());
            if of_type == TYPES[3] && body.len() < 30_000 {
                body = [format!("csrf={}&", keys.csrf).as_bytes(), &body].concat();
            }
        }
        2 => head.extend(format!("Authorization: Bearer {}\r\n", keys.bearer).bytes()),
        _ => {}
    }
    for _ in 0..dice.below(3) {
        head.extend_from_slice(dice.pick(&HEADERS));
        head.extend_from_slice(b"\r\n");
    }
    if !body.is_empty() || route.method != "GET" {
        head.extend_from_slice(&[b"Content-Type: ".as_slice(), of_type, b"\r\n"].concat());
        head.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
    }
    let read = method == "POST" && !route.path.ends_with("/token");
    let too_large = read && body.len() > 32 * 1024;
    Shot { bytes: [head.as_slice(), b"\r\n", &body].concat(), too_large }
}

/// Fails unless a response is one of ours: no server error, a known form, no echo, no redirect elsewhere.
fn judge(reply: &Reply, sent: &[u8]) {
    let request = || String::from_utf8_lossy(&sent[..sent.len().min(1500)]).into_owned();
    let status = reply.status;
    assert!((200..500).contains(&status), "{status} {}\nto {}", reply.body, request());
    assert!(!reply.body.contains(MARK), "{status} repeats markup: {}\nto {}", reply.body, request());
    if let Some(location) = reply.header("location") {
        assert!(
            location.starts_with('/') && !location.starts_with("//") && !location.contains('\\'),
            "{location}\nto {}",
            request()
        );
    }
    assert!(reply.header("x-evil").is_none(), "a header was injected\nto {}", request());
    let of_type = reply.header("content-type").unwrap_or_default();
    if of_type == "application/problem+json" {
        let problem = reply.json();
        let known = Kind::ALL.iter().any(|kind| problem["code"] == kind.code() && kind.status().as_u16() == status);
        assert!(known && problem["status"] == status, "{}\nto {}", reply.body, request());
        assert!(["type", "title", "detail"].iter().all(|name| problem[name].is_string()), "{}", reply.body);
    } else if of_type == "application/json" && status >= 400 {
        let code = reply.json()["error"].as_str().map(ToOwned::to_owned);
        let known = Kind::ALL.iter().any(|kind| code.as_deref() == Some(kind.oauth_code()));
        assert!(known, "{}\nto {}", reply.body, request());
    } else if of_type.starts_with("text/html") {
        assert!(reply.body.starts_with("<!doctype html>"), "{}\nto {}", reply.body, request());
    } else {
        // The HTTP parser's own refusals have no body; of our responses only successes have none.
        let from_the_parser = status == 400 && reply.body.is_empty() && reply.header("x-request-id").is_none();
        assert!(status < 400 || from_the_parser, "{status} {of_type} {:?}\nto {}", reply.body, request());
    }
    if reply.header("x-request-id").is_some() {
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "to {}", request());
    }
}

#[test]
fn whatever_is_sent_is_answered_properly() {
    const SHOTS: usize = 3_000;
    // Some of these requests announce a body that never arrives, which the server waits for.
    let settings = [("limits.body_timeout", "1s"), ("limits.header_timeout", "1s")];
    let app = TestApp::with(&Options {
        settings: &settings,
        config: "[bridges.backend]\npreset = \"jwt\"\naudience = \"https://backend.example\"",
        ..Options::default()
    });
    let mut dice = Dice(0x7061_7373_6d69_6e74);
    let mut statuses = BTreeMap::new();
    let began = Instant::now();
    let mut left = 0;
    let mut caller = None;
    for _ in 0..SHOTS {
        if left == 0 {
            // Some requests sign their sender out, so a new one is made now and then.
            let (mut person, mut passkey) = app.person();
            let tokens = app.client("web").sign_in(&mut passkey, "openid passkeys bridge:backend").expect(200).json();
            let csrf = csrf_of(&mut person);
            let cookie: Vec<String> = person.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            caller = Some((cookie.join("; "), csrf, tokens["accessToken"].as_str().unwrap().to_owned()));
            left = 40;
        }
        left -= 1;
        let (cookie, csrf, bearer) = caller.as_ref().expect("a caller");
        let shot = shot(&mut dice, &Keys { cookie, csrf, bearer });
        if shot.bytes.starts_with(b"HEAD") {
            // A response to HEAD has a length but no body.
            let got = exchange(&app.url, &shot.bytes);
            let answer = String::from_utf8_lossy(&got);
            assert!(answer.starts_with("HTTP/1.1 ") && answer.ends_with("\r\n\r\n"), "{answer}");
            assert!(!answer.starts_with("HTTP/1.1 5"), "{answer}");
            continue;
        }
        let reply = ask(&app.url, &shot.bytes)
            .unwrap_or_else(|| panic!("no answer to {}", String::from_utf8_lossy(&shot.bytes)));
        judge(&reply, &shot.bytes);
        assert!(!shot.too_large || reply.status != 200, "too large and accepted");
        *statuses.entry(reply.status).or_insert(0_usize) += 1;
    }
    println!("{SHOTS} requests in {:?}: {statuses:?}", began.elapsed());
    for status in [200, 303, 400, 401, 403, 404, 405, 413, 415] {
        assert!(statuses.contains_key(&status), "{status} is among what was seen: {statuses:?}");
    }
    app.request("GET", "/readyz").send().expect(200);
    assert_eq!(app.events("user.created"), i64::try_from(SHOTS.div_ceil(40)).unwrap(), "no shot made an account");
}

fn statuses(bytes: &[u8]) -> Vec<u16> {
    answers(bytes).iter().map(|reply| reply.status).collect()
}

/// The header of the PROXY protocol's version 2: from 192.0.2.1 to 192.0.2.2. It must not be accepted before a request.
const PROXY_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\0\x01\0\x02";

/// RFC 9112 §6.3, §11.2: a request that two parsers could read differently is refused, and the connection is closed.
#[test]
fn requests_that_could_be_read_in_two_ways_are_refused() {
    let app = TestApp::spawn();
    let smuggled = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let post = |headers: &str, body: &str| {
        format!("POST /v1/passkeys/authentication/options HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}\r\n{body}{smuggled}").into_bytes()
    };
    let chunked = "2\r\n{}\r\n0\r\n\r\n";
    let mut cases = vec![
        ("length and chunks", post("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", chunked)),
        ("chunks and length", post("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", chunked)),
        ("two lengths", post("Content-Length: 2\r\nContent-Length: 40\r\n", "{}")),
        ("the same length twice", post("Content-Length: 2\r\nContent-Length: 2\r\n", "{}")),
        ("a list of lengths", post("Content-Length: 2, 2\r\n", "{}")),
        ("a signed length", post("Content-Length: +2\r\n", "{}")),
        ("a negative length", post("Content-Length: -2\r\n", "{}")),
        ("a hexadecimal length", post("Content-Length: 0x2\r\n", "{}")),
        ("a length past 64 bits", post("Content-Length: 18446744073709551618\r\n", "{}")),
        ("another encoding", post("Transfer-Encoding: gzip, chunked\r\n", chunked)),
        ("an unknown encoding", post("Transfer-Encoding: xchunked\r\n", chunked)),
        ("two encodings", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", chunked)),
        ("chunks, then not", post("Transfer-Encoding: chunked, identity\r\n", chunked)),
        ("space before the colon", post("Content-Length : 2\r\n", "{}")),
        ("a folded header", post("X-Folded: a\r\n b\r\nContent-Length: 2\r\n", "{}")),
        ("a header without a name", post(": x\r\nContent-Length: 2\r\n", "{}")),
        ("a NUL in a header", post("X-Nul: a\0b\r\nContent-Length: 2\r\n", "{}")),
        ("a lone CR in a header", post("X-Cr: a\rb\r\nContent-Length: 2\r\n", "{}")),
        ("two hosts", post("Host: evil.example\r\nContent-Length: 2\r\n", "{}")),
        ("a chunk size that is none", post("Transfer-Encoding: chunked\r\n", "zz\r\n{}\r\n0\r\n\r\n")),
        ("a chunk size past 64 bits", post("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n{}\r\n0\r\n\r\n")),
        ("a signed chunk size", post("Transfer-Encoding: chunked\r\n", "+2\r\n{}\r\n0\r\n\r\n")),
        ("a chunk size as C writes it", post("Transfer-Encoding: chunked\r\n", "0x2\r\n{}\r\n0\r\n\r\n")),
        ("a chunk without a size", post("Transfer-Encoding: chunked\r\n", "\r\n{}\r\n0\r\n\r\n")),
        ("a lone LF behind a chunk size", post("Transfer-Encoding: chunked\r\n", "2\n{}\r\n0\r\n\r\n")),
        ("a lone LF in a chunk's extension", post("Transfer-Encoding: chunked\r\n", "2;a\nb\r\n{}\r\n0\r\n\r\n")),
        ("a lone LF behind a chunk", post("Transfer-Encoding: chunked\r\n", "2\r\n{}\n0\r\n\r\n")),
        ("a lone LF behind the last chunk", post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\n\n")),
        ("chunked twice", post("Transfer-Encoding: chunked, chunked\r\n", chunked)),
        ("chunked twice, line by line", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunked)),
        ("chunked in quotes", post("Transfer-Encoding: \"chunked\"\r\n", chunked)),
        ("a vertical tab before the encoding", post("Transfer-Encoding: \x0bchunked\r\n", chunked)),
        ("space before the encoding's colon", post("Transfer-Encoding : chunked\r\n", chunked)),
        ("a folded encoding", post("Transfer-Encoding:\r\n chunked\r\n", chunked)),
        (
            "a lone LF that hides an encoding",
            post("X: a\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n", chunked),
        ),
    ];
    cases.extend([
        ("no host", b"GET /livez HTTP/1.1\r\n\r\n".to_vec()),
        ("two spaces", b"GET  /livez HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("no version", b"GET /livez\r\nHost: localhost\r\n\r\n".to_vec()),
        ("another protocol", b"GET /livez HTTP/9.9\r\nHost: localhost\r\n\r\n".to_vec()),
        ("HTTP/2 in the clear", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec()),
        ("zeros", vec![0; 4096]),
        ("text", b"hello?\r\n\r\n".to_vec()),
        ("a proxy's word, in text", format!("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n{smuggled}").into_bytes()),
        ("a proxy's word, in bytes", [PROXY_V2, smuggled.as_bytes()].concat()),
        ("chunks in HTTP/1.0", format!("POST /v1/passkeys/authentication/options HTTP/1.0\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}{smuggled}").into_bytes()),
        ("a space in the path", b"GET /liv ez HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("a control character in the path", b"GET /liv\x07ez HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        (
            "97 headers",
            format!("GET /livez HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X-Many: 1\r\n".repeat(97)).into_bytes(),
        ),
        (
            "200 KiB of header",
            format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "a".repeat(200 * 1024))
                .into_bytes(),
        ),
        (
            "200 KiB of path",
            format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(200 * 1024)).into_bytes(),
        ),
    ]);
    for (name, bytes) in &cases {
        let got = statuses(&exchange(&app.url, bytes));
        let refused = matches!(got.as_slice(), [400 | 413 | 414 | 431 | 505] | []);
        assert!(refused, "{name}: one refusal and the end, not {got:?}");
    }
    app.request("GET", "/livez").send().expect(200);
}

#[test]
fn what_is_odd_but_clear_is_served() {
    let app = TestApp::spawn();
    let get = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let last = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    for (name, bytes, expected) in [
        ("HTTP/1.0", "GET /livez HTTP/1.0\r\n\r\n".to_owned(), vec![200]),
        ("three at once", format!("{get}{get}{last}"), vec![200, 200, 200]),
        ("garbage after a request", format!("{get}\x01\x02garbage\r\n\r\n"), vec![200, 400]),
        ("half a request after a whole one, then the end", format!("{last}GET /liv"), vec![200]),
        ("an absolute address", last.replace("/livez", "http://evil.example/livez"), vec![200]),
        ("a body that nobody reads", last.replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\nhello"), vec![200]),
        ("a body, told first", "POST /v1/passkeys/authentication/options HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}".to_owned(), vec![200]),
        ("a body in chunks", "POST /v1/passkeys/authentication/options HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n".to_owned(), vec![200]),
    ] {
        assert_eq!(statuses(&exchange(&app.url, bytes.as_bytes())), expected, "{name}");
    }
}

/// Check 124: what one caller is told is never told to another, however many are refused at the same moment.
#[test]
fn refusals_at_once_are_each_callers_own() {
    let app = TestApp::with(&Options { settings: &[("workers", "4")], ..Options::default() });
    let replies = at_once(64, |number| {
        let body = format!("{{\"marker{number}x\":1}}").into_bytes();
        app.request("POST", "/v1/passkeys/authentication/options").body("application/json", body).send()
    });
    for (number, reply) in replies.into_iter().enumerate() {
        let reply = reply.expect_problem(400, "invalid_request");
        assert!(reply.body.contains(&format!("`marker{number}x`")), "{number}: {}", reply.body);
        assert_eq!(reply.body.matches("marker").count(), 1, "{number}: {}", reply.body);
    }
}

/// No text in the database may hold a NUL: a request that contains one is refused, and is not a server error.
#[test]
fn a_nul_in_an_address_is_refused_at_every_route() {
    let ops = Ops::new();
    let (mut person, _) = ops.app.person();
    for route in ROUTES {
        let part = |part: &'static str| if part.starts_with('{') { "%00" } else { part };
        let path = route.path.split('/').map(part).collect::<Vec<_>>().join("/");
        for target in [path, format!("{}?name=a%00b", route.path)] {
            let request = ops.request(route.method, &target).header("If-Match", "*");
            let by_token = if route.method == "GET" { request } else { request.json(&json!({})) }.send();
            let by_cookie = person.call(route.method, &target, None);
            for reply in [by_token, by_cookie] {
                assert!(reply.status < 500, "{} {target}: {}", route.method, reply.body);
                // The query of a forward-auth request may be that of the app.
                let is_of_an_app = route.path.starts_with("/v1/forward-auth");
                if route.path.starts_with("/v1/") && !is_of_an_app && target.contains("%00") {
                    reply.expect_problem(400, "invalid_request");
                }
            }
        }
    }
    for query in [
        "users?email=%00",
        "users?group=%00",
        "users?source=%00&externalId=1",
        "users?source=hr&externalId=%00",
        "audit-events?client=%00",
        "audit-events?kind=%00",
    ] {
        ops.get(&format!("/v1/admin/{query}")).expect_problem(400, "invalid_request");
    }
    let cursor = URL_SAFE_NO_PAD.encode(r#""a\u0000""#);
    for list in ["groups", "clients", "resources", "bridges"] {
        ops.get(&format!("/v1/admin/{list}?cursor={cursor}")).expect_problem(400, "invalid_field");
    }
    let named = json!({ "groups": ["a\0"] });
    ops.post("/v1/admin/users", &named).expect_problem(400, "invalid_field");
}

//! A NATS server, as far as an auth callout needs one: it admits one user by its key, asks on the subject, and reads
//! the answers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use passmint::bridge::nkey::{self, Role};
use serde_json::{Value, json};

use super::tokens::claims;

/// The longest wait for what must arrive.
const WAIT: Duration = Duration::from_secs(20);

/// The server.
pub struct Nats {
    listener: TcpListener,
    pair: Ed25519KeyPair,
    /// Its public key, `N…`.
    pub id: String,
}

/// The connection of one of our servers.
pub struct Line {
    stream: BufReader<TcpStream>,
    asked: usize,
    /// The content of its `CONNECT`.
    pub connected: Value,
}

impl Nats {
    /// Listens, with a key of its own.
    pub fn start() -> Self {
        let pair = Ed25519KeyPair::generate().expect("a key");
        let id = public(Role::Server, &pair);
        Self { listener: TcpListener::bind("127.0.0.1:0").expect("a free port"), pair, id }
    }

    /// `nats://…`
    pub fn url(&self) -> String {
        format!("nats://{}", self.listener.local_addr().expect("its address"))
    }

    /// Accepts the next connection with this `INFO`, and sends nothing else.
    pub fn greet(&self, info: &Value) -> BufReader<TcpStream> {
        let (mut stream, _) = self.listener.accept().expect("a connection");
        stream.set_read_timeout(Some(WAIT)).expect("a limit");
        write!(stream, "INFO {info}\r\n").expect("said");
        BufReader::new(stream)
    }

    /// Accepts the next connection, whose user must be this one and prove it.
    pub fn accept(&self, user: &str) -> Line {
        let nonce = format!("nonce-{}", passmint::random::uuid());
        let info = json!({ "server_id": self.id, "version": "2.12.0", "nonce": nonce, "max_payload": 1_048_576 });
        let mut line = Line { stream: self.greet(&info), asked: 0, connected: Value::Null };
        let said = line.line();
        line.connected = serde_json::from_str(said.strip_prefix("CONNECT ").expect("CONNECT")).expect("JSON");
        assert_eq!(line.connected["nkey"], user, "another user than the one of the configuration");
        let signature = URL_SAFE_NO_PAD.decode(line.connected["sig"].as_str().expect("a proof")).expect("base64url");
        let key = nkey::key_of(Role::User, user).expect("a user's key");
        UnparsedPublicKey::new(&ED25519, key).verify(nonce.as_bytes(), &signature).expect("the proof of the key");
        assert_eq!(line.line(), "PING");
        line.say("PONG\r\n");
        assert_eq!(line.line(), "SUB $SYS.REQ.USER.AUTH passmint 1");
        assert_eq!(line.line(), "PING");
        line.say("PONG\r\n");
        line
    }

    /// A question about a connection with these options; `change` may alter it before it is signed.
    pub fn question(&self, user: &str, options: Value, now: i64, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = json!({
            "jti": "q", "iss": self.id, "sub": "$SYS.REQ.USER.AUTH", "aud": "nats-authorization-request", "iat": now,
            "exp": now + 2,
            "nats": {
                "type": "authorization_request", "version": 2, "user_nkey": user, "connect_opts": options,
                "server_id": { "id": self.id, "name": "n" }, "client_info": { "host": "127.0.0.1", "id": 7 },
            },
        });
        change(&mut claims);
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(json!({ "typ": "JWT", "alg": "ed25519-nkey" })), part(claims));
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes())))
    }
}

impl Line {
    /// Sends a question. Returns the answer.
    pub fn ask(&mut self, question: &str) -> String {
        let reply = self.send(question);
        let said = self.line();
        let size = said.strip_prefix(&format!("PUB {reply} ")).unwrap_or_else(|| panic!("{said:?} answers {reply}"));
        let mut answer = vec![0; size.parse::<usize>().expect("a size") + 2];
        self.stream.read_exact(&mut answer).expect("the answer");
        assert!(answer.ends_with(b"\r\n"));
        String::from_utf8(answer[..answer.len() - 2].to_vec()).expect("text")
    }

    /// Sends a question that is not answered: the reply to the `PING` after it is all that comes back.
    pub fn ask_in_vain(&mut self, question: &str) {
        self.send(question);
        self.say("PING\r\n");
        assert_eq!(self.line(), "PONG");
    }

    fn send(&mut self, question: &str) -> String {
        self.asked += 1;
        let reply = format!("_INBOX.{}", self.asked);
        self.say(&format!("MSG $SYS.REQ.USER.AUTH 1 {reply} {}\r\n{question}\r\n", question.len()));
        reply
    }

    /// Whether the other side ends the connection without saying anything first.
    pub fn ends(&mut self) -> bool {
        let mut rest = String::new();
        self.stream.read_to_string(&mut rest).is_ok() && rest.replace("PING\r\n", "").is_empty()
    }

    fn say(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).expect("said");
    }

    /// The next line, skipping the other side's own pings.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a line in time");
        let line = line.trim_end().to_owned();
        if line == "PING" && self.asked > 0 {
            self.say("PONG\r\n");
            return self.line();
        }
        line
    }
}

/// The text of a public key.
pub fn public(role: Role, pair: &Ed25519KeyPair) -> String {
    nkey::public(role, pair.public_key().as_ref().try_into().expect("32 bytes"))
}

/// The claims of a NATS JWT, signed by the account that it names.
pub fn verified(token: &str, account: &str) -> Value {
    let (signed, signature) = token.rsplit_once('.').expect("a JWT");
    let key = nkey::key_of(Role::Account, account).expect("an account's key");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    UnparsedPublicKey::new(&ED25519, key).verify(signed.as_bytes(), &signature).expect("the account's signature");
    let claims = claims(token);
    assert_eq!(claims["iss"], account);
    claims
}

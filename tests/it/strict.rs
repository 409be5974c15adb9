//! The strict reader and the real library, one after the other, as the server runs them.
//!
//! Each row takes one genuine ceremony, changes one thing, signs where an attacker could, and says who refuses it and
//! why. The ids (N1, N2 …) are those of the negative tests in the security requirements.

mod authentication;
mod client_data;
mod property;
mod registration;

use passmint::ceremony::strict::{Assertion, Expected, Reason, Refusal, Registration, authentication, registration};
use serde_json::Value;
use webauthn_rs_core::WebauthnCore;
use webauthn_rs_core::error::WebauthnError;
use webauthn_rs_core::proto::{AuthenticationResult, Credential, UserVerificationPolicy};

use crate::authenticator::Authenticator;
use property::oracle;

pub const ORIGIN: &str = oracle::ORIGIN;

/// Who decided, and what.
#[derive(Debug)]
enum Verdict<T> {
    Accepted(T),
    Reader(Refusal),
    Library(WebauthnError),
}

/// The outcome that a row expects.
#[derive(Debug)]
enum Expect {
    Accepted,
    Reader(Reason),
    /// Refused for the origin received.
    Origin(&'static str),
    /// The reader does not judge it; the library refuses it with the variant of this name.
    Library(&'static str),
}

/// A name, a change to a genuine ceremony, and the expected outcome.
struct Row {
    name: &'static str,
    change: Box<dyn Fn(&mut Authenticator)>,
    expect: Expect,
}

fn row(name: &'static str, change: impl Fn(&mut Authenticator) + 'static, expect: Expect) -> Row {
    Row { name, change: Box::new(change), expect }
}

impl<T: std::fmt::Debug> Verdict<T> {
    fn check(self, name: &str, expect: &Expect) {
        let as_expected = match (&self, expect) {
            (Self::Accepted(_), Expect::Accepted) => true,
            (Self::Reader(Refusal::Malformed(reason)), Expect::Reader(wanted)) => reason == wanted,
            (Self::Reader(Refusal::WrongOrigin { received }), Expect::Origin(wanted)) => received == wanted,
            (Self::Library(error), Expect::Library(wanted)) => format!("{error:?}").starts_with(wanted),
            _ => false,
        };
        assert!(as_expected, "{name}: expected {expect:?}, found {self:?}");
    }

    fn accepted(self) -> T {
        if let Self::Accepted(value) = self { value } else { panic!("refused: {self:?}") }
    }
}

/// A relying party with the strict reader in front of the library.
struct Site {
    library: WebauthnCore,
    origins: [String; 1],
}

impl Site {
    fn new() -> Self {
        Self { library: oracle::library(), origins: [ORIGIN.to_owned()] }
    }

    fn expected(&self) -> Expected<'_> {
        Expected { origins: &self.origins }
    }

    /// One registration, from the options to the verdict.
    fn register(&self, passkey: &mut Authenticator) -> Verdict<(Registration, Credential)> {
        let builder = self.library.new_challenge_register_builder(&[1; 16], "alice", "Alice").unwrap();
        let builder = builder.user_verification_policy(UserVerificationPolicy::Required);
        let (options, state) = self.library.generate_challenge_register(builder).unwrap();
        let options = serde_json::to_value(options).unwrap();
        let answer = passkey.create(&options["publicKey"]).to_string();
        let read = match registration(answer.as_bytes(), &self.expected()) {
            Ok(read) => read,
            Err(refusal) => return Verdict::Reader(refusal),
        };
        match self.library.register_credential(&read.credential, &state, None) {
            Ok(credential) => Verdict::Accepted((read, credential)),
            Err(error) => Verdict::Library(error),
        }
    }

    /// One authentication, from the options to the verdict.
    fn sign_in(
        &self,
        passkey: &mut Authenticator,
        credential: &Credential,
    ) -> Verdict<(Assertion, AuthenticationResult)> {
        let policy = Some(UserVerificationPolicy::Required);
        let builder = self.library.new_challenge_authenticate_builder(vec![credential.clone()], policy).unwrap();
        let (options, state) = self.library.generate_challenge_authenticate(builder).unwrap();
        let options: Value = serde_json::to_value(options).unwrap();
        let answer = passkey.get_uninvited(&options["publicKey"]).to_string();
        let read = match authentication(answer.as_bytes(), &self.expected()) {
            Ok(read) => read,
            Err(refusal) => return Verdict::Reader(refusal),
        };
        match self.library.authenticate_single_credential(&read.credential, &state, credential) {
            Ok(result) => Verdict::Accepted((read, result)),
            Err(error) => Verdict::Library(error),
        }
    }

    /// Checks every row with a fresh passkey.
    fn check_registrations(&self, rows: &[Row]) {
        for Row { name, change, expect } in rows {
            let mut passkey = Authenticator::new(ORIGIN);
            change(&mut passkey);
            self.register(&mut passkey).check(name, expect);
        }
    }

    /// Checks every row with a passkey created by `make` and registered honestly before the change.
    fn check_sign_ins(&self, make: impl Fn() -> Authenticator, rows: &[Row]) {
        for Row { name, change, expect } in rows {
            let mut passkey = make();
            let (_, credential) = self.register(&mut passkey).accepted();
            change(&mut passkey);
            self.sign_in(&mut passkey, &credential).check(name, expect);
        }
    }
}

//! Tokens signed by others, as received: DPoP proofs, and client assertions before their keys are known.
//!
//! The property: nothing panics, and whatever is accepted as a proof has a key, an id and an expiry.
#![no_main]

use passmint::clock::Time;
use passmint::tokens::dpop::{Target, check};
use passmint::tokens::verifier::claimed_issuer;

libfuzzer_sys::fuzz_target!(|input: &str| {
    let url = url::Url::parse("https://server.example.com/token").expect("a constant");
    let target = Target { method: "POST", url: &url, access_token: None };
    // The time of the seed, the proof of RFC 9449 §4.1.
    let now = Time::from_timestamp(1_562_262_616, 0).expect("a constant");
    if let Ok(proof) = check(input, &target, now) {
        assert!(proof.key.as_str().len() == 43 && !proof.jti.is_empty() && proof.expires_at >= now.timestamp());
    }
    let _ = claimed_issuer(input);
});

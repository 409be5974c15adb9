//! Import and export of keys.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::json;

use super::*;
use crate::ceremony::strict::cbor::Fault;

/// A genuine P-256 key: x and y.
fn point() -> (Vec<u8>, Vec<u8>) {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    (x.to_vec(), y.to_vec())
}

fn map(entries: &[&[u8]]) -> Vec<u8> {
    [&[0xa0 + u8::try_from(entries.len()).unwrap()], entries.concat().as_slice()].concat()
}

fn bytes(label: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![label];
    byte_string(&mut out, value);
    out
}

#[test]
fn what_came_in_any_order_goes_out_canonical_and_is_the_same_key() {
    let (x, y) = point();
    let canonical = map(&[&[1, 2], &[3, 0x26], &[0x20, 1], &bytes(0x21, &x), &bytes(0x22, &y)]);
    let other = map(&[&bytes(0x22, &y), &[0x20, 1], &bytes(0x21, &x), &[3, 0x26], &[1, 2]]);
    let key = PublicKey::parse(&other).unwrap();
    assert_eq!(key.to_cose(), canonical, "the 77 bytes that authenticators send");
    assert_eq!((canonical.len(), key.algorithm()), (77, -7));
    assert_eq!(PublicKey::of_document(&key.document(&[7; 16], true)), Some(key));
}

#[test]
fn rsa_keys_too() {
    let rsa = map(&[&[1, 3], &[3, 0x39, 1, 0], &bytes(0x20, &[0x81; 256]), &bytes(0x21, &[1, 0, 1])]);
    let key = PublicKey::parse(&rsa).unwrap();
    assert_eq!((key.to_cose(), key.algorithm(), rsa.len()), (rsa.clone(), -257, 272));
    assert_eq!(PublicKey::of_document(&key.document(&[7; 16], false)), Some(key));
}

#[test]
fn refusals_by_name() {
    let (x, y) = point();
    let ec = |algorithm: &[u8], y: &[u8]| map(&[&[1, 2], algorithm, &[0x20, 1], &bytes(0x21, &x), &bytes(0x22, y)]);
    let mut off = y.clone();
    off[31] ^= 1;
    let trailing = [ec(&[3, 0x26], &y), vec![0]].concat();
    let ed25519 = map(&[&[1, 1], &[3, 0x27], &[0x20, 6], &bytes(0x21, &x)]);
    let rsa_4096 = map(&[&[1, 3], &[3, 0x39, 1, 0], &bytes(0x20, &[0x81; 512]), &bytes(0x21, &[1, 0, 1])]);
    for (name, key, problem) in [
        ("beside its curve", ec(&[3, 0x26], &off), KeyProblem::NotOnCurve),
        ("bytes after it", trailing, KeyProblem::Malformed(Reason::Cbor(Fault::Trailing))),
        ("Ed25519", ed25519.clone(), KeyProblem::Unsupported(-8)),
        ("ES256K", ec(&[3, 0x38, 46], &y), KeyProblem::Unsupported(-47)),
        ("RSA with 4096 bits", rsa_4096, KeyProblem::Unsupported(-257)),
        ("nothing", Vec::new(), KeyProblem::Malformed(Reason::Cbor(Fault::Truncated))),
        ("no algorithm", map(&[&[1, 2]]), KeyProblem::Malformed(Reason::KeyIncomplete)),
        ("half an Ed25519", ed25519[..20].to_vec(), KeyProblem::Malformed(Reason::Cbor(Fault::Truncated))),
    ] {
        assert_eq!(PublicKey::parse(&key), Err(problem), "{name}");
    }
    assert_eq!(PublicKey::of_document(&json!({"cred": 1})), None);
}

//! The credential public key: a COSE_Key (RFC 9052 §7, RFC 9053 §7) as restricted by WebAuthn Level 3 §5.8.5 and
//! §6.5.1.1.
//!
//! WebAuthn requires `alg` in the key and forbids every optional parameter, so each type has an exact set of labels;
//! and it fixes the curve for each algorithm. The library checks whether the point lies on its curve.

use super::Reason;
use super::cbor::Reader;

const ES256: i64 = -7;
const ES384: i64 = -35;
const RS256: i64 = -257;

const KEY_TYPE_EC2: i64 = 2;
const KEY_TYPE_RSA: i64 = 3;
const CURVE_P256: i64 = 1;
const CURVE_P384: i64 = 2;

/// The library supports only 2048 bits.
const RSA_MODULUS_BYTES: usize = 256;

/// The parameters by label, still encoded: the meaning of −1, −2 and −3 depends on the type.
#[derive(Default)]
struct Parameters<'a> {
    key_type: Option<i64>,
    algorithm: Option<i64>,
    minus_1: Option<&'a [u8]>,
    minus_2: Option<&'a [u8]>,
    minus_3: Option<&'a [u8]>,
}

/// A well-formed key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// COSE algorithm: −7 (ES256), −35 (ES384) or −257 (RS256).
    pub algorithm: i64,
    /// The x coordinate, or the modulus.
    pub first: &'a [u8],
    /// The y coordinate, or the exponent.
    pub second: &'a [u8],
}

/// Parses a key; returns its COSE algorithm.
pub fn read(reader: &mut Reader<'_>) -> Result<i64, Reason> {
    parts(reader).map(|key| key.algorithm)
}

/// Parses a key.
pub fn parts<'a>(reader: &mut Reader<'a>) -> Result<Parts<'a>, Reason> {
    let key = parameters(reader)?;
    let algorithm = key.algorithm.ok_or(Reason::KeyIncomplete)?;
    let (first, second) = match algorithm {
        ES256 => key.check_elliptic(CURVE_P256, 32)?,
        ES384 => key.check_elliptic(CURVE_P384, 48)?,
        RS256 => key.check_rsa()?,
        _ => return Err(Reason::KeyAlgorithm),
    };
    Ok(Parts { algorithm, first, second })
}

/// The algorithm of a key of any type.
pub fn algorithm(reader: &mut Reader<'_>) -> Result<i64, Reason> {
    parameters(reader)?.algorithm.ok_or(Reason::KeyIncomplete)
}

fn parameters<'a>(reader: &mut Reader<'a>) -> Result<Parameters<'a>, Reason> {
    let mut key = Parameters::default();
    reader.map(|label, value| {
        match label.int()? {
            1 => key.key_type = Some(value.int()?),
            3 => key.algorithm = Some(value.int()?),
            -1 => key.minus_1 = Some(value.item()?),
            -2 => key.minus_2 = Some(value.item()?),
            -3 => key.minus_3 = Some(value.item()?),
            _ => return Err(Reason::KeyLabel),
        }
        Ok(())
    })?;
    Ok(key)
}

impl<'a> Parameters<'a> {
    fn check_type(&self, wanted: i64) -> Result<(), Reason> {
        if self.key_type.ok_or(Reason::KeyIncomplete)? == wanted { Ok(()) } else { Err(Reason::KeyMismatch) }
    }

    /// RFC 9053 §7.1.1. `y` is a byte string: the compressed form (a boolean) is forbidden by WebAuthn §5.8.5.
    fn check_elliptic(&self, wanted_curve: i64, coordinate: usize) -> Result<(&'a [u8], &'a [u8]), Reason> {
        self.check_type(KEY_TYPE_EC2)?;
        let curve = Reader::new(self.minus_1.ok_or(Reason::KeyIncomplete)?).int()?;
        if curve != wanted_curve {
            return Err(Reason::KeyMismatch);
        }
        let (x, y) = (byte_string(self.minus_2)?, byte_string(self.minus_3)?);
        if x.len() != coordinate || y.len() != coordinate {
            return Err(Reason::KeyCoordinate);
        }
        Ok((x, y))
    }

    /// RFC 8230 §4. The exponent according to FIPS 186-5 §5.1: odd and more than 2^16; the library requires three
    /// bytes.
    fn check_rsa(&self) -> Result<(&'a [u8], &'a [u8]), Reason> {
        self.check_type(KEY_TYPE_RSA)?;
        if self.minus_3.is_some() {
            return Err(Reason::KeyLabel);
        }
        let (modulus, exponent) = (byte_string(self.minus_1)?, byte_string(self.minus_2)?);
        match modulus {
            [first, .., last] if *first >= 0x80 && last % 2 == 1 && modulus.len() == RSA_MODULUS_BYTES => {}
            _ => return Err(Reason::RsaModulus),
        }
        match exponent {
            [first, _, last] if *first >= 1 && last % 2 == 1 => Ok((modulus, exponent)),
            _ => Err(Reason::RsaExponent),
        }
    }
}

fn byte_string(item: Option<&[u8]>) -> Result<&[u8], Reason> {
    Ok(Reader::new(item.ok_or(Reason::KeyIncomplete)?).bytes()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceremony::strict::cbor::Fault;

    /// A name, the input, the verdict.
    type Row<'a> = (&'a str, &'a [&'a [u8]], Result<i64, Reason>);

    fn verdict(entries: &[&[u8]]) -> Result<i64, Reason> {
        let map = 0xa0 + u8::try_from(entries.len()).unwrap();
        let bytes = [&[map], entries.concat().as_slice()].concat();
        let mut reader = Reader::new(&bytes);
        let algorithm = read(&mut reader)?;
        assert!(reader.rest().is_empty());
        Ok(algorithm)
    }

    /// A byte string under a label.
    fn bytes(label: u8, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len()).unwrap();
        let head = match length {
            0..24 => vec![0x40 + length.to_be_bytes()[1]],
            24..256 => vec![0x58, length.to_be_bytes()[1]],
            _ => [&[0x59], &length.to_be_bytes()[..]].concat(),
        };
        [&[label], head.as_slice(), value].concat()
    }

    #[test]
    fn elliptic_keys_by_name() {
        const EC2: &[u8] = &[1, 2];
        const ES256_LABEL: &[u8] = &[3, 0x26];
        const ES384_LABEL: &[u8] = &[3, 0x38, 34];
        const P256: &[u8] = &[0x20, 1];
        const P384: &[u8] = &[0x20, 2];
        let (x, y) = (bytes(0x21, &[1; 32]), bytes(0x22, &[2; 32]));
        let (x384, y384) = (bytes(0x21, &[1; 48]), bytes(0x22, &[2; 48]));
        let table: &[Row] = &[
            ("ES256", &[EC2, ES256_LABEL, P256, &x, &y], Ok(-7)),
            ("any order", &[&y, &x, P256, ES256_LABEL, EC2], Ok(-7)),
            ("ES384", &[EC2, ES384_LABEL, P384, &x384, &y384], Ok(-35)),
            ("ES384 on P-256", &[EC2, ES384_LABEL, P256, &x, &y], Err(Reason::KeyMismatch)),
            ("ES256 on P-384", &[EC2, ES256_LABEL, P384, &x384, &y384], Err(Reason::KeyMismatch)),
            ("ES256 of type RSA", &[&[1, 3], ES256_LABEL, P256, &x, &y], Err(Reason::KeyMismatch)),
            ("coordinate too long", &[EC2, ES256_LABEL, P256, &x384, &y], Err(Reason::KeyCoordinate)),
            ("compressed", &[EC2, ES256_LABEL, P256, &x, &[0x22, 0xf5]], Err(Reason::Cbor(Fault::Type))),
            ("two algorithms", &[EC2, ES256_LABEL, ES384_LABEL, P256, &x, &y], Err(Reason::Cbor(Fault::Duplicate))),
            ("long label", &[EC2, &[0x18, 3, 0x26], P256, &x, &y], Err(Reason::Cbor(Fault::NotShortest))),
            ("key_ops", &[EC2, ES256_LABEL, P256, &x, &y, &[4, 0x80]], Err(Reason::KeyLabel)),
            ("no y", &[EC2, ES256_LABEL, P256, &x], Err(Reason::KeyIncomplete)),
            ("no algorithm", &[EC2, P256, &x, &y], Err(Reason::KeyIncomplete)),
            ("no type", &[ES256_LABEL, P256, &x, &y], Err(Reason::KeyIncomplete)),
            ("EdDSA", &[&[1, 1], &[3, 0x27], &[0x20, 6], &x], Err(Reason::KeyAlgorithm)),
            ("text label", &[&[0x61, b'a', 0]], Err(Reason::Cbor(Fault::Type))),
        ];
        for (name, entries, expected) in table {
            assert_eq!(verdict(entries), *expected, "{name}");
        }
    }

    #[test]
    fn rsa_keys_by_name() {
        let rsa = |modulus: &[u8], exponent: &[u8]| {
            verdict(&[&[1, 3], &[3, 0x39, 1, 0], &bytes(0x20, modulus), &bytes(0x21, exponent)])
        };
        let f4: &[u8] = &[1, 0, 1];
        let even = [&[0x80; 255][..], &[2]].concat();
        assert_eq!(rsa(&[0x81; 256], f4), Ok(-257));
        assert_eq!(rsa(&[0x81; 128], f4), Err(Reason::RsaModulus), "1024 bits");
        assert_eq!(rsa(&[0x81; 512], f4), Err(Reason::RsaModulus), "4096 bits");
        assert_eq!(rsa(&[0x01; 256], f4), Err(Reason::RsaModulus), "2041 bits");
        assert_eq!(rsa(&even, f4), Err(Reason::RsaModulus), "even modulus");
        for (name, exponent) in [
            ("1", &[1][..]),
            ("3", &[3]),
            ("1 with zeros", &[0, 0, 1]),
            ("65535", &[0, 0xff, 0xff]),
            ("even", &[1, 0, 0]),
            ("four bytes", &[1, 0, 0, 1]),
            ("nothing", &[]),
        ] {
            assert_eq!(rsa(&[0x81; 256], exponent), Err(Reason::RsaExponent), "exponent {name}");
        }
    }
}

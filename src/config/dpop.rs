//! Tokens bound to a key of their holder (DPoP, RFC 9449).

use super::reader::Reader;
use super::section::{Fallback, Key, Kind, Section};

/// The settings of `[dpop]`.
#[derive(Clone, Copy, Debug)]
pub struct Dpop {
    /// Whether proofs must repeat a nonce of ours.
    pub require_nonce: bool,
}

pub(super) const SECTION: Section = Section {
    title: "DPoP",
    doc: "Tokens that are useless without their holder's key (RFC 9449). Every app may use them; those with \
        `dpop_bound_access_tokens` must.",
    keys: &[Key {
        path: "dpop.require_nonce",
        kind: Kind::Switch,
        default: Fallback::Value("false"),
        doc: "Whether proofs must contain a nonce that the server issued in the last ten minutes, so that nobody can \
            create proofs in advance. It costs apps an additional request now and then.",
    }],
};

/// Reads the section.
pub(super) fn read(reader: &mut Reader<'_>) -> Dpop {
    Dpop { require_nonce: reader.switch("dpop.require_nonce") }
}

//! Why a message is refused: one name for each rule, for the audit log and never for the client.

use super::{cbor, json};

/// The verdict on a message that is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The message is well-formed, but was created on another origin.
    #[error("the answer was made on another origin")]
    WrongOrigin {
        /// The origin in the client data. The client chose it, up to 4 KiB of any characters: escape and truncate it.
        received: String,
    },
    /// The message does not have the form that a conforming client produces.
    #[error(transparent)]
    Malformed(#[from] Reason),
}

/// The rule that a malformed message violates. The strings are names of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Larger than the limit of this member.
    #[error("{0} is larger than allowed")]
    TooLarge(&'static str),
    /// Empty, although a value is required.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// A required member is absent (or null).
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A member has another JSON type than defined.
    #[error("{0} has another type than it should")]
    WrongType(&'static str),
    /// Padding, another alphabet, or unused bits: the same bytes would have a second spelling.
    #[error("{0} is not canonical base64url without padding")]
    NotBase64Url(&'static str),
    /// The JSON is not accepted.
    #[error("{member}: {fault}")]
    Json {
        /// The document: `credential` or `clientDataJSON`.
        member: &'static str,
        /// What is wrong with it.
        fault: json::Fault,
    },
    /// The client data do not begin with `{` and end with `}`.
    #[error("clientDataJSON has bytes around its object")]
    ClientDataFraming,
    /// `type` of the credential is not `public-key`.
    #[error("the credential is not of type public-key")]
    CredentialType,
    /// `id`, `rawId` and the ID in the authenticator data are not equal.
    #[error("the credential ids of the message differ")]
    IdMismatch,
    /// The credential ID is shorter than 16 or longer than 1023 bytes.
    #[error("the credential id has a length that is not allowed")]
    CredentialIdLength,
    /// The response has members of the other ceremony.
    #[error("the response belongs to the other ceremony")]
    OtherCeremony,
    /// `type` of the client data is not that of this ceremony.
    #[error("the client data are of another type")]
    ClientDataType,
    /// `crossOrigin` is present and not `false`: the ceremony ran in a foreign frame.
    #[error("the ceremony was run across origins")]
    CrossOrigin,
    /// `topOrigin` is present: the ceremony ran in a frame.
    #[error("the client data name a top origin")]
    TopOrigin,
    /// `tokenBinding` states that the connection was bound, which is impossible here.
    #[error("the client data claim token binding")]
    TokenBinding,
    /// Some CBOR is not accepted.
    #[error("CBOR: {0}")]
    Cbor(#[from] cbor::Fault),
    /// The attestation object has a member besides `fmt`, `attStmt` and `authData`.
    #[error("the attestation object has an unknown member")]
    UnknownMember,
    /// An attestation format that the library does not verify.
    #[error("the attestation format is not supported")]
    UnknownFormat,
    /// Format `none` with a statement, or another format without one.
    #[error("the attestation statement does not fit its format")]
    Statement,
    /// The authenticator data end before their last member.
    #[error("authenticator data are too short")]
    AuthDataTruncated,
    /// The authenticator data continue after their last member.
    #[error("authenticator data have trailing bytes")]
    AuthDataTrailing,
    /// Bit 1 or bit 5 of the flags is set.
    #[error("a reserved flag is set")]
    ReservedFlags,
    /// The user presence flag is not set.
    #[error("the user was not present")]
    UserNotPresent,
    /// Backed up, although not backup eligible.
    #[error("backup state without backup eligibility")]
    BackupState,
    /// A registration without attested credential data, or an assertion with them.
    #[error("attested credential data where they do not belong, or missing")]
    AttestedData,
    /// An extension that the library reads has a value outside its definition.
    #[error("an extension has a value outside its definition")]
    ExtensionValue,
    /// The key has a label that its type does not define, or that WebAuthn forbids.
    #[error("the key has an unknown label")]
    KeyLabel,
    /// The key lacks a label.
    #[error("the key is incomplete")]
    KeyIncomplete,
    /// An algorithm that is not offered: not ES256, ES384 or RS256.
    #[error("the key's algorithm is not offered")]
    KeyAlgorithm,
    /// Algorithm, key type and curve do not match.
    #[error("the key's type or curve does not fit its algorithm")]
    KeyMismatch,
    /// The length of a coordinate differs from that of the curve's field.
    #[error("a coordinate of the key has the wrong length")]
    KeyCoordinate,
    /// The RSA modulus is not an odd number of exactly 2048 bits.
    #[error("the RSA modulus is not acceptable")]
    RsaModulus,
    /// The RSA exponent is not an odd number from 65537 to 2^24 in three bytes.
    #[error("the RSA exponent is not acceptable")]
    RsaExponent,
}

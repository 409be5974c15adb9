//! Questions that are asked for many callers in one statement; [`ask`](super::ask) tells when and why.
//!
//! What must always hold: a batch is one statement, so it is done whole or not at all; it waits for nobody's row while it holds
//! others (`SKIP LOCKED`), so batches cannot lock each other out; and what it leaves alone — locked rows, conditions that do not
//! hold, the second of two for one row — is tried again by itself.
//!
//! To add a question: a type with [`Batch`]. Its statement ([`batch_statement!`](crate::batch_statement)) reads its rows from JSON ([`rows`]), or from
//! arrays where it has few columns and is asked all the time, finds each by a `CROSS JOIN LATERAL` that ends in `OFFSET 0` or a
//! lock, which PostgreSQL cannot turn round into a walk through the whole table, and changes only rows that it has locked so.

use diesel::PgConnection;
use serde::{Serialize, Serializer};

use super::StorageError;
use crate::domain::secret::TokenDigest;
use crate::domain::text::hex;

/// What a statement does about rows that somebody else has locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locked {
    /// Leaves them alone.
    Skipped,
    /// Waits for them.
    Awaited,
}

/// One question of a kind that can be asked for many at once.
pub trait Batch: Send + Sized + 'static {
    /// What is answered where the question's conditions hold.
    type Answer: Send + 'static;

    /// Whether its statement locks rows. What locks none is answered for good at the first try.
    const LOCKS: bool;

    /// Whether it is done also for a caller that gave up: what tells of something that has happened already.
    const EVEN_IF_GONE: bool = false;

    /// Asks for all in one statement. Answers in the order of `all`, `None` where a condition does not hold, and for what is
    /// locked and skipped.
    fn all(conn: &mut PgConnection, all: &[Self], locked: Locked) -> Result<Vec<Option<Self::Answer>>, StorageError>;

    /// Asks for this one on a connection that is held anyway.
    fn one(self, conn: &mut PgConnection) -> Result<Option<Self::Answer>, StorageError> {
        Ok(Self::all(conn, &[self], Locked::Awaited)?.pop().flatten())
    }
}

/// Defines both forms of a statement, of which the first skips locked rows and the second waits for them. Its text is cut after
/// each locking clause. Of its one parameter, `$1`, it makes rows by `json_to_recordset`.
#[macro_export]
macro_rules! batch_statement {
    ($together:ident, $alone:ident -> $answer:ty, $first:expr, $($next:expr),+ $(,)?) => {
        $crate::statement! { $together { rows: String => diesel::sql_types::Text } -> $answer, concat!($first, $(" SKIP LOCKED ", $next),+) }
        $crate::statement! { $alone { rows: String => diesel::sql_types::Text } -> $answer, concat!($first, $(" ", $next),+) }
    };
}

/// Writes bytes as `bytea` reads them from text.
pub(super) fn bytea<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("\\x{}", hex(bytes)))
}

/// The same of a digest.
pub(super) fn digest<S: Serializer>(digest: &TokenDigest, serializer: S) -> Result<S::Ok, S::Error> {
    bytea(digest.as_bytes(), serializer)
}

/// The same of a digest that need not be there.
#[expect(clippy::ref_option, reason = "serde gives it so")]
pub(super) fn optional_digest<S: Serializer>(digest: &Option<TokenDigest>, serializer: S) -> Result<S::Ok, S::Error> {
    match digest {
        Some(digest) => self::digest(digest, serializer),
        None => serializer.serialize_none(),
    }
}

/// Rows for `json_to_recordset`, each with its number `n`.
pub(super) fn rows<T: Serialize>(all: impl Iterator<Item = T>) -> Result<String, StorageError> {
    #[derive(Serialize)]
    struct Numbered<T> {
        n: usize,
        #[serde(flatten)]
        row: T,
    }
    let all: Vec<_> = all.enumerate().map(|(n, row)| Numbered { n, row }).collect();
    serde_json::to_string(&all).map_err(|fault| StorageError::corrupt("json_to_recordset", all.len(), fault))
}

/// Answers by their numbers, in the order of the questions.
pub(super) fn in_order<A>(size: usize, answers: impl IntoIterator<Item = (impl TryInto<usize>, A)>) -> Vec<Option<A>> {
    let mut all: Vec<Option<A>> = std::iter::repeat_with(|| None).take(size).collect();
    for (n, answer) in answers {
        if let Some(place) = n.try_into().ok().and_then(|n| all.get_mut(n)) {
            *place = Some(answer);
        }
    }
    all
}

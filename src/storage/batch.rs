//! Queries that run for many callers in one statement; [`ask`](super::ask) says when and why.
//!
//! What must always hold:
//! - A batch is one statement, so it is executed completely or not at all.
//! - It waits for no locked row while it holds others (`SKIP LOCKED`), so batches cannot deadlock.
//! - What it leaves alone is run again by itself: locked rows, conditions that do not hold, and the second of two
//!   queries for one row.
//!
//! To add a query, implement [`Batch`]. Its statement ([`batch_statement!`](crate::batch_statement)) reads its rows
//! from JSON ([`rows`]), or from arrays if it has few columns and runs all the time. It finds each row by a
//! `CROSS JOIN LATERAL` that ends in `OFFSET 0` or a lock, which PostgreSQL cannot turn into a scan of the whole table.
//! It changes only rows that it has locked in this way.

use diesel::PgConnection;
use serde::{Serialize, Serializer};

use super::StorageError;
use crate::domain::secret::TokenDigest;
use crate::domain::text::hex;

/// What a statement does about rows that another transaction has locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locked {
    /// Leaves them alone.
    Skipped,
    /// Waits for them.
    Awaited,
}

/// A query that can run for many callers at once.
pub trait Batch: Send + Sized + 'static {
    /// The answer when the query's conditions hold.
    type Answer: Send + 'static;

    /// Whether its statement locks rows. If it locks none, the answer of the first attempt is final.
    const LOCKS: bool;

    /// Whether it runs even if its caller has given up: for records of something that has already happened.
    const EVEN_IF_GONE: bool = false;

    /// Runs all in one statement. The answers are in the order of `all`; `None` stands for a condition that does not
    /// hold, and for a row that was locked and skipped.
    fn all(conn: &mut PgConnection, all: &[Self], locked: Locked) -> Result<Vec<Option<Self::Answer>>, StorageError>;

    /// Runs this query alone, on a connection that the caller holds.
    fn one(self, conn: &mut PgConnection) -> Result<Option<Self::Answer>, StorageError> {
        Ok(Self::all(conn, &[self], Locked::Awaited)?.pop().flatten())
    }
}

/// Defines both forms of a statement: the first skips locked rows, the second waits for them. The text is split after
/// each locking clause. It makes rows of its only parameter, `$1`, with `json_to_recordset`.
#[macro_export]
macro_rules! batch_statement {
    ($together:ident, $alone:ident -> $answer:ty, $first:expr, $($next:expr),+ $(,)?) => {
        $crate::statement! { $together { rows: String => diesel::sql_types::Text } -> $answer, concat!($first, $(" SKIP LOCKED ", $next),+) }
        $crate::statement! { $alone { rows: String => diesel::sql_types::Text } -> $answer, concat!($first, $(" ", $next),+) }
    };
}

/// Serializes bytes in the text form of `bytea`.
pub(super) fn bytea<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("\\x{}", hex(bytes)))
}

/// Serializes a digest in the text form of `bytea`.
pub(super) fn digest<S: Serializer>(digest: &TokenDigest, serializer: S) -> Result<S::Ok, S::Error> {
    bytea(digest.as_bytes(), serializer)
}

/// Serializes an optional digest in the text form of `bytea`.
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

/// Puts numbered answers into the order of the queries.
pub(super) fn in_order<A>(size: usize, answers: impl IntoIterator<Item = (impl TryInto<usize>, A)>) -> Vec<Option<A>> {
    let mut all: Vec<Option<A>> = std::iter::repeat_with(|| None).take(size).collect();
    for (n, answer) in answers {
        if let Some(place) = n.try_into().ok().and_then(|n| all.get_mut(n)) {
            *place = Some(answer);
        }
    }
    all
}

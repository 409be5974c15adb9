//! Why a change was not made: a refusal for the caller, or a database error.

use super::error::Failure;
use crate::storage::StorageError;

/// Why a change was not made. It rolls back the transaction.
#[derive(Debug)]
pub enum Refusal {
    /// A refusal for the caller.
    Failure(Failure),
    /// A database error.
    Storage(StorageError),
}

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<diesel::result::Error> for Refusal {
    fn from(error: diesel::result::Error) -> Self {
        Self::Storage(error.into())
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl Refusal {
    /// Separates database errors from refusals, for [`Db`](crate::storage::Db), which must learn of them.
    pub fn apart<T>(done: Result<T, Self>) -> Result<Result<T, Failure>, StorageError> {
        match done {
            Ok(done) => Ok(Ok(done)),
            Err(Self::Failure(failure)) => Ok(Err(failure)),
            Err(Self::Storage(fault)) => Err(fault),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Failure(failure) => failure,
            Refusal::Storage(error) => error.into(),
        }
    }
}

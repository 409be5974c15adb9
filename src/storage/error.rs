//! What can go wrong with the database, in our own words.

use std::error::Error;

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// A storage fault. It is never "not found": a missing row is an `Option`, a lost race is a decision.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// No connection became free in time, or none could be made.
    #[error("no database connection within the time allowed")]
    NoConnection(#[source] Option<diesel::r2d2::PoolError>),
    /// The database did not answer in time. Whether the work was done is unknown.
    #[error("the database does not answer")]
    NoAnswer,
    /// A unique value exists already; the caller decides what that means.
    #[error("a unique value exists already ({constraint})")]
    Conflict {
        /// Name of the constraint or index.
        constraint: String,
    },
    /// The database refused or failed.
    #[error("the database failed: {0}")]
    Database(#[source] DieselError),
    /// A row that our own code could not have written.
    #[error("table {table}, row {row}: {problem}")]
    Corrupt {
        /// Table name.
        table: &'static str,
        /// The row's key.
        row: String,
        /// What makes no sense.
        problem: String,
    },
    /// The worker running the query was stopped.
    #[error("the query was abandoned because the server is stopping")]
    Stopping,
    /// The work with the database panicked, which is a mistake of ours.
    #[error("the work with the database panicked")]
    Panicked,
    /// Migrations could not be read or applied.
    #[error("migration failed: {0}")]
    Migration(String),
}

impl From<DieselError> for StorageError {
    fn from(error: DieselError) -> Self {
        match error {
            DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, info) => {
                Self::Conflict { constraint: info.constraint_name().unwrap_or_default().to_owned() }
            }
            other => Self::Database(other),
        }
    }
}

impl StorageError {
    /// Whether the database refused to write because it is read-only: a former primary is now a standby.
    pub fn is_read_only(&self) -> bool {
        matches!(self, Self::Database(DieselError::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _)))
    }

    /// Whether the values themselves were refused, so that the same statement would be refused again. PostgreSQL
    /// reports an invalid text only by its message.
    pub fn is_of_data(&self) -> bool {
        use DatabaseErrorKind::{CheckViolation, ForeignKeyViolation, NotNullViolation, Unknown};
        match self {
            Self::Database(
                DieselError::SerializationError(_)
                | DieselError::InvalidCString(_)
                | DieselError::DatabaseError(CheckViolation | ForeignKeyViolation | NotNullViolation, _),
            ) => true,
            Self::Database(DieselError::DatabaseError(Unknown, info)) => {
                ["invalid byte sequence", "unsupported Unicode escape"]
                    .iter()
                    .any(|start| info.message().starts_with(start))
            }
            _ => false,
        }
    }

    /// A row whose column does not hold what the schema promises.
    pub fn corrupt(table: &'static str, row: impl ToString, problem: impl ToString) -> Self {
        Self::Corrupt { table, row: row.to_string(), problem: problem.to_string() }
    }
}

/// An error and its causes on one line, each said once: for logs and for the operator's terminal, never for a caller.
pub fn in_one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

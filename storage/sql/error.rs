//! Why a query gave no (or not all) rows, in kinds that a protocol can turn into its own codes.

/// Whose move it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryErrorKind {
    /// The SQL is wrong: syntax, an unknown table or column, types that do not fit.
    BadSql,
    /// Right SQL that is not allowed here: anything but one read-only statement, or a banned function.
    Refused,
    /// It asks for more than a limit: tokens, nesting, rows, memory.
    TooLarge,
    TimedOut,
    Internal,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    pub kind: QueryErrorKind,
    pub message: String,
    /// Line and column in the SQL, from 1, where known.
    pub position: Option<(u64, u64)>,
}

impl QueryError {
    pub fn new(kind: QueryErrorKind, message: impl Into<String>) -> QueryError {
        QueryError { kind, message: message.into(), position: None }
    }

    pub fn internal(message: impl Into<String>) -> QueryError {
        QueryError::new(QueryErrorKind::Internal, message)
    }

    pub fn refused(message: impl Into<String>) -> QueryError {
        QueryError::new(QueryErrorKind::Refused, message)
    }

    pub fn too_large(message: impl Into<String>) -> QueryError {
        QueryError::new(QueryErrorKind::TooLarge, message)
    }
}

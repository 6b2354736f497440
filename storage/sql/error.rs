//! Why a query gave no (or not all) rows, in kinds that a protocol can turn into its own codes.

use datafusion::error::DataFusionError;

use super::{QueryLimits, RaisedBy};

/// Whose move it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryErrorKind {
    /// The SQL is wrong: syntax, an unknown table or column, types that do not fit.
    BadSql,
    /// Right SQL about a metric or table that does not exist, or not yet: it may once data comes.
    NoDataYet,
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

    pub(crate) fn from_datafusion(error: DataFusionError) -> QueryError {
        use DataFusionError as E;
        let span = error.diagnostic().and_then(|diagnostic| diagnostic.span);
        let root = error.find_root();
        let message = root.strip_backtrace();
        let mut mapped = match root {
            E::SQL(parser, _) => QueryError::syntax(&parser.to_string()),
            E::Plan(_) | E::SchemaError(..) | E::NotImplemented(_) | E::Execution(_) | E::Configuration(_) => {
                QueryError::new(QueryErrorKind::BadSql, message)
            }
            E::ArrowError(..) => QueryError::new(QueryErrorKind::BadSql, message),
            E::ResourcesExhausted(_) => QueryError::too_large(message),
            _ => QueryError::internal(message),
        };
        mapped.position = mapped.position.or(span.map(|span| (span.start.line, span.start.column)));
        mapped
    }
}

impl QueryLimits {
    /// What failed while a query ran, with the setting that gives it more where it was one of these limits.
    pub(super) fn explain(&self, error: DataFusionError) -> QueryError {
        let out_of_memory = match error.find_root() {
            DataFusionError::ResourcesExhausted(what) => what.contains("Failed to allocate"),
            _ => false,
        };
        let error = QueryError::from_datafusion(error);
        if !out_of_memory {
            return error;
        }
        let (mib, advice) = (self.memory.div_ceil(1 << 20), RaisedBy::advice(self.raised_by.memory));
        let message = format!("the query needs more than its {mib} MiB of memory: {advice} ({})", error.message);
        QueryError { message, ..error }
    }
}

/// `... at Line: 1, Column: 8`, as the parser says it.
pub(super) fn position_in(message: &str) -> Option<(u64, u64)> {
    let (_, after) = message.rsplit_once("Line: ")?;
    let (line, after) = after.split_once(", Column: ")?;
    let digits = after.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((line.parse().ok()?, digits.parse().ok()?))
}

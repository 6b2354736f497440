//! The lake: tables as Parquet files under a Delta log, hot rows united with them under one version, and SQL over both.
//!
//! [`Lake`] is the only door. Rows appended are visible to SQL at once, and durable when [`Lake::durable`] says so:
//! a flush writes them to Parquet, makes that reach the disk, and commits it in each table's Delta log.
//! Knows nothing of YAML graphs or HTTP.

mod config;
mod lake;
mod sql;

pub use config::{LakePlan, LogPlan};
pub use lake::{AppendError, Lake, LakeStats, MetricInfo, Options, SeriesFilter, SeriesInfo, TableStats};
pub use sql::{Query, QueryError, QueryErrorKind, QueryLimits};

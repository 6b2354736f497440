//! The lake: tables as Parquet files under a Delta log, hot rows united with them under one version, and SQL over both.
//!
//! [`Lake`] is the only door. Rows appended are visible to SQL at once, and durable when [`Lake::durable`] says so:
//! a flush writes them to Parquet, makes that reach the disk, and commits it in each table's Delta log.
//! Knows nothing of YAML graphs or HTTP.
//!
//! In the lake's folder: one folder a table (`metrics`, ..., each with its `_delta_log`), `tmp` for files in the
//! making, `flush.json` (see `journal`) and `lake.lock`.

mod ask;
mod catalog;
mod changes;
mod config;
mod convert;
mod delta;
mod disk;
mod files;
mod flush;
mod gather;
mod hot;
mod info;
mod journal;
mod lake;
mod latest;
mod maintain;
mod opening;
mod rollup;
mod runs;
mod schema;
mod series;
mod shared;
mod sql;
#[cfg(test)]
mod tests;

pub use ask::{LakeStats, MetricInfo, SeriesFilter, SeriesInfo, TableStats};
pub use changes::Changed;
pub use config::{LakePlan, LogPlan, QueryPlan};
pub use files::Shape;
pub use info::{LakeInfo, TableInfo};
pub use lake::{AppendError, Claim, Lake, Options};
pub use maintain::{
    CheckReport, Checked, Compact, EraseReport, Judge, MaintenancePlan, MaintenanceReport, Problem, Retention,
    RollupPlan, RulePlan,
};
pub use sql::{
    Query, QueryError, QueryErrorKind, QueryLimits, RaisedBy, Rendered, Tables, Template, Variable, Variables, Window,
};

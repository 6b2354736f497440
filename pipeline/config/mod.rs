//! YAML as written and as relied upon: [`Section`] is how a component reads its keys.
//!
//! From text to something that can be built, in steps, each in its own file: `yaml` (text -> [`Node`] with
//! places), `load` (sources read and merged, then `expand`ed), `section` and `read` (nodes -> typed values),
//! `graph` (the [`Plan`]: components planned, pipelines wired). Every mistake on the way goes into one [`Report`].
//! Limits: 1 MiB of text a source, 64 levels deep, 16 MiB after aliases are expanded.

mod expand;
mod graph;
mod load;
mod mistake;
mod node;
mod print;
mod read;
mod section;
mod telemetry;
mod units;
mod yaml;

pub use expand::Environment;
pub use graph::{Pipeline, Plan, Planned, Registry, plan};
pub use load::{Loaded, Process, load};
pub use mistake::{Mistake, Report, Severity};
pub use node::{Entry, Node, Place, Scalar, Typed, Value};
pub use print::print;
pub use read::{ByteSize, FromNode, Reader, Secret};
pub use section::Section;
pub use telemetry::{Encoding, LogLevel, MetricExport, OtlpTarget, Protocol, SpanExport, Telemetry, Temporality};

#[cfg(test)]
mod tests;

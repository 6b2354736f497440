//! YAML as written and as relied upon: [`Section`] is how a component reads its keys.
//!
//! From text to something that can be built, in steps, each in its own file: `yaml` (text -> [`Node`] with
//! places), `section` and `read` (nodes -> typed values, every mistake collected in a [`Report`]).
//! Limits: 1 MiB of text a source, 64 levels deep, 16 MiB after aliases are expanded.

mod mistake;
mod node;
mod read;
mod section;
mod units;
mod yaml;

pub use mistake::{Mistake, Report, Severity};
pub use node::{Entry, Node, Place, Scalar, Typed, Value};
pub use read::{ByteSize, FromNode, Reader, Secret};
pub use section::Section;

#[cfg(test)]
mod tests;

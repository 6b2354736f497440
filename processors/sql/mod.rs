//! SQL over rows in flight: what `filter` and `transform` (and any stage that asks which rows are meant) compile and run.
//!
//! Columns are those of the lake's SQL (ARCHITECTURE.md); `attributes['k']` reads an attribute: as text, as a number where it stands beside one.
//! [`condition_for`] and [`statement`] parse and type-check against the columns of one sort of row at `plan`; nothing of SQL is left to be found
//! wrong later, but values. What an expression does to a row depends on that row only: no clock, no chance, no subquery, no aggregate.
//! Only columns that it uses are made. What repeats is looked at once: see [`program`](Program). Limits: `guard`.

mod assign;
mod columns;
mod compile;
mod frame;
mod functions;
mod guard;
mod ottl;
mod pass;
mod program;
mod statement;
mod values;
mod write;

pub use assign::Outcome;
pub use columns::Rows;
pub use compile::condition_for;
pub use frame::Frame;
pub use pass::{Complaints, pass_on};
pub use program::{ERROR_MODES, ErrorMode, Failures, Program, message};
pub use statement::{Statement, statement};

/// What is wrong with a text of SQL, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub what: String,
    pub mend: String,
    /// It names what is not there: the same text may be right about other rows.
    absent: bool,
}

impl Wrong {
    fn new(what: impl Into<String>, mend: impl Into<String>) -> Wrong {
        Wrong { what: what.into(), mend: mend.into(), absent: false }
    }
}

#[cfg(test)]
mod tests;

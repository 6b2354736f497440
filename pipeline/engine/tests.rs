//! The engine over a log in memory, with exporters that do as they are told and clocks that stand still.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod exporters;
mod graph;
mod relays;
mod stand_ins;

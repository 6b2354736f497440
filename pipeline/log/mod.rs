//! The durable log: append, fsync with group commit, then acknowledge; one cursor per exporter.

/// A record's place in the log: its sequence number, from 1, never reused. 0 is before everything.
pub type Position = u64;

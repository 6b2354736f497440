//! `alerting`: who is told of what goes wrong.

#[allow(dead_code)] // until the connector steps it
mod policy;

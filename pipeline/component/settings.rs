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
    /// Zero, the default: never give up (the Collector's default is 5 minutes).
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
    pub fn read(section: &mut Section, timeout: Duration) -> ExporterSettings {
        let timeout = section.or("timeout", timeout);
        let retry = section.section("retry_on_failure").map(Retry::read).unwrap_or_default();
        let mut settings = ExporterSettings { timeout, retry, num_consumers: 1, on_full: OnFull::Block };
        if let Some(queue) = section.section("sending_queue") {
            settings.read_queue(queue);
        }
        settings
    }

    /// The Collector's queue stands between acceptance and delivery; here the durable log does, for every
    /// exporter, so what sizes or places that queue has nothing to act on. Differences:
    /// `num_consumers` is 1 unless asked for, which keeps order (Collector: 10);
    /// `on_full: block|drop_oldest` is ours, and says what a used-up disk budget means for this exporter.
    fn read_queue(&mut self, mut queue: Section) {
        self.num_consumers = queue.or("num_consumers", self.num_consumers);
        if self.num_consumers == 0 {
            queue.mistake("num_consumers", "0 consumers would send nothing", "write 1, which keeps order, or more");
            self.num_consumers = 1;
        }
        let choices = [("block", OnFull::Block), ("drop_oldest", OnFull::DropOldest)];
        self.on_full = queue.choice("on_full", &choices).unwrap_or(self.on_full);
        if queue.get("enabled") == Some(false) {
            queue.accepted("enabled", "every exporter reads the durable log at its own pace");
        }
        if queue.get("block_on_overflow") == Some(false) {
            queue.accepted("block_on_overflow", "a full log refuses new data unless on_full: drop_oldest is set");
        }
        let log = "the durable log is the queue; its disk budget bounds it";
        queue.accepted("queue_size", log);
        queue.accepted("sizer", log);
        queue.accepted("storage", "what waits is in the durable log, and survives a restart");
        queue.accepted("wait_for_result", "the sender is answered when its data is in the durable log");
        queue.accepted("batch", "the batch processor says how exporters group what they read");
    }
}

impl Retry {
    fn read(mut section: Section) -> Retry {
        let default = Retry::default();
        let retry = Retry {
            enabled: section.or("enabled", default.enabled),
            initial_interval: section.or("initial_interval", default.initial_interval),
            multiplier: section.or("multiplier", default.multiplier),
            randomization_factor: section.or("randomization_factor", default.randomization_factor),
            max_interval: section.or("max_interval", default.max_interval),
            max_elapsed_time: section.or("max_elapsed_time", default.max_elapsed_time),
        };
        if !(0.0..=1.0).contains(&retry.randomization_factor) {
            section.mistake("randomization_factor", "it is a share of the interval", "write a number from 0 to 1");
        }
        if !retry.multiplier.is_finite() || retry.multiplier < 0.0 {
            section.mistake("multiplier", "the interval cannot grow by this", "write a number of 1 or more");
        }
        let given_up = retry.max_elapsed_time;
        if !given_up.is_zero() && given_up < retry.initial_interval {
            let what = "it gives up before the first retry (initial_interval)";
            section.mistake("max_elapsed_time", what, "write a longer time, or 0 to never give up");
        }
        retry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> (ExporterSettings, Vec<String>, Vec<String>) {
        let mut section = Section::parse(yaml);
        let settings = ExporterSettings::read(&mut section, Duration::from_secs(5));
        (settings, section.mistakes(), section.remarks())
    }

    #[test]
    fn defaults_keep_order_and_never_give_up() {
        let (settings, mistakes, remarks) = read("");
        assert_eq!((settings.timeout, settings.num_consumers), (Duration::from_secs(5), 1));
        assert_eq!((settings.retry, settings.on_full), (Retry::default(), OnFull::Block));
        assert!(mistakes.is_empty() && remarks.is_empty());
    }

    #[test]
    fn collector_keys_are_read() {
        let (settings, mistakes, remarks) = read(
            "timeout: 7s
retry_on_failure:
  enabled: false
  initial_interval: 1s
  multiplier: 2
  randomization_factor: 0
  max_interval: 9s
  max_elapsed_time: 10m
sending_queue:
  enabled: true
  num_consumers: 4
  queue_size: 5000
  sizer: items
  block_on_overflow: true
  wait_for_result: false
  storage: file_storage
  batch: { flush_timeout: 1s, min_size: 10 }
  on_full: drop_oldest",
        );
        assert_eq!(mistakes, Vec::<String>::new());
        assert_eq!((settings.timeout, settings.num_consumers), (Duration::from_secs(7), 4));
        assert_eq!(settings.on_full, OnFull::DropOldest);
        assert!(!settings.retry.enabled);
        assert_eq!((settings.retry.multiplier, settings.retry.max_elapsed_time), (2.0, Duration::from_secs(600)));
        assert_eq!(remarks.len(), 5, "{remarks:#?}");
        assert_eq!(
            remarks[0],
            "test.yaml:12:15: note: sending_queue::queue_size: accepted, and changes nothing here\n    \
             help: the durable log is the queue; its disk budget bounds it"
        );
    }

    #[test]
    fn mistakes() {
        let (_, mistakes, _) = read(
            "retry_on_failure: { max_elapsed_time: 1s, randomization_factor: 2, multipler: 1 }
sending_queue: { num_consumers: 0, on_full: drop }",
        );
        let found = mistakes.join("\n");
        for part in ["gives up before", "from 0 to 1", "\"multiplier\"?", "0 consumers", "choices: block, drop_oldest"]
        {
            assert!(found.contains(part), "{part} in {found}");
        }
    }
}

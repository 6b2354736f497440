//! Requests refused at the door, which the engine never hears of: counted, and said once in a while, with what to do.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;

use super::answer::{Refusal, Why};

const SAY_EVERY: Duration = Duration::from_secs(30);

pub(super) struct Refusals {
    receiver: String,
    transport: &'static str,
    counter: Counter<u64>,
    said: Mutex<Said>,
}

#[derive(Default)]
struct Said {
    last: Option<Instant>,
    /// Requests refused since.
    since: u64,
}

impl Refusals {
    pub(super) fn new(receiver: &str, transport: &'static str) -> Refusals {
        let counter = opentelemetry::global::meter("catchment.receiver")
            .u64_counter("catchment.receiver.refused_requests")
            .with_unit("{request}")
            .with_description("Requests refused before they reached a pipeline")
            .build();
        Refusals { receiver: receiver.to_owned(), transport, counter, said: Mutex::default() }
    }

    pub(super) fn note(&self, refusal: &Refusal) {
        let Some((reason, mend)) = reason_and_mend(refusal.why) else { return };
        let attributes = [
            KeyValue::new("receiver", self.receiver.clone()),
            KeyValue::new("transport", self.transport),
            KeyValue::new("reason", reason),
        ];
        self.counter.add(1, &attributes);
        let Some(requests) = self.due(Instant::now()) else { return };
        let (receiver, transport) = (self.receiver.as_str(), self.transport);
        tracing::warn!(
            receiver,
            transport,
            reason,
            requests,
            "requests refused, the last: {}; {mend}",
            refusal.message
        );
    }

    /// How many requests to speak of, when it is time to.
    fn due(&self, now: Instant) -> Option<u64> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.since += 1;
        if said.last.is_some_and(|last| now.duration_since(last) < SAY_EVERY) {
            return None;
        }
        said.last = Some(now);
        Some(std::mem::take(&mut said.since))
    }
}

/// `None` for what the pipeline refused: the engine counts that.
fn reason_and_mend(why: Why) -> Option<(&'static str, &'static str)> {
    Some(match why {
        Why::Malformed => ("malformed", "their senders were told; they send what is not OTLP"),
        Why::TooLarge => ("too_large", "their senders should send smaller batches, or the limit be raised"),
        Why::UnknownEncoding => ("unknown_encoding", "their senders should use an encoding that is accepted"),
        Why::Slow => ("slow", "their senders stopped in the middle"),
        Why::Exhausted(_) => ("memory", "their senders were asked to come again; more arrives than is worked off"),
        Why::Busy(_) | Why::Rejected => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn said_once_in_a_while_with_what_was_not_said() {
        let refusals = Refusals::new("otlp", "http");
        let start = Instant::now();
        assert_eq!(refusals.due(start), Some(1));
        assert_eq!(refusals.due(start), None);
        assert_eq!(refusals.due(start + SAY_EVERY / 2), None);
        assert_eq!(refusals.due(start + SAY_EVERY), Some(3));
    }
}

//! Requests refused at the door, which the engine never hears of: counted, and said once in a while, with what to do.

use std::time::{Duration, Instant};

use catchment_pipeline::component::Occasionally;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;

use super::answer::{Refusal, Why};

const SAY_EVERY: Duration = Duration::from_secs(30);

pub(super) struct Refusals {
    receiver: String,
    transport: &'static str,
    counter: Counter<u64>,
    requests: Occasionally,
    handshakes: Occasionally,
}

impl Refusals {
    pub(super) fn new(receiver: &str, transport: &'static str) -> Refusals {
        let counter = opentelemetry::global::meter("catchment.receiver")
            .u64_counter("catchment.receiver.refused_requests")
            .with_unit("{request}")
            .with_description("Requests refused before they reached a pipeline")
            .build();
        let (requests, handshakes) = (Occasionally::new(SAY_EVERY), Occasionally::new(SAY_EVERY));
        Refusals { receiver: receiver.to_owned(), transport, counter, requests, handshakes }
    }

    pub(super) fn note(&self, refusal: &Refusal) {
        let Some((reason, mend)) = reason_and_mend(refusal.why) else { return };
        self.count(reason);
        let Some(requests) = self.requests.due(Instant::now()) else { return };
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

    /// A connection on which TLS did not come about.
    pub(super) fn note_handshake(&self, peer: Option<std::net::SocketAddr>, error: &dyn std::fmt::Display) {
        self.count("tls_handshake");
        let peer = peer.map(|peer| peer.ip().to_string()).unwrap_or_default();
        let (receiver, transport) = (self.receiver.as_str(), self.transport);
        match self.handshakes.due(Instant::now()) {
            Some(connections) => tracing::warn!(
                receiver,
                transport,
                connections,
                peer,
                "TLS handshakes failed, the last: {error}; look at both sides' certificates, and whether clients speak TLS"
            ),
            None => tracing::debug!(receiver, transport, peer, "TLS handshake failed: {error}"),
        }
    }

    fn count(&self, reason: &'static str) {
        let attributes = [
            KeyValue::new("component.id", self.receiver.clone()),
            KeyValue::new("component.kind", "otlp"),
            KeyValue::new("network.protocol.name", self.transport),
            KeyValue::new("error.type", reason),
        ];
        self.counter.add(1, &attributes);
    }
}

/// `None` for what the pipeline refused: the engine counts that.
fn reason_and_mend(why: Why) -> Option<(&'static str, &'static str)> {
    Some(match why {
        Why::Malformed => ("malformed", "their senders were told; they send what is not OTLP"),
        Why::TooLarge => ("too_large", "their senders should send smaller batches, or the limit be raised"),
        Why::UnknownEncoding => ("unknown_encoding", "their senders should use an encoding that is accepted"),
        Why::BrokenOff => ("broken_off", "their senders went away in the middle"),
        Why::Slow => ("slow", "their senders stopped in the middle"),
        Why::Exhausted(_) => ("memory", "their senders were asked to come again; more arrives than is worked off"),
        Why::Busy(_) | Why::Rejected => return None,
    })
}

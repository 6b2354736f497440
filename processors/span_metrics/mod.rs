//! `span_metrics`: calls, durations and events counted from spans, with the Collector's keys. Ends pipelines of traces and begins some of
//! metrics.
//!
//! ```yaml
//! span_metrics:
//!   histogram: { unit: s, explicit: { buckets: [10ms, 100ms, 1s] } }   # or exponential: { max_size: 160 }, or disable: true
//!   dimensions: [{ name: http.method, default: GET }, { glob: 'k8s.*.name' }]
//!   exclude_dimensions: [status.code]
//!   aggregation_temporality: AGGREGATION_TEMPORALITY_CUMULATIVE
//!   metrics_flush_interval: 60s
//!   exemplars: { enabled: true }
//!   events: { enabled: true, dimensions: [{ name: exception.type }] }
//! ```
//!
//! Metrics are `traces.span.metrics.calls`, `.duration` and `.events`, by service, span name, kind, status and `dimensions`. They are put out at
//! full intervals of the clock, stamped with it: cumulative ones all of them, also when nothing was added, until [`IDLE`] intervals after
//! the last span of all; deltas where something was. Differences: no `collector.instance.id` (what this process counts is counted once, also
//! over a crash); an exemplar has the time at which its span ended. Past `aggregation_cardinality_limit` (0: a million) spans are counted under
//! `otel.metric.overflow`. State: by series its labels and counts.

mod count;
mod settings;

use std::sync::Arc;
use std::time::SystemTime;

use catchment_pipeline::batch::{Batch, Signal, Table};
use catchment_pipeline::component::{ConnectorPlan, ConnectorSpec, Context, Out, Relay, Spec, Stability, Tally};

use crate::state::snapshot::{Reader, Writer};
use crate::state::{length, nanos, time};
use count::Counts;
use settings::Settings;

/// Intervals without a span after which cumulative metrics are not repeated any more.
const IDLE: i64 = 10;

pub static SPEC: ConnectorSpec = Spec {
    kind: "span_metrics",
    aliases: &["spanmetrics"],
    summary: "Counts spans and their durations as metrics",
    signals: &[Signal::Traces],
    stability: Stability::Beta,
    plan: |section| Box::new(Plan(Arc::new(settings::read(section)))),
};

struct Plan(Arc<Settings>);

impl ConnectorPlan for Plan {
    fn puts_out(&self, signal: Signal) -> &'static [Signal] {
        if signal == Signal::Traces { &[Signal::Metrics] } else { &[] }
    }

    fn build(&self, context: Context) -> anyhow::Result<Box<dyn Relay>> {
        Ok(Box::new(SpanMetrics {
            counts: Counts::new(self.0.clone()),
            settings: self.0.clone(),
            tally: context.tally,
            due: None,
            last: 0,
        }))
    }
}

struct SpanMetrics {
    settings: Arc<Settings>,
    tally: Arc<Tally>,
    counts: Counts,
    /// When metrics are put out next.
    due: Option<i64>,
    /// When spans came last.
    last: i64,
}

impl SpanMetrics {
    fn advance(&mut self, now: i64, out: &mut Out) {
        while let Some(due) = self.due.filter(|due| *due <= now) {
            self.flush(due, out);
            let interval = length(self.settings.flush);
            let next = due.saturating_add(interval);
            let idle = next.saturating_sub(self.last) > interval.saturating_mul(IDLE);
            self.due = (!idle && !self.counts.is_empty()).then_some(next);
        }
    }

    fn flush(&mut self, at: i64, out: &mut Out) {
        self.tally.put_in("metrics", self.counts.put_out(at, out));
    }
}

impl Relay for SpanMetrics {
    fn process(&mut self, batch: Batch, now: SystemTime, out: &mut Out) {
        let now = nanos(now);
        self.advance(now, out);
        if let Some(rows) = batch.rows().table(Table::Spans) {
            self.counts.add(rows, now);
            self.last = now;
            let interval = length(self.settings.flush).max(1);
            self.due.get_or_insert((now.div_euclid(interval) + 1).saturating_mul(interval));
        }
        self.tally.take_out("counted", batch.items());
    }

    fn due(&self) -> Option<SystemTime> {
        self.due.map(time)
    }

    fn tick(&mut self, now: SystemTime, out: &mut Out) {
        self.advance(nanos(now), out);
    }

    fn finish(&mut self, now: SystemTime, out: &mut Out) {
        if self.due.take().is_some() {
            self.flush(nanos(now), out);
        }
    }

    fn save(&self, state: &mut Vec<u8>) {
        let mut out = Writer::new(state, "span_metrics", 1, &format!("{:?}", self.settings.histogram));
        out.bool(self.due.is_some());
        self.due.iter().for_each(|due| out.i64(*due));
        out.i64(self.last);
        self.counts.save(&mut out);
        out.finish();
    }

    fn restore(&mut self, state: &[u8]) -> anyhow::Result<()> {
        let mut state = Reader::new(state, "span_metrics", 1, &format!("{:?}", self.settings.histogram))?;
        self.due = if state.bool()? { Some(state.i64()?) } else { None };
        self.last = state.i64()?;
        self.counts.restore(&mut state)?;
        state.end()
    }
}

#[cfg(test)]
mod tests;

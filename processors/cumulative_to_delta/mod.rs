//! `cumulative_to_delta`: monotonic cumulative sums and cumulative histograms of both kinds become deltas, with the Collector's keys.
//!
//! ```yaml
//! cumulative_to_delta:
//!   include: { metrics: ['http\..*'], match_type: regexp, metric_types: [sum, histogram, exponentialhistogram] }
//!   exclude: { metrics: [http.flows], match_type: strict }   # comes before include
//!   max_staleness: 1h       # a series not seen for so long begins anew; 0: never
//!   initial_value: auto     # keep, drop: what becomes of the first point of a series
//!   max_series: 1000000     # points of further series pass on as they are (ours)
//! ```
//!
//! `auto`: the first point goes on if its series began after this stage did, and says so; else only the second does. After a reset (the
//! value fell, or the start time is past the last point) the delta is the whole value: what was counted since. The Collector drops it.
//! Points that are not newer than the last of their series are taken out (`out_of_order`): their part is in the delta that went on. Of histograms
//! whose bounds changed, the delta has the bounds that both have. State: some 80 bytes a series of numbers, and the last histogram of the others.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use catchment_pipeline::batch::build::{CUMULATIVE, DELTA, Number};
use catchment_pipeline::batch::{Batch, Signal, Table};
use catchment_pipeline::component::{
    Context, Occasionally, Out, ProcessorPlan, ProcessorSpec, Relay, Spec, Stability, Stage, Tally,
};
use catchment_pipeline::config::Section;

use crate::aggregate::{INITIAL, Initial};
use crate::state::columns::{Distribution, Distributions, Numbers, Points};
use crate::state::counter::Amount;
use crate::state::metric_filter::{MetricFilter, MetricType};
use crate::state::rewrite::{Convert, Fate, rewrite};
use crate::state::series::SeriesMap;
use crate::state::snapshot::{Reader, Writer};
use crate::state::{length, nanos};

pub static SPEC: ProcessorSpec = Spec {
    kind: "cumulative_to_delta",
    aliases: &["cumulativetodelta"],
    summary: "Makes cumulative sums and histograms deltas",
    signals: &[Signal::Metrics],
    stability: Stability::Beta,
    plan: |section| Box::new(Plan(Arc::new(read(section)))),
};

#[derive(Debug)]
struct Settings {
    filter: MetricFilter,
    max_staleness: Duration,
    initial: Initial,
    max_series: usize,
}

fn read(section: &mut Section) -> Settings {
    Settings {
        filter: MetricFilter::read(section),
        max_staleness: section.or("max_staleness", Duration::from_secs(3600)),
        initial: section.choice("initial_value", &INITIAL).unwrap_or(Initial::Auto),
        max_series: section.or("max_series", 1_000_000),
    }
}

struct Plan(Arc<Settings>);

impl ProcessorPlan for Plan {
    fn build(&self, context: Context) -> anyhow::Result<Stage> {
        let state = State {
            settings: self.0.clone(),
            began: None,
            swept: 0,
            now: 0,
            over: 0,
            numbers: SeriesMap::default(),
            distributions: SeriesMap::default(),
        };
        let full = Occasionally::new(Duration::from_secs(60));
        Ok(Stage::Relay(Box::new(ToDelta { state, tally: context.tally, full })))
    }
}

struct ToDelta {
    state: State,
    tally: Arc<Tally>,
    full: Occasionally,
}

/// A series' last point.
struct Last<A> {
    start: i64,
    time: i64,
    /// When it came.
    seen: i64,
    value: A,
}

struct State {
    settings: Arc<Settings>,
    /// When the first batch came.
    began: Option<i64>,
    swept: i64,
    now: i64,
    /// Points of series past the bound.
    over: usize,
    numbers: SeriesMap<Last<Number>>,
    distributions: SeriesMap<Last<Distribution>>,
}

impl State {
    fn sweep(&mut self) {
        let stale = length(self.settings.max_staleness);
        if stale > 0 && self.now - self.swept > stale / 8 {
            self.swept = self.now;
            let oldest = self.now - stale;
            self.numbers.retain(|last| last.seen >= oldest);
            self.distributions.retain(|last| last.seen >= oldest);
        }
    }

    fn is_full(&self) -> bool {
        self.numbers.len() + self.distributions.len() >= self.settings.max_series
    }
}

/// The delta of a point of a known series.
fn step<A: Amount>(last: &mut Last<A>, points: &Points<'_>, row: usize, value: A, now: i64) -> Fate<A> {
    let (start, time) = (points.start[row], points.time[row]);
    last.seen = now;
    if time <= last.time || start < last.start {
        return Fate::Drop("out_of_order");
    }
    let began_anew = start > last.start && start >= last.time;
    let since = if began_anew || value.is_less(&last.value) { None } else { value.since(&last.value) };
    // What was counted since the reset, which came after the last point.
    let from = if began_anew { start } else { last.time };
    (last.start, last.time) = (start, time);
    let delta = since.unwrap_or_else(|| value.clone());
    last.value = value;
    Fate::Set { start: from, value: delta }
}

/// That of the first point of a series.
fn first<A>(state: &State, points: &Points<'_>, row: usize, value: A) -> Fate<A> {
    let (start, time) = (points.start[row], points.time[row]);
    match state.settings.initial {
        Initial::Keep => Fate::Set { start, value },
        Initial::Auto if start >= state.began.unwrap_or(i64::MAX) && start != time => Fate::Set { start, value },
        _ => Fate::Drop("initial"),
    }
}

impl Convert for State {
    const TEMPORALITY: i32 = DELTA;

    fn number(&mut self, rows: &Numbers<'_>, row: usize, is_sum: bool) -> Fate<Number> {
        let points = &rows.points;
        let meant = is_sum && rows.temporality[row] == CUMULATIVE && rows.monotonic.value(row);
        if !meant || !self.settings.filter.matches(points.name.get(row), MetricType::Sum) {
            return Fate::Keep;
        }
        let value = match rows.value(row) {
            Some(Number::Double(double)) if double.is_nan() => return Fate::Drop("no_value"),
            Some(value) => value,
            None => return Fate::Drop("no_value"),
        };
        let id = points.series_id[row];
        if let Some(slot) = self.numbers.find(id) {
            return step(&mut self.numbers.states[slot], points, row, value, self.now);
        }
        if self.is_full() {
            self.over += 1;
            return Fate::Keep;
        }
        let last = Last { start: points.start[row], time: points.time[row], seen: self.now, value };
        self.numbers.insert(id, last);
        first(self, points, row, value)
    }

    fn distribution(&mut self, table: Table, rows: &Distributions<'_>, row: usize) -> Fate<Distribution> {
        let points = &rows.points;
        let kind = if table == Table::Histograms { MetricType::Histogram } else { MetricType::ExponentialHistogram };
        if rows.temporality[row] != CUMULATIVE || !self.settings.filter.matches(points.name.get(row), kind) {
            return Fate::Keep;
        }
        if points.has_no_value(row) {
            return Fate::Drop("no_value");
        }
        let (id, value) = (points.series_id[row], rows.get(row));
        if let Some(slot) = self.distributions.find(id) {
            return step(&mut self.distributions.states[slot], points, row, value, self.now);
        }
        if self.is_full() {
            self.over += 1;
            return Fate::Keep;
        }
        let last = Last { start: points.start[row], time: points.time[row], seen: self.now, value: value.clone() };
        self.distributions.insert(id, last);
        first(self, points, row, value)
    }
}

impl Relay for ToDelta {
    fn process(&mut self, batch: Batch, now: SystemTime, out: &mut Out) {
        let state = &mut self.state;
        state.now = nanos(now);
        state.began.get_or_insert(state.now);
        state.sweep();
        match rewrite(state, &batch, &self.tally) {
            Ok(left) => left.into_iter().for_each(|batch| out.push(batch)),
            Err(error) => {
                tracing::error!(%error, items = batch.items(), "cumulative_to_delta: deltas do not fit into columns, and are lost");
                self.tally.take_out("failed", batch.items());
            }
        }
        if std::mem::take(&mut state.over) > 0 && self.full.due(Instant::now()).is_some() {
            let max_series = state.settings.max_series;
            tracing::warn!(
                max_series,
                "cumulative_to_delta: points of more series than max_series pass on as they are"
            );
        }
    }

    fn save(&self, state: &mut Vec<u8>) {
        let mut out = Writer::new(state, "cumulative_to_delta", 1, "");
        out.bool(self.state.began.is_some());
        self.state.began.iter().for_each(|began| out.i64(*began));
        out.i64(self.state.swept);
        self.state.numbers.save(&mut out, Last::save);
        self.state.distributions.save(&mut out, Last::save);
        out.finish();
    }

    fn restore(&mut self, state: &[u8]) -> anyhow::Result<()> {
        let mut state = Reader::new(state, "cumulative_to_delta", 1, "")?;
        self.state.began = if state.bool()? { Some(state.i64()?) } else { None };
        self.state.swept = state.i64()?;
        self.state.numbers = SeriesMap::restore(&mut state, Last::restore)?;
        self.state.distributions = SeriesMap::restore(&mut state, Last::restore)?;
        state.end()
    }
}

impl<A: Amount> Last<A> {
    fn save(&self, out: &mut Writer<'_>) {
        [self.start, self.time, self.seen].into_iter().for_each(|time| out.fixed(time as u64));
        self.value.save(out);
    }

    fn restore(state: &mut Reader<'_>) -> anyhow::Result<Self> {
        let mut time = || state.fixed().map(|time| time as i64);
        Ok(Last { start: time()?, time: time()?, seen: time()?, value: A::restore(state)? })
    }
}

#[cfg(test)]
mod tests;

//! `delta_to_cumulative`: delta sums and histograms of both kinds become cumulative, with the Collector's keys.
//!
//! ```yaml
//! delta_to_cumulative:
//!   max_stale: 5m           # a series not seen for so long is forgotten, and begins anew; 0: never
//!   max_streams: 1000000    # points of further series are taken out (Collector: no limit)
//! ```
//!
//! As in the Collector: the first point of a series is where it begins; points that are not newer than the last one, or begin before
//! the series does, are taken out (`out_of_order`, `older_start`); a histogram with other bounds begins its series anew. Exponential
//! histograms have at most 160 buckets a side. State: some 80 bytes a series of numbers, and a whole histogram of the others.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use catchment_pipeline::batch::build::{CUMULATIVE, DELTA, Number};
use catchment_pipeline::batch::{Batch, Signal, Table};
use catchment_pipeline::component::{
    Context, Occasionally, Out, ProcessorPlan, ProcessorSpec, Relay, Spec, Stability, Stage, Tally,
};
use catchment_pipeline::config::Section;

use crate::state::columns::{Distribution, Distributions, Numbers, Points};
use crate::state::counter::Amount;
use crate::state::rewrite::{Convert, Fate, rewrite};
use crate::state::series::SeriesMap;
use crate::state::snapshot::{Reader, Writer};
use crate::state::{length, nanos};

/// Of exponential histograms, a side; the Collector's.
const MAX_BUCKETS: usize = 160;

pub static SPEC: ProcessorSpec = Spec {
    kind: "delta_to_cumulative",
    aliases: &["deltatocumulative"],
    summary: "Makes delta sums and histograms cumulative",
    signals: &[Signal::Metrics],
    stability: Stability::Beta,
    plan: |section| Box::new(Plan(read(section))),
};

#[derive(Clone, Copy, Debug)]
struct Settings {
    max_stale: Duration,
    max_streams: u64,
}

fn read(section: &mut Section) -> Settings {
    Settings {
        max_stale: section.or("max_stale", Duration::from_secs(300)),
        max_streams: section.or("max_streams", 1_000_000),
    }
}

struct Plan(Settings);

impl ProcessorPlan for Plan {
    fn build(&self, context: Context) -> anyhow::Result<Stage> {
        let (numbers, distributions) = (SeriesMap::default(), SeriesMap::default());
        let state = State { settings: self.0, swept: 0, now: 0, over: 0, numbers, distributions };
        let full = Occasionally::new(Duration::from_secs(60));
        Ok(Stage::Relay(Box::new(ToCumulative { state, tally: context.tally, full })))
    }
}

struct ToCumulative {
    state: State,
    tally: Arc<Tally>,
    full: Occasionally,
}

/// A series so far.
struct Total<A> {
    start: i64,
    time: i64,
    /// When it came last.
    seen: i64,
    value: A,
}

struct State {
    settings: Settings,
    swept: i64,
    now: i64,
    over: usize,
    numbers: SeriesMap<Total<Number>>,
    distributions: SeriesMap<Total<Distribution>>,
}

impl State {
    fn sweep(&mut self) {
        let stale = length(self.settings.max_stale);
        if stale > 0 && self.now - self.swept > stale / 8 {
            self.swept = self.now;
            let oldest = self.now - stale;
            self.numbers.retain(|total| total.seen >= oldest);
            self.distributions.retain(|total| total.seen >= oldest);
        }
    }
}

fn add<A: Amount>(
    map: &mut SeriesMap<Total<A>>,
    points: &Points<'_>,
    row: usize,
    value: A,
    (now, full): (i64, bool),
    merge: impl FnOnce(&mut A, A) -> bool,
) -> Fate<A> {
    let (start, time) = (points.start[row], points.time[row]);
    // Who does not say when it began, began when it was heard of first.
    let begin = if start == 0 { time } else { start };
    let id = points.series_id[row];
    let Some(slot) = map.find(id) else {
        if full {
            return Fate::Drop("over_limit");
        }
        map.insert(id, Total { start: begin, time, seen: now, value: value.clone() });
        return Fate::Set { start: begin, value };
    };
    let total = &mut map.states[slot];
    total.seen = now;
    if start != 0 && start < total.start {
        return Fate::Drop("older_start");
    }
    if time <= total.time {
        return Fate::Drop("out_of_order");
    }
    total.time = time;
    if !merge(&mut total.value, value) {
        total.start = begin;
    }
    Fate::Set { start: total.start, value: total.value.clone() }
}

impl Convert for State {
    const TEMPORALITY: i32 = CUMULATIVE;

    fn number(&mut self, rows: &Numbers<'_>, row: usize, is_sum: bool) -> Fate<Number> {
        let Some(value) = rows.value(row).filter(|_| is_sum && rows.temporality[row] == DELTA) else {
            return Fate::Keep;
        };
        let full = self.is_full();
        let fate = add(&mut self.numbers, &rows.points, row, value, (self.now, full), |total, value| {
            total.add(value);
            true
        });
        self.over += usize::from(matches!(fate, Fate::Drop("over_limit")));
        fate
    }

    fn distribution(&mut self, _: Table, rows: &Distributions<'_>, row: usize) -> Fate<Distribution> {
        if rows.temporality[row] != DELTA || rows.points.has_no_value(row) {
            return Fate::Keep;
        }
        let (value, full) = (rows.get(row), self.is_full());
        let fate = add(&mut self.distributions, &rows.points, row, value, (self.now, full), |total, value| {
            match (total, value) {
                (Distribution::Explicit(total), Distribution::Explicit(value)) if total.bounds != value.bounds => {
                    *total = value;
                    return false;
                }
                (Distribution::Exponential(total), Distribution::Exponential(value)) => {
                    total.merge(value, MAX_BUCKETS);
                }
                (total, value) => total.merge(value),
            }
            true
        });
        self.over += usize::from(matches!(fate, Fate::Drop("over_limit")));
        fate
    }
}

impl State {
    fn is_full(&self) -> bool {
        (self.numbers.len() + self.distributions.len()) as u64 >= self.settings.max_streams
    }
}

impl Relay for ToCumulative {
    fn process(&mut self, batch: Batch, now: SystemTime, out: &mut Out) {
        let state = &mut self.state;
        state.now = nanos(now);
        state.sweep();
        match rewrite(state, &batch, &self.tally) {
            Ok(left) => left.into_iter().for_each(|batch| out.push(batch)),
            Err(error) => {
                tracing::error!(%error, items = batch.items(), "delta_to_cumulative: sums do not fit into columns, and are lost");
                self.tally.take_out("failed", batch.items());
            }
        }
        let over = std::mem::take(&mut state.over);
        if over > 0 && self.full.due(Instant::now()).is_some() {
            let max_streams = state.settings.max_streams;
            tracing::error!(
                points = over,
                max_streams,
                "delta_to_cumulative: data lost: there are more series than max_streams"
            );
        }
    }

    fn save(&self, state: &mut Vec<u8>) {
        let mut out = Writer::new(state, "delta_to_cumulative", 1, "");
        out.i64(self.state.swept);
        self.state.numbers.save(&mut out, Total::save);
        self.state.distributions.save(&mut out, Total::save);
        out.finish();
    }

    fn restore(&mut self, state: &[u8]) -> anyhow::Result<()> {
        let mut state = Reader::new(state, "delta_to_cumulative", 1, "")?;
        self.state.swept = state.i64()?;
        self.state.numbers = SeriesMap::restore(&mut state, Total::restore)?;
        self.state.distributions = SeriesMap::restore(&mut state, Total::restore)?;
        state.end()
    }
}

impl<A: Amount> Total<A> {
    fn save(&self, out: &mut Writer<'_>) {
        [self.start, self.time, self.seen].into_iter().for_each(|time| out.fixed(time as u64));
        self.value.save(out);
    }

    fn restore(state: &mut Reader<'_>) -> anyhow::Result<Self> {
        let mut time = || state.fixed().map(|time| time as i64);
        Ok(Total { start: time()?, time: time()?, seen: time()?, value: A::restore(state)? })
    }
}

#[cfg(test)]
mod tests;

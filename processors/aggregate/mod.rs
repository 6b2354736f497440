//! `aggregate`: points become fewer, in time and across labels.
//!
//! ```yaml
//! aggregate:
//!   interval: 60s                 # windows (start, end], aligned to 1970; a point at 12:01:00 belongs to the one that ends then
//!   by: [service.name, http.route]   # or `without: [...]`; neither: in time only
//!   functions: [avg, max, p99]    # avg max min sum count last rate merge p50 ...; `quantiles: [0.5, 0.9]` adds some
//! ```
//!
//! docs/aggregate.md has all keys, what each function means for each kind of metric, and when windows close. Windows are of
//! event time: `time_unix_nano`. One closes when the newest time seen, which counts no further than the clock, is `allowed_lateness` past
//! its end; or when no point came to it for `grace` and the clock is past both. Windows close in order.
//!
//! State: by series that comes in some 100 bytes, by group its labels, and what the open windows hold. Its bounds are `max_series`,
//! [`MAX_OPEN`] windows and [`MAX_TEXT`]. Past them, points of new series go into one overflow series a metric
//! (`otel.metric.overflow`), or, where that cannot be (cumulative series, levels that are summed), on as they are.

mod close;
mod group;
mod ingest;
mod labels;
mod settings;
#[cfg(test)]
mod tests;
mod window;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use catchment_pipeline::batch::{Batch, Rows, Signal, Table};
use catchment_pipeline::component::{
    Context, Occasionally, Out, ProcessorPlan, ProcessorSpec, Relay, Spec, Stability, Stage, Tally,
};

use crate::state::series::SeriesMap;
use crate::state::snapshot::{Reader, Writer};
use crate::state::{length, nanos, time};
use close::Closing;
use group::{Groups, Member};
use settings::Settings;
pub use settings::{INITIAL, Initial};
use window::Window;

/// Windows open at once; points of others come too late.
const MAX_OPEN: usize = 64;
/// Bytes of labels of all groups.
const MAX_TEXT: usize = 512 << 20;
/// Points so far ahead of the clock are not taken.
const MAX_AHEAD: Duration = Duration::from_secs(600);

pub static SPEC: ProcessorSpec = Spec {
    kind: "aggregate",
    aliases: &["interval"],
    summary: "Aggregates metric points in time and across labels",
    signals: &[Signal::Metrics],
    stability: Stability::Beta,
    plan: |section| Box::new(Plan(Arc::new(settings::read(section)))),
};

struct Plan(Arc<Settings>);

impl ProcessorPlan for Plan {
    fn build(&self, context: Context) -> anyhow::Result<Stage> {
        Ok(Stage::Relay(Box::new(Aggregate::new(self.0.clone(), context.tally))))
    }
}

struct Aggregate {
    settings: Arc<Settings>,
    interval: i64,
    tally: Arc<Tally>,
    late: Occasionally,
    full: Occasionally,
    /// When the first batch came.
    began: Option<i64>,
    /// The newest event time seen.
    newest: i64,
    /// The last window that was closed.
    closed: i64,
    /// When series were last looked through for stale ones, by window.
    swept: i64,
    series: SeriesMap<Member>,
    groups: Groups,
    /// In order.
    open: VecDeque<Window>,
}

impl Aggregate {
    fn new(settings: Arc<Settings>, tally: Arc<Tally>) -> Aggregate {
        Aggregate {
            interval: length(settings.interval).max(1),
            settings,
            tally,
            late: Occasionally::new(Duration::from_secs(60)),
            full: Occasionally::new(Duration::from_secs(60)),
            began: None,
            newest: i64::MIN,
            closed: i64::MIN,
            swept: i64::MIN,
            series: SeriesMap::default(),
            groups: Groups::default(),
            open: VecDeque::new(),
        }
    }

    /// When a window closes if nothing more comes.
    fn closes(&self, window: &Window) -> i64 {
        let end = window.number.saturating_add(1).saturating_mul(self.interval);
        let complete = end.saturating_add(length(self.settings.allowed_lateness));
        if self.newest >= complete {
            // Not before the clock is there, whatever a sender says.
            return complete;
        }
        complete.max(window.touched).saturating_add(length(self.settings.grace))
    }

    /// Closes what is due, and all that is older.
    fn advance(&mut self, now: i64, out: &mut Out) {
        while let Some(due) = self.open.iter().rposition(|window| self.closes(window) <= now) {
            for _ in 0..=due {
                self.close_first(out);
            }
        }
    }

    fn close_first(&mut self, out: &mut Out) {
        let Some(window) = self.open.pop_front() else { return };
        self.closed = window.number;
        let settings = self.settings.clone();
        let (groups, series) = (&mut self.groups, &mut self.series);
        let put_in = Closing { settings: &settings, groups, series, interval: self.interval }.close(window, out);
        self.tally.put_in("aggregates", put_in);
        self.sweep();
    }

    /// Forgets series and groups that have not been seen for `max_stale` of event time.
    fn sweep(&mut self) {
        let stale = (length(self.settings.max_stale) / self.interval).max(1);
        if self.swept.saturating_add((stale / 8).max(1)) > self.closed {
            return;
        }
        self.swept = self.closed;
        let oldest = self.closed.saturating_sub(stale);
        let mut numbers = Vec::with_capacity(self.series.len());
        let mut kept = 0;
        for member in &self.series.states {
            let keep = member.seen > oldest;
            numbers.push(if keep { kept } else { u32::MAX });
            kept += u32::from(keep);
        }
        if self.series.retain(|member| member.seen > oldest) == 0 {
            return;
        }
        let mut used = vec![false; self.groups.all.len()];
        let members = self.series.states.iter().map(|member| member.group);
        for group in members.chain(self.open.iter().flat_map(Window::groups)) {
            used.get_mut(group as usize).into_iter().for_each(|used| *used = true);
        }
        let groups = self.groups.retain(|number, group| used[number] || group.seen > oldest);
        for member in &mut self.series.states {
            member.group = groups[member.group as usize];
        }
        self.open.iter_mut().for_each(|window| window.renumber(&numbers, &groups));
    }

    /// What of `batch` goes on as it is.
    fn rest(&self, batch: &Batch, passed: &[(Table, Vec<bool>)]) -> Option<Batch> {
        if passed.iter().all(|(_, passed)| passed.iter().all(|passed| *passed)) {
            return Some(batch.clone());
        }
        let mut tables = Vec::new();
        for (table, rows) in batch.rows().tables() {
            let Some((_, passed)) = passed.iter().find(|(t, _)| *t == table) else { continue };
            if passed.contains(&true) {
                let mask = BooleanArray::from(passed.clone());
                tables.push((table, filter_record_batch(rows, &mask).unwrap_or_else(|_| rows.clone())));
            }
        }
        (!tables.is_empty()).then(|| Batch::from_rows(batch.signal(), Rows::new(tables)))
    }

    fn speak_of(&self, found: &ingest::Found) {
        if found.late > 0
            && let Some(times) = self.late.due(Instant::now())
        {
            let says = "aggregate: points came after their window was closed, or are far ahead of the clock; raise \
                        allowed_lateness, set their sender's clock, or write late: pass to have them passed on";
            tracing::warn!(points = found.late, batches = times, "{says}");
        }
        if found.over > 0
            && let Some(times) = self.full.due(Instant::now())
        {
            let says = "aggregate: there are more series than max_series; new ones are folded or passed on";
            tracing::warn!(points = found.over, batches = times, max_series = self.settings.max_series, "{says}");
        }
    }
}

impl Relay for Aggregate {
    fn process(&mut self, batch: Batch, now: SystemTime, out: &mut Out) {
        let now = nanos(now);
        self.began.get_or_insert(now);
        self.advance(now, out);
        let mut found = ingest::Found::default();
        let rows = batch.rows().clone();
        let passed: Vec<_> =
            rows.tables().map(|(table, rows)| (table, self.ingest(table, rows, now, &mut found))).collect();
        self.tally.take_out("aggregated", found.aggregated);
        self.tally.take_out("too_late", found.dropped);
        self.newest = self.newest.max(found.newest);
        if let Some(rest) = self.rest(&batch, &passed) {
            out.push(rest);
        }
        self.speak_of(&found);
        self.advance(now, out);
    }

    fn due(&self) -> Option<SystemTime> {
        self.open.iter().map(|window| self.closes(window)).min().map(time)
    }

    fn tick(&mut self, now: SystemTime, out: &mut Out) {
        self.advance(nanos(now), out);
    }

    fn finish(&mut self, _: SystemTime, out: &mut Out) {
        while !self.open.is_empty() {
            self.close_first(out);
        }
    }

    fn save(&self, state: &mut Vec<u8>) {
        let mut out = Writer::new(state, "aggregate", 1, &self.settings.identity());
        out.bool(self.began.is_some());
        self.began.iter().for_each(|began| out.i64(*began));
        [self.newest, self.closed, self.swept].into_iter().for_each(|time| out.i64(time));
        self.groups.save(&mut out);
        self.series.save(&mut out, Member::save);
        out.len(self.open.len());
        self.open.iter().for_each(|window| window.save(&mut out));
        out.finish();
    }

    fn restore(&mut self, state: &[u8]) -> anyhow::Result<()> {
        let mut state = Reader::new(state, "aggregate", 1, &self.settings.identity())?;
        let began = if state.bool()? { Some(state.i64()?) } else { None };
        let (newest, closed, swept) = (state.i64()?, state.i64()?, state.i64()?);
        let groups = Groups::restore(&mut state)?;
        let known = self.settings.rules.len();
        anyhow::ensure!(groups.all.iter().all(|group| (group.rule as usize) < known), "the state has other rules");
        let series = SeriesMap::restore(&mut state, |state| Member::restore(state, groups.all.len()))?;
        let mut open = VecDeque::new();
        for _ in 0..state.len()? {
            open.push_back(Window::restore(&mut state, series.len(), groups.all.len())?);
        }
        state.end()?;
        (self.began, self.newest, self.closed, self.swept) = (began, newest, closed, swept);
        (self.groups, self.series, self.open) = (groups, series, open);
        Ok(())
    }
}

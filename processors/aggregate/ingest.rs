//! Rows into the open windows, a column at a time where they repeat.

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use catchment_pipeline::batch::Table;
use catchment_pipeline::batch::build::{CUMULATIVE, DELTA, Number, Series};

use super::close::sketch;
use super::group::{Input, Member, Memory};
use super::settings::Initial;
use super::window::{Cells, Counter, Window};
use super::{Aggregate, MAX_AHEAD, MAX_OPEN, MAX_TEXT};
use crate::state::columns::{Distributions, Numbers, Points};
use crate::state::counter::{Amount, Base, Stretch};
use crate::state::length;
use crate::state::number::{Acc, double};

/// Points of one batch, counted.
#[derive(Default)]
pub struct Found {
    pub aggregated: usize,
    pub late: usize,
    pub dropped: usize,
    pub over: usize,
    pub newest: i64,
}

enum Fate {
    Taken,
    Late,
    Over,
    Pass,
}

/// What rows of one metric share.
#[derive(Clone, Copy)]
struct Shared {
    rule: u32,
    /// Of the rule.
    drop_original: bool,
}

impl Aggregate {
    /// Which rows go on as they are.
    pub fn ingest(&mut self, table: Table, rows: &RecordBatch, now: i64, found: &mut Found) -> Vec<bool> {
        let passed = match table {
            Table::Metrics => Numbers::new(rows).map(|numbers| self.numbers(&numbers, now, found)),
            _ => Distributions::new(table, rows).map(|rows| self.distributions(table, &rows, now, found)),
        };
        passed.unwrap_or_else(|| vec![true; rows.num_rows()])
    }

    fn shared(&self, points: &Points<'_>) -> Vec<Option<Shared>> {
        let settings = &self.settings;
        let of = |name: &str| {
            let rule = settings.rule_of(name)?;
            Some(Shared { rule: rule as u32, drop_original: settings.rules[rule].drop_original })
        };
        points.name.each(of).collect()
    }

    fn numbers(&mut self, rows: &Numbers<'_>, now: i64, found: &mut Found) -> Vec<bool> {
        let shared = self.shared(&rows.points);
        let sums = rows.sums();
        let mut at = Place::default();
        let mut passed = Vec::with_capacity(shared.len());
        for (row, shared) in shared.into_iter().enumerate() {
            let input = match (sums[row], rows.temporality[row], rows.monotonic.value(row)) {
                (false, ..) => Some(Input::Gauge),
                (true, DELTA, monotonic) => Some(Input::Delta(monotonic)),
                (true, CUMULATIVE, true) => Some(Input::Counter),
                (true, CUMULATIVE, false) => Some(Input::UpDown),
                _ => None,
            };
            let Some((shared, input)) = shared.zip(input).filter(|(_, input)| !self.settings.passes(*input)) else {
                passed.push(true);
                continue;
            };
            let fate = match rows.value(row).filter(|value| !double(*value).is_nan()) {
                Some(value) => self.number(&rows.points, row, (shared, input), value, now, &mut at, found),
                // Nothing to add: it says that a series is over, and an aggregate of it is when no more comes.
                None => Fate::Taken,
            };
            passed.push(self.settle(&fate, shared, found));
        }
        passed
    }

    fn settle(&self, fate: &Fate, shared: Shared, found: &mut Found) -> bool {
        match fate {
            Fate::Pass => return true,
            Fate::Over => {
                found.over += 1;
                return true;
            }
            Fate::Late => {
                found.late += 1;
                let pass = self.settings.pass_late || !shared.drop_original;
                found.dropped += usize::from(!pass);
                return pass;
            }
            Fate::Taken => found.aggregated += usize::from(shared.drop_original),
        }
        !shared.drop_original
    }

    #[inline]
    #[allow(clippy::too_many_arguments)]
    fn number(
        &mut self,
        points: &Points<'_>,
        row: usize,
        (shared, input): (Shared, Input),
        value: Number,
        now: i64,
        at: &mut Place,
        found: &mut Found,
    ) -> Fate {
        let (start, time) = (points.start[row], points.time[row]);
        if !self.place(time, now, at, found) {
            return if time <= 0 { Fate::Pass } else { Fate::Late };
        }
        let rule = &self.settings.rules[shared.rule as usize];
        let output = input.output(rule);
        let stage = rule.stage(input, output);
        let pooled = input != Input::Counter && rule.over_time.is_none();
        let sketched = pooled && rule.needs_sketch(output);
        let Some(slot) = self.member(points, row, shared.rule, input, at.number) else {
            // Only what needs no memory of its series can be folded.
            found.over += 1;
            if !self.settings.fold_overflow || !pooled || stage.is_some() {
                found.over -= 1;
                return Fate::Over;
            }
            let group = self.overflow(points, row, shared.rule, input);
            let window = &mut self.open[at.index];
            window.touched = now;
            pool(window, group, value, start, time);
            if sketched {
                sketch(&mut window.sketches, group, value, self.settings.max_buckets);
            }
            return Fate::Taken;
        };
        let member = &mut self.series.states[slot];
        if let Memory::Number(base) = &mut member.memory {
            let began = self.began.unwrap_or(now);
            note_first(base, start, time, value, self.settings.initial, began);
            count(&mut self.open, |window| &mut window.counters, (at.index, slot as u32), base, (start, time, value));
            self.open[at.index].touched = now;
            return Fate::Taken;
        }
        let window = &mut self.open[at.index];
        window.touched = now;
        if pooled {
            pool(window, member.group, value, start, time);
            if sketched {
                sketch(&mut window.sketches, member.group, value, self.settings.max_buckets);
            }
        }
        if stage.is_some() {
            match window.levels.get(slot as u32) {
                Some(acc) => acc.add(value, start, time),
                None => window.levels.insert(slot as u32, Acc::new(value, start, time)),
            }
        }
        Fate::Taken
    }

    fn distributions(&mut self, table: Table, rows: &Distributions<'_>, now: i64, found: &mut Found) -> Vec<bool> {
        let shared = self.shared(&rows.points);
        let mut at = Place::default();
        let mut passed = Vec::with_capacity(shared.len());
        for (row, shared) in shared.into_iter().enumerate() {
            let cumulative = match rows.temporality[row] {
                DELTA => Some(false),
                CUMULATIVE => Some(true),
                _ => None,
            };
            let input = cumulative.map(|cumulative| Input::Distribution(table == Table::ExpHistograms, cumulative));
            let Some((shared, input)) = shared.zip(input).filter(|(_, input)| !self.settings.passes(*input)) else {
                passed.push(true);
                continue;
            };
            let fate = if rows.points.has_no_value(row) {
                Fate::Taken
            } else {
                self.one_distribution(rows, row, (shared, input), now, &mut at, found)
            };
            passed.push(self.settle(&fate, shared, found));
        }
        passed
    }

    fn one_distribution(
        &mut self,
        rows: &Distributions<'_>,
        row: usize,
        (shared, input): (Shared, Input),
        now: i64,
        at: &mut Place,
        found: &mut Found,
    ) -> Fate {
        let points = &rows.points;
        let (start, time) = (points.start[row], points.time[row]);
        if !self.place(time, now, at, found) {
            return if time <= 0 { Fate::Pass } else { Fate::Late };
        }
        let cumulative = matches!(input, Input::Distribution(_, true));
        let slot = self.member(points, row, shared.rule, input, at.number);
        let group = match slot {
            Some(slot) => self.series.states[slot].group,
            None if cumulative || !self.settings.fold_overflow => return Fate::Over,
            None => {
                found.over += 1;
                self.overflow(points, row, shared.rule, input)
            }
        };
        let value = rows.get(row);
        let Some(slot) = slot.filter(|_| cumulative) else {
            let window = &mut self.open[at.index];
            window.touched = now;
            match window.distributions.get(group) {
                Some(merged) => merged.merge(value),
                None => window.distributions.insert(group, value),
            }
            return Fate::Taken;
        };
        if let Memory::Distribution(base) = &mut self.series.states[slot].memory {
            note_first(base, start, time, value.clone(), self.settings.initial, self.began.unwrap_or(now));
            count(&mut self.open, |window| &mut window.cumulative, (at.index, slot as u32), base, (start, time, value));
        }
        self.open[at.index].touched = now;
        Fate::Taken
    }

    /// Finds or opens the window of `time`. `false`: it was closed, or is too far ahead.
    #[inline]
    fn place(&mut self, time: i64, now: i64, at: &mut Place, found: &mut Found) -> bool {
        if at.begin < time && time <= at.end {
            found.newest = found.newest.max(time);
            return at.taken;
        }
        let number = (time - 1).div_euclid(self.interval);
        at.begin = number.saturating_mul(self.interval);
        at.end = at.begin.saturating_add(self.interval);
        at.number = number;
        at.taken = time > 0 && number > self.closed && time <= now.saturating_add(length(MAX_AHEAD));
        if at.taken {
            let place = self.open.partition_point(|window| window.number < number);
            if self.open.get(place).is_none_or(|window| window.number != number) {
                at.taken = self.open.len() < MAX_OPEN;
                if at.taken {
                    self.open.insert(place, Window::new(number));
                }
            }
            at.index = place;
        }
        if at.taken {
            found.newest = found.newest.max(time);
        }
        // A window that straddles the limit ahead must be asked about again.
        if !at.taken {
            at.end = at.begin;
        }
        at.taken
    }

    /// The slot of a series, new or known; `None`: there are too many.
    #[inline]
    fn member(&mut self, points: &Points<'_>, row: usize, rule: u32, input: Input, number: i64) -> Option<usize> {
        let id = points.series_id[row];
        // Of the same identity may come points of several kinds, in an unlucky pipeline.
        let id = if input.is_level() { id } else { id.wrapping_add(input.mark()) };
        if let Some(slot) = self.series.find(id) {
            let member = &mut self.series.states[slot];
            member.seen = member.seen.max(number);
            return Some(slot);
        }
        if self.series.len() >= self.settings.max_series || self.groups.texts.size() > MAX_TEXT {
            return None;
        }
        let series = points.series(row);
        let settings = self.settings.clone();
        let rule_of = &settings.rules[rule as usize];
        let output = input.output(rule_of);
        let group = match rule_of.labels.of(&series) {
            None => self.groups.find_or_add(rule, output, &series),
            Some(kept) => {
                let none = Series::default();
                let scope = if kept.scope { &series } else { &none };
                let series = Series {
                    resource_attributes: &kept.resource,
                    attributes: &kept.attributes,
                    scope_name: scope.scope_name,
                    scope_version: scope.scope_version,
                    scope_attributes: scope.scope_attributes,
                    scope_schema_url: scope.scope_schema_url,
                    ..series
                };
                self.groups.find_or_add(rule, output, &series)
            }
        };
        // The first point will take its place.
        let (start, time, sealed) = (i64::MIN, i64::MAX, false);
        let memory = match input {
            Input::Counter => Memory::Number(Base { start, time, sealed, value: None }),
            Input::Distribution(_, true) => Memory::Distribution(Box::new(Base { start, time, sealed, value: None })),
            _ => Memory::None,
        };
        Some(self.series.insert(id, Member { group, input, seen: number, memory }))
    }

    fn overflow(&mut self, points: &Points<'_>, row: usize, rule: u32, input: Input) -> u32 {
        let series = points.series(row);
        let folded = Series {
            name: series.name,
            unit: series.unit,
            attributes: r#"{"otel.metric.overflow":true}"#,
            ..Series::default()
        };
        let output = input.output(&self.settings.rules[rule as usize]);
        self.groups.find_or_add(rule, output, &folded)
    }
}

impl Input {
    fn mark(self) -> i64 {
        match self {
            Input::Gauge | Input::UpDown => 0,
            Input::Delta(_) => 1,
            Input::Counter => 2,
            Input::Distribution(_, cumulative) => 3 + i64::from(cumulative),
        }
    }
}

/// The window that points came to last.
#[derive(Default)]
struct Place {
    begin: i64,
    end: i64,
    number: i64,
    index: usize,
    taken: bool,
}

#[inline]
fn pool(window: &mut Window, group: u32, value: Number, start: i64, time: i64) {
    match window.accs.get(group) {
        Some(acc) => acc.add(value, start, time),
        None => window.accs.insert(group, Acc::new(value, start, time)),
    }
}

/// A point of a cumulative series into its window. The first there is held against the one before, in an earlier window: one that
/// fell may have risen past it again when the window closes.
#[inline]
fn count<A: Amount>(
    open: &mut VecDeque<Window>,
    cells: impl Fn(&mut Window) -> &mut Cells<Counter<A>>,
    (index, slot): (usize, u32),
    base: &Base<A>,
    (start, time, value): (i64, i64, A),
) {
    if let Some(counter) = cells(&mut open[index]).get(slot) {
        counter.add(start, time, value);
        return;
    }
    let earlier = open.iter_mut().take(index).rev();
    let fell = match earlier.filter_map(|window| cells(window).get(slot)).next() {
        Some(before) => before.newest().start == start && value.is_less(&before.newest().value),
        None => base.start == start && base.value.as_ref().is_some_and(|before| value.is_less(before)),
    };
    cells(&mut open[index]).insert(slot, Counter::new(Stretch { start, time, fell, value }));
}

/// The earliest point of a series is where counting begins, until a window with it is closed.
#[inline]
fn note_first<A: Amount>(base: &mut Base<A>, start: i64, time: i64, value: A, initial: Initial, began: i64) {
    if base.sealed || time >= base.time {
        return;
    }
    let from_zero = match initial {
        Initial::Keep => true,
        Initial::Drop => false,
        Initial::Auto => start >= began && start != time,
    };
    *base = Base { start, time, sealed: false, value: (!from_zero).then_some(value) };
}

//! A window that closes: series are made one value each where that is asked for, and groups are put out.

use catchment_pipeline::batch::build::{CUMULATIVE, Interval, Kind, Number, PointsBuilder, Series};
use catchment_pipeline::component::Out;

use super::group::{Groups, Member, Memory, Output};
use super::settings::{Function, Labels, Rule, Settings};
use super::window::{Cells, Window};
use crate::state::columns::Distribution;
use crate::state::counter::{self, Stretch};
use crate::state::exp::Exp;
use crate::state::number::{Acc, Made, add, double};
use crate::state::series::SeriesMap;

/// Points in one batch that is put out.
const BATCH: usize = 8192;

pub struct Closing<'a> {
    pub settings: &'a Settings,
    pub groups: &'a mut Groups,
    pub series: &'a mut SeriesMap<Member>,
    pub interval: i64,
}

impl Closing<'_> {
    /// Gives how many points were put out.
    pub fn close(&mut self, mut window: Window, out: &mut Out) -> usize {
        let Folded { mut sums, mut lasts } = self.fold(&mut window);
        let start = window.number.saturating_mul(self.interval);
        let mut put = Put {
            at: Interval { start, time: start.saturating_add(self.interval) },
            seconds: self.interval as f64 / 1e9,
            points: PointsBuilder::default(),
            total: 0,
            out,
        };
        let mut sketches = std::mem::take(&mut window.sketches);
        for (number, acc) in window.accs.take() {
            let Some(group) = self.groups.all.get_mut(number as usize) else { continue };
            group.seen = window.number;
            let rule = &self.settings.rules[group.rule as usize];
            let numbers = Numbers {
                acc: &acc,
                sum: sums.get(number).map(|acc| &*acc),
                sketch: sketches.get(number).map(|s| &*s),
            };
            put.numbers(rule, number as usize, self.groups, &numbers);
        }
        for (number, distribution) in window.distributions.take() {
            let Some(group) = self.groups.all.get_mut(number as usize) else { continue };
            group.seen = window.number;
            let rule = &self.settings.rules[group.rule as usize];
            put.distribution(rule, number as usize, self.groups, distribution, lasts.get(number).map(|last| &*last));
        }
        put.flush();
        put.total
    }

    /// Series become one value each, in their groups.
    fn fold(&mut self, window: &mut Window) -> Folded {
        let mut folded = Folded::default();
        for (slot, acc) in std::mem::take(&mut window.levels).take() {
            let Some(member) = self.series.states.get(slot as usize) else { continue };
            let Some(group) = self.groups.all.get(member.group as usize) else { continue };
            let rule = &self.settings.rules[group.rule as usize];
            let value = match rule.stage(member.input, group.output) {
                Some(Function::Avg) => acc.avg(),
                Some(Function::Max) => acc.max,
                Some(Function::Min) => acc.min,
                Some(Function::Sum) => acc.sum,
                _ => acc.last,
            };
            let made = Made { value, points: acc.points, last: value, start: acc.start, time: acc.time, raw: acc.raw };
            if rule.over_time.is_none() {
                fold_into(&mut folded.sums, member.group, made);
            } else {
                self.fold_all(window, member.group, made);
            }
        }
        for (slot, cell) in std::mem::take(&mut window.counters).take() {
            let Some(member) = self.series.states.get_mut(slot as usize) else { continue };
            let Memory::Number(base) = &mut member.memory else { continue };
            let (group, points, newest) = (member.group, u64::from(cell.points), cell.newest().clone());
            let (newest_stretch, rest) = cell.into_parts();
            let Some(value) = counter::close(base, newest_stretch, rest) else { continue };
            let made = Made { value, points, last: newest.value, start: newest.start, time: newest.time, raw: true };
            self.fold_all(window, group, made);
        }
        for (slot, cell) in std::mem::take(&mut window.cumulative).take() {
            let Some(member) = self.series.states.get_mut(slot as usize) else { continue };
            let Memory::Distribution(base) = &mut member.memory else { continue };
            let group = member.group;
            let (newest, rest) = cell.into_parts();
            let rule = self.groups.all.get(group as usize).map(|group| &self.settings.rules[group.rule as usize]);
            if rule.is_some_and(|rule| rule.labels == Labels::All && rule.functions.contains(&Function::Last)) {
                folded.lasts.insert(group, newest.clone());
            }
            let Some(added) = counter::close(base, newest, rest) else { continue };
            match window.distributions.get(group) {
                Some(merged) => merged.merge(added),
                None => window.distributions.insert(group, added),
            }
        }
        folded
    }

    fn fold_all(&self, window: &mut Window, group: u32, made: Made) {
        fold_into(&mut window.accs, group, made);
        let Some(found) = self.groups.all.get(group as usize) else { return };
        if self.settings.rules[found.rule as usize].needs_sketch(found.output) {
            sketch(&mut window.sketches, group, made.value, self.settings.max_buckets);
        }
    }
}

/// Of groups.
#[derive(Default)]
struct Folded {
    /// What only `sum` is asked of.
    sums: Cells<Acc>,
    /// The last points of cumulative histograms, as they came.
    lasts: Cells<Stretch<Distribution>>,
}

pub fn sketch(sketches: &mut Cells<Exp>, group: u32, value: Number, max_buckets: usize) {
    match sketches.get(group) {
        Some(sketch) => sketch.add(double(value), max_buckets),
        None => {
            let mut sketch = Exp::sketch();
            sketch.add(double(value), max_buckets);
            sketches.insert(group, sketch);
        }
    }
}

fn fold_into(accs: &mut Cells<Acc>, group: u32, made: Made) {
    match accs.get(group) {
        Some(acc) => acc.fold(made),
        None => accs.insert(group, made.into()),
    }
}

struct Numbers<'a> {
    acc: &'a Acc,
    sum: Option<&'a Acc>,
    sketch: Option<&'a Exp>,
}

struct Put<'a> {
    at: Interval,
    seconds: f64,
    points: PointsBuilder,
    total: usize,
    out: &'a mut Out,
}

impl Put<'_> {
    fn numbers(&mut self, rule: &Rule, number: usize, groups: &mut Groups, values: &Numbers<'_>) {
        let acc = values.acc;
        let summed = values.sum.unwrap_or(acc);
        let group = &mut groups.all[number];
        // Totals go on even where a function is not asked for: it costs nothing.
        let begun = *group.start.get_or_insert(self.at.start);
        group.total = add(group.total, summed.sum);
        group.count = group.count.wrapping_add(acc.points);
        let group = &groups.all[number];
        let series = groups.series(group);
        let since = |temporality| if temporality == CUMULATIVE { begun } else { self.at.start };
        for function in rule.functions(group.output) {
            let gauge = |value| Some((Kind::Gauge, self.at.start, value));
            let point = match (function, group.output) {
                (Function::Sum, Output::Sum(temporality, monotonic)) => {
                    let value = if temporality == CUMULATIVE { group.total } else { summed.sum };
                    Some((Kind::Sum(temporality, monotonic), since(temporality), value))
                }
                (Function::Sum, Output::UpDown) => Some((Kind::Sum(CUMULATIVE, false), summed.start, summed.sum)),
                (Function::Sum, _) => gauge(summed.sum),
                (Function::Last, Output::UpDown) => Some((Kind::Sum(CUMULATIVE, false), acc.start, acc.last)),
                (Function::Last, Output::Sum(..)) if acc.raw && rule.labels == Labels::All => {
                    Some((Kind::Sum(CUMULATIVE, true), acc.start, acc.last))
                }
                (Function::Last, _) => gauge(acc.last),
                (Function::Count, output) => {
                    let temporality = count_temporality(rule, output);
                    let count = if temporality == CUMULATIVE { group.count } else { acc.points };
                    Some((Kind::Sum(temporality, true), since(temporality), Number::Int(count as i64)))
                }
                (Function::Avg, _) => gauge(acc.avg()),
                (Function::Max, _) => gauge(acc.max),
                (Function::Min, _) => gauge(acc.min),
                (Function::Rate, _) => gauge(Number::Double(double(summed.sum) / self.seconds)),
                (Function::Quantile(q), _) => {
                    values.sketch.and_then(|sketch| sketch.quantile(*q)).and_then(|value| gauge(Number::Double(value)))
                }
                (Function::Merge, _) => None,
            };
            let name = name(rule, group.output, *function, series.name);
            let series = Series { name: &name, unit: &unit(*function, series.unit), ..series };
            if let Some((kind, start, value)) = point {
                self.points.number(&series, Interval { start, ..self.at }, kind, value, &[]);
            } else if let (Function::Merge, Some(sketch)) = (function, values.sketch) {
                let delta = catchment_pipeline::batch::build::DELTA;
                self.points.exp_histogram(&series, self.at, delta, sketch.stats, &sketch.buckets(), &[]);
            }
        }
        self.flush_when_full();
    }

    fn distribution(
        &mut self,
        rule: &Rule,
        number: usize,
        groups: &mut Groups,
        added: Distribution,
        last: Option<&Stretch<Distribution>>,
    ) {
        let group = &mut groups.all[number];
        let begun = *group.start.get_or_insert(self.at.start);
        group.count = group.count.wrapping_add(added.stats().count);
        group.total = add(group.total, Number::Double(added.stats().sum.unwrap_or_default()));
        let cumulative = matches!(group.output, Output::Distribution(_, CUMULATIVE));
        if cumulative {
            match &mut group.distribution {
                Some(merged) => merged.merge(added.clone()),
                None => group.distribution = Some(Box::new(added.clone())),
            }
        }
        let group = &groups.all[number];
        let series = groups.series(group);
        let at = if cumulative { Interval { start: begun, ..self.at } } else { self.at };
        let stats = *added.stats();
        for function in rule.functions(group.output) {
            let temporality = count_temporality(rule, group.output);
            let (count, sum) = if temporality == CUMULATIVE {
                (group.count, Some(double(group.total)))
            } else {
                (stats.count, stats.sum)
            };
            let value = match function {
                Function::Merge => None,
                Function::Count => Some((Kind::Sum(temporality, true), Number::Int(count as i64))),
                Function::Sum => sum.map(|sum| (Kind::Sum(temporality, false), Number::Double(sum))),
                Function::Avg => stats.sum.map(|sum| (Kind::Gauge, Number::Double(sum / stats.count.max(1) as f64))),
                Function::Rate => Some((Kind::Gauge, Number::Double(stats.count as f64 / self.seconds))),
                Function::Max => stats.max.map(|max| (Kind::Gauge, Number::Double(max))),
                Function::Min => stats.min.map(|min| (Kind::Gauge, Number::Double(min))),
                Function::Quantile(q) => added.quantile(*q).map(|value| (Kind::Gauge, Number::Double(value))),
                Function::Last => None,
            };
            let name = name(rule, group.output, *function, series.name);
            let series = Series { name: &name, unit: &unit(*function, series.unit), ..series };
            match (function, value) {
                (_, Some((kind, value))) => {
                    let at = if matches!(kind, Kind::Gauge) { self.at } else { at };
                    self.points.number(&series, at, kind, value, &[]);
                }
                (Function::Last, None) if let Some(last) = last => {
                    let at = Interval { start: last.start, ..self.at };
                    last.value.push(&series, at, CUMULATIVE, &mut self.points);
                }
                (Function::Merge | Function::Last, None) => {
                    let whole = group.distribution.as_deref().unwrap_or(&added);
                    whole.push(&series, at, if cumulative { CUMULATIVE } else { temporality }, &mut self.points);
                }
                _ => {}
            }
        }
        self.flush_when_full();
    }

    fn flush_when_full(&mut self) {
        if self.points.len() >= BATCH {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.points.is_empty() {
            return;
        }
        self.total += self.points.len();
        match self.points.finish() {
            Ok(batch) => self.out.push(batch),
            Err(error) => tracing::error!(%error, "aggregate: its results do not fit into columns, and are lost"),
        }
    }
}

fn count_temporality(rule: &Rule, output: Output) -> i32 {
    match output {
        Output::Sum(temporality, _) | Output::Distribution(_, temporality) => temporality,
        Output::Gauge | Output::UpDown => rule.temporality.unwrap_or(catchment_pipeline::batch::build::DELTA),
    }
}

/// Its own name, where nothing else has it.
fn name(rule: &Rule, output: Output, function: Function, metric: &str) -> String {
    match &rule.name {
        Some(name) => name.replace("{name}", metric).replace("{function}", &function.suffix()),
        None if rule.drop_original && rule.functions(output).len() == 1 => metric.to_owned(),
        None => format!("{metric}.{}", function.suffix()),
    }
}

fn unit(function: Function, unit: &str) -> String {
    match function {
        Function::Count => "1".to_owned(),
        Function::Rate => format!("{unit}/s"),
        _ => unit.to_owned(),
    }
}

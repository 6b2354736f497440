//! `cardinality_limiter`: no more than so many series of a metric, or of a tenant. What is over is folded into one series with the attribute
//! `otel.metric.overflow: true`, as OpenTelemetry's SDKs do it.
//!
//! ```yaml
//! cardinality_limiter:
//!   limit_per_metric: 2000                          # series of one metric, over all resources
//!   limit_per_label: { label: tenant, limit: 10000 }  # series, of whatever metric, with one value of an attribute of the point or the resource
//!   series_expiry: 1h                               # a series that has been silent for so long makes room
//!   max_series: 500000                              # remembered in all; past that every new series is over the limit
//! ```
//!
//! Series that were there first stay. Within a batch, points over the limit become one for each resource, scope, metric and value of the label:
//! - of gauges the last one by time;
//! - of sums of delta temporality what they add up to, over the time they cover;
//! - of cumulative sums the running total of what they added, from the first that was folded on: a monotonic one counts from its second
//!   point on, or from its first when it began after that, so that there is no giant first step. It is
//!   added up for as many series as are remembered in all; what is past that is folded without being added up.
//! - of histograms and exponential histograms the same: delta ones are merged, cumulative ones added up from the second point on. Of different
//!   bounds those are kept that all have, of scales the coarsest.
//! - summaries, and histograms without a temporality, cannot be added up: they are dropped.
//!
//! Counted: `folded` and `over_limit` (dropped) are taken out, `overflow` is put in; which metric is over its limit is said in the log once an
//! expiry. Memory: about 105 bytes a series, 50 MB at
//! 500,000, and the last histogram of each cumulative one that is folded. It remembers: what it knows is back after a crash.

mod distributions;
mod fold;
mod known;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int32Type, Int64Type};
use catchment_pipeline::batch::build::PointsBuilder;
use catchment_pipeline::batch::{Batch, Rows, Signal, Table, attributes};
use catchment_pipeline::component::{Context, Out, ProcessorPlan, ProcessorSpec, Relay, Spec, Stability, Stage, Tally};
use catchment_pipeline::config::Section;
use distributions::Distributions;
use fold::Fold;
use known::{Group, Known};
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub static SPEC: ProcessorSpec = Spec {
    kind: "cardinality_limiter",
    aliases: &[],
    summary: "Folds series over a limit, by metric or tenant, into one overflow series",
    signals: &[Signal::Metrics],
    stability: Stability::Alpha,
    plan: |section| Box::new(Plan(Arc::new(read(section)))),
};

struct Settings {
    per_metric: Option<u32>,
    label: Option<(String, u32)>,
    expiry: Duration,
    max_series: usize,
}

fn read(section: &mut Section) -> Settings {
    let per_metric = section.get::<u32>("limit_per_metric");
    let label = section.section("limit_per_label").and_then(|mut label| {
        let limit = label.required::<u32>("limit");
        Some((label.required::<String>("label")?, limit?))
    });
    if per_metric.is_none() && !section.has("limit_per_label") {
        section.mistake(
            "",
            "there is no limit",
            "add limit_per_metric: 2000, or limit_per_label: { label: tenant, limit: 10000 }",
        );
    }
    if per_metric == Some(0) || label.as_ref().is_some_and(|(_, limit)| *limit == 0) {
        section.mistake("", "a limit of 0 lets no series pass", "use the filter processor to drop metrics");
    }
    let expiry = section.or("series_expiry", Duration::from_secs(3600));
    if expiry < Duration::from_secs(1) {
        section.mistake("series_expiry", "series would be forgotten at once", "write 1s or more");
    }
    let max_series = section.or("max_series", 500_000usize);
    if !(1..=50_000_000).contains(&max_series) {
        section.mistake("max_series", format!("{max_series} series cannot be remembered"), "write 1 to 50000000");
    }
    Settings { per_metric, label, expiry, max_series }
}

struct Plan(Arc<Settings>);

impl ProcessorPlan for Plan {
    fn build(&self, context: Context) -> anyhow::Result<Stage> {
        Ok(Stage::Relay(Box::new(Limiter::new(self.0.clone(), context))))
    }
}

struct Limiter {
    settings: Arc<Settings>,
    id: String,
    tally: Arc<Tally>,
    known: Known,
    fold: Fold,
    distributions: Distributions,
    /// Metrics that were named since the last sweep.
    named: HashSet<u64>,
}

const MOST_NAMED: usize = 1_000;
const METRIC: u64 = 1;
const LABEL: u64 = 2;

impl Limiter {
    fn new(settings: Arc<Settings>, context: Context) -> Limiter {
        let (known, fold) = (Known::new(settings.max_series), Fold::new(settings.max_series));
        let distributions = Distributions::new(settings.max_series);
        Limiter { settings, id: context.id, tally: context.tally, known, fold, distributions, named: HashSet::new() }
    }

    /// Rows within the limits; those of number points that are not are folded.
    fn table(&mut self, table: Table, rows: &RecordBatch, now: i64) -> Option<RecordBatch> {
        let series = rows.column_by_name("series_id")?.as_primitive_opt::<Int64Type>()?;
        let names = Texts::of(rows, "metric_name")?;
        let groups = names.map(|name| xxh3_64_with_seed(name.as_bytes(), METRIC));
        let label = self.settings.label.clone();
        let labels = label.as_ref().and_then(|(key, _)| Labels::of(rows, key));
        let histograms = crate::state::columns::Distributions::new(table, rows);
        let mut kept = Vec::with_capacity(rows.num_rows());
        let mut dropped = 0;
        for (row, series) in series.values().iter().enumerate() {
            let metric = names.at(row, &groups).copied().unwrap_or_default();
            let value = labels.as_ref().and_then(|labels| labels.at(row));
            let groups = [
                self.settings.per_metric.map(|limit| Group { hash: metric, limit }),
                value.zip(label.as_ref()).map(|(value, (_, limit))| Group {
                    hash: xxh3_64_with_seed(value.as_bytes(), LABEL),
                    limit: *limit,
                }),
            ];
            let admitted = self.known.admit(*series, groups, now);
            kept.push(admitted);
            if admitted {
                self.fold.forget(*series);
                self.distributions.forget(*series);
            } else {
                self.name(metric, names.text(row), value);
                let of_point = labels.as_ref().filter(|labels| labels.is_of_point(row)).zip(label.as_ref());
                let label =
                    of_point.and_then(|(labels, (key, _))| labels.point_value(row).map(|text| (key.as_str(), text)));
                match &histograms {
                    Some(rows) => dropped += usize::from(!self.distributions.add(rows, row, label, now)),
                    None if table == Table::Metrics => self.fold.add(rows, row, *series, label, now),
                    None => dropped += 1,
                }
            }
        }
        let over = kept.iter().filter(|kept| !**kept).count();
        if over == 0 {
            return None;
        }
        self.tally.take_out("folded", over - dropped);
        self.tally.take_out("over_limit", dropped);
        filter_record_batch(rows, &BooleanArray::from(kept)).ok()
    }

    fn name(&mut self, metric: u64, name: &str, label: Option<&str>) {
        if self.named.len() < MOST_NAMED && self.named.insert(metric) {
            let metric = name.chars().take(200).collect::<String>();
            let label = label.map(|label| label.chars().take(200).collect::<String>());
            tracing::warn!(
                processor = self.id,
                metric,
                label,
                "more series than its limit; the others are folded into one"
            );
        }
    }

    /// Once a quarter of the expiry.
    fn sweep(&mut self, now: i64) {
        let expiry = i64::try_from(self.settings.expiry.as_secs()).unwrap_or(i64::MAX);
        if self.known.sweep(now, expiry) {
            self.fold.sweep(now, expiry);
            self.distributions.sweep(now, expiry);
            self.named.clear();
        }
    }
}

impl Relay for Limiter {
    fn process(&mut self, batch: Batch, now: SystemTime, out: &mut Out) {
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
        self.sweep(now);
        let mut changed = false;
        let mut tables = Vec::new();
        for (table, rows) in batch.rows().tables() {
            let left = self.table(table, rows, now);
            changed |= left.is_some();
            tables.push((table, left.unwrap_or_else(|| rows.clone())));
        }
        if !changed {
            return out.push(batch);
        }
        let rows = Rows::new(tables);
        let left = (!rows.is_empty()).then(|| Batch::from_rows(Signal::Metrics, rows));
        let mut points = PointsBuilder::default();
        self.fold.take(&mut points);
        self.distributions.take(&mut points);
        let overflow = if points.is_empty() { None } else { points.finish().ok() };
        self.tally.put_in("overflow", overflow.as_ref().map_or(0, Batch::items));
        let both = left.into_iter().chain(overflow).collect::<Vec<_>>();
        if !both.is_empty() {
            out.push(Batch::concat(&both));
        }
    }

    fn save(&self, state: &mut Vec<u8>) {
        self.known.save(state);
        self.fold.save(state);
        self.distributions.save(state);
    }

    fn restore(&mut self, state: &[u8]) -> anyhow::Result<()> {
        let mut rest = self.known.restore(state)?;
        self.fold.restore(&mut rest)?;
        self.distributions.restore(rest)
    }
}

/// A dictionary column.
struct Texts<'a> {
    keys: &'a [i32],
    texts: &'a StringArray,
}

impl<'a> Texts<'a> {
    fn of(rows: &'a RecordBatch, name: &str) -> Option<Texts<'a>> {
        let column = rows.column_by_name(name)?.as_dictionary_opt::<Int32Type>()?;
        Some(Texts { keys: column.keys().values(), texts: column.values().as_string_opt::<i32>()? })
    }

    fn map<T>(&self, make: impl Fn(&'a str) -> T) -> Vec<T> {
        (0..self.texts.len()).map(|key| make(self.texts.value(key))).collect()
    }

    fn at<'b, T>(&self, row: usize, made: &'b [T]) -> Option<&'b T> {
        made.get(usize::try_from(*self.keys.get(row)?).ok()?)
    }

    fn text(&self, row: usize) -> &'a str {
        let key = self.keys.get(row).and_then(|key| usize::try_from(*key).ok()).filter(|key| *key < self.texts.len());
        key.map_or("", |key| self.texts.value(key))
    }
}

/// The label of each point, or else of its resource.
struct Labels<'a> {
    points: (Texts<'a>, Vec<Option<String>>),
    resources: (Texts<'a>, Vec<Option<String>>),
}

impl<'a> Labels<'a> {
    fn of(rows: &'a RecordBatch, key: &str) -> Option<Labels<'a>> {
        let of = |column| {
            let texts = Texts::of(rows, column)?;
            let found = texts.map(|json| attributes::get_text(json, key).map(|text| text.into_owned()));
            Some((texts, found))
        };
        Some(Labels { points: of("attributes")?, resources: of("resource_attributes")? })
    }

    fn point_value(&self, row: usize) -> Option<&str> {
        self.points.0.at(row, &self.points.1)?.as_deref()
    }

    fn is_of_point(&self, row: usize) -> bool {
        self.point_value(row).is_some()
    }

    fn at(&self, row: usize) -> Option<&str> {
        self.point_value(row).or_else(|| self.resources.0.at(row, &self.resources.1)?.as_deref())
    }
}

#[cfg(test)]
mod tests;

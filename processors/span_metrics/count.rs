//! Spans into series.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, ListArray, RecordBatch, StructArray};
use catchment_pipeline::batch::attributes::{self, Attributes, Value};
use catchment_pipeline::batch::build::{CUMULATIVE, Exemplar, Interval, Kind, Number, PointsBuilder, Series};
use catchment_pipeline::component::Out;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::settings::{Dimension, Histogram, Settings};
use crate::state::columns::{Columns, Dict, Distribution};
use crate::state::exp::Exp;
use crate::state::hist::Hist;
use crate::state::series::SeriesMap;
use crate::state::snapshot::{Reader, Writer};

const BATCH: usize = 8192;
const KINDS: [&str; 6] = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
const STATUSES: [&str; 3] = ["UNSET", "OK", "ERROR"];

/// Which metric a series is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Calls,
    Duration,
    Events,
}

struct Counted {
    of: Of,
    /// Canonical JSON.
    resource: String,
    attributes: String,
    /// When it was seen first, and last.
    start: i64,
    seen: i64,
    /// Something was added since it was put out last.
    changed: bool,
    count: u64,
    durations: Option<Box<Distribution>>,
    exemplars: Vec<Exemplar>,
}

pub struct Counts {
    settings: Arc<Settings>,
    series: SeriesMap<Counted>,
    /// When deltas were put out last.
    flushed: Option<i64>,
}

/// One span, as far as it is counted.
struct Seen {
    now: i64,
    /// In the unit of durations.
    duration: f64,
    exemplar: Option<Exemplar>,
}

impl Counts {
    pub fn new(settings: Arc<Settings>) -> Counts {
        Counts { settings, series: SeriesMap::default(), flushed: None }
    }

    pub fn is_empty(&self) -> bool {
        self.series.len() == 0
    }

    pub fn add(&mut self, rows: &RecordBatch, now: i64) -> Option<()> {
        let settings = self.settings.clone();
        let (resource, attributes, names) =
            (rows.dict("resource_attributes")?, rows.dict("attributes")?, rows.dict("name")?);
        let (scopes, versions) = (rows.dict("scope_name")?, rows.dict("scope_version")?);
        let (kinds, statuses) = (rows.int32("kind")?, rows.int32("status_code")?);
        let (starts, ends) = (rows.times("start_time_unix_nano")?, rows.times("end_time_unix_nano")?);
        let (traces, spans) = (rows.ids("trace_id")?, rows.ids("span_id")?);
        let resources: Vec<Option<Resource>> = {
            let mut known = vec![None; resource.values.len()];
            for key in resource.keys {
                let slot = &mut known[*key as usize];
                slot.get_or_insert_with(|| Resource::new(&settings, resource.values.value(*key as usize)));
            }
            known
        };
        let picked = settings.picked(attributes);
        let mut known: HashMap<[i32; 7], (i64, Option<i64>)> = HashMap::new();
        let per_unit = if settings.milliseconds { 1e6 } else { 1e9 };
        for row in 0..rows.num_rows() {
            let Some(origin) = resources.get(resource.keys[row] as usize).and_then(Option::as_ref) else { continue };
            let key = [
                resource.keys[row],
                names.keys[row],
                kinds[row],
                statuses[row],
                picked[row],
                scopes.keys[row],
                versions.keys[row],
            ];
            let span = Span {
                name: names.get(row),
                kind: kinds[row],
                status: statuses[row],
                attributes: attributes.get(row),
                scope: (scopes.get(row), versions.get(row)),
            };
            let ids = known.get(&key).copied();
            let duration = ends[row].saturating_sub(starts[row]).max(0) as f64 / per_unit;
            let exemplar = (settings.exemplars > 0).then(|| Exemplar {
                time: ends[row],
                value: Number::Double(duration),
                trace_id: traces.value(row).try_into().unwrap_or_default(),
                span_id: spans.value(row).try_into().unwrap_or_default(),
            });
            let seen = Seen { now, duration, exemplar };
            let calls = self.count(ids.map(|ids| ids.0), Of::Calls, origin, &seen, || {
                span.labels(&settings, origin, &settings.calls_dimensions, None)
            });
            let duration = settings.histogram.as_ref().map(|_| {
                let known = ids.and_then(|ids| ids.1);
                self.count(known, Of::Duration, origin, &seen, || {
                    span.labels(&settings, origin, &settings.duration_dimensions, None)
                })
            });
            if ids.is_none() {
                known.insert(key, (calls, duration));
            }
            if let Some(dimensions) = &settings.event_dimensions
                && let Some(events) = rows.list("events")
            {
                for event in event_attributes(events, row) {
                    self.count(None, Of::Events, origin, &seen, || {
                        span.labels(&settings, origin, dimensions, Some(&event))
                    });
                }
            }
        }
        Some(())
    }

    /// Into the series `known`, or the one with `labels`; gives which it was.
    fn count(
        &mut self,
        known: Option<i64>,
        of: Of,
        origin: &Resource,
        seen: &Seen,
        labels: impl FnOnce() -> Attributes,
    ) -> i64 {
        let mut found = known.and_then(|id| self.series.find(id).map(|slot| (id, slot)));
        if found.is_none() {
            let mut attributes = labels().to_json();
            let id = |attributes: &str| xxh3_64_with_seed(attributes.as_bytes(), origin.id ^ of as u64) as i64;
            let mut own = id(&attributes);
            let full = self.series.len() >= self.settings.max_series;
            if full && self.series.find(own).is_none() {
                attributes = r#"{"otel.metric.overflow":true}"#.to_owned();
                own = id(&attributes);
            }
            let slot = match self.series.find(own) {
                Some(slot) => slot,
                None => {
                    let counted = self.new_series(of, origin, attributes, seen.now);
                    self.series.insert(own, counted)
                }
            };
            found = Some((own, slot));
        }
        let Some((id, slot)) = found else { return 0 };
        let most = self.settings.exemplars;
        let counted = &mut self.series.states[slot];
        (counted.seen, counted.changed) = (seen.now, true);
        counted.count += 1;
        match counted.durations.as_deref_mut() {
            Some(Distribution::Explicit(hist)) => hist.add(seen.duration),
            Some(Distribution::Exponential(exp)) => {
                let size = if let Some(Histogram::Exponential(size)) = self.settings.histogram { size } else { 160 };
                exp.add(seen.duration, size);
            }
            None => {}
        }
        if counted.exemplars.len() < most {
            counted.exemplars.extend(seen.exemplar.clone());
        }
        id
    }

    fn new_series(&self, of: Of, origin: &Resource, attributes: String, now: i64) -> Counted {
        let durations = match (&self.settings.histogram, of) {
            (Some(histogram), Of::Duration) => Some(Box::new(empty(histogram))),
            _ => None,
        };
        let resource = origin.put_out.clone();
        let start = self.flushed.filter(|_| self.settings.temporality != CUMULATIVE).unwrap_or(now);
        let (count, changed, exemplars) = (0, true, Vec::new());
        Counted { of, resource, attributes, start, seen: now, changed, count, durations, exemplars }
    }

    /// Gives how many points.
    pub fn put_out(&mut self, at: i64, out: &mut Out) -> usize {
        let settings = self.settings.clone();
        let cumulative = settings.temporality == CUMULATIVE;
        let expiration = crate::state::length(settings.series_expiration);
        if expiration > 0 {
            self.series.retain(|counted| counted.changed || at.saturating_sub(counted.seen) < expiration);
        }
        let [calls, duration, events] = ["calls", "duration", "events"].map(|name| match settings.namespace.as_str() {
            "" => name.to_owned(),
            namespace => format!("{namespace}.{name}"),
        });
        let (mut points, mut total) = (PointsBuilder::default(), 0);
        for counted in &mut self.series.states {
            if !cumulative && !counted.changed {
                continue;
            }
            let interval = Interval { start: counted.start.min(at), time: at };
            let mut series = Series {
                resource_attributes: &counted.resource,
                attributes: &counted.attributes,
                scope_name: "spanmetricsconnector",
                ..Series::default()
            };
            let exemplars = std::mem::take(&mut counted.exemplars);
            if let Some(durations) = &counted.durations {
                (series.name, series.unit) = (&duration, if settings.milliseconds { "ms" } else { "s" });
                put_durations(&series, interval, settings.temporality, durations, &exemplars, &mut points);
            } else {
                series.name = if counted.of == Of::Events { &events } else { &calls };
                let value = Number::Int(counted.count as i64);
                points.number(&series, interval, Kind::Sum(settings.temporality, true), value, &exemplars);
            }
            counted.changed = false;
            if points.len() >= BATCH {
                total += push(&mut points, out);
            }
        }
        total += push(&mut points, out);
        if !cumulative {
            // Begun anew: nothing of what was put out is needed any more.
            self.series = SeriesMap::default();
            self.flushed = Some(at);
        }
        total
    }

    pub fn save(&self, out: &mut Writer<'_>) {
        out.bool(self.flushed.is_some());
        self.flushed.iter().for_each(|at| out.i64(*at));
        self.series.save(out, |counted, out| {
            out.u64(counted.of as u64);
            out.text(&counted.resource);
            out.text(&counted.attributes);
            [counted.start, counted.seen].into_iter().for_each(|time| out.i64(time));
            out.bool(counted.changed);
            out.u64(counted.count);
            out.bool(counted.durations.is_some());
            counted.durations.iter().for_each(|durations| durations.save(out));
            out.len(counted.exemplars.len());
            for exemplar in &counted.exemplars {
                out.i64(exemplar.time);
                out.f64(if let Number::Double(double) = exemplar.value { double } else { 0.0 });
                out.bytes(&exemplar.trace_id);
                out.bytes(&exemplar.span_id);
            }
        });
    }

    pub fn restore(&mut self, state: &mut Reader<'_>) -> anyhow::Result<()> {
        self.flushed = if state.bool()? { Some(state.i64()?) } else { None };
        self.series = SeriesMap::restore(state, |state| {
            let of = match state.u64()? {
                0 => Of::Calls,
                1 => Of::Duration,
                _ => Of::Events,
            };
            let (resource, attributes) = (state.text()?.to_owned(), state.text()?.to_owned());
            let (start, seen, changed, count) = (state.i64()?, state.i64()?, state.bool()?, state.u64()?);
            let durations = if state.bool()? { Some(Box::new(Distribution::restore(state)?)) } else { None };
            let exemplar = |state: &mut Reader<'_>| {
                Ok(Exemplar {
                    time: state.i64()?,
                    value: Number::Double(state.f64()?),
                    trace_id: state.bytes()?.try_into()?,
                    span_id: state.bytes()?.try_into()?,
                })
            };
            let exemplars = (0..state.len()?).map(|_| exemplar(state)).collect::<anyhow::Result<_>>()?;
            Ok(Counted { of, resource, attributes, start, seen, changed, count, durations, exemplars })
        })?;
        Ok(())
    }
}

fn push(points: &mut PointsBuilder, out: &mut Out) -> usize {
    if points.is_empty() {
        return 0;
    }
    let n = points.len();
    match points.finish() {
        Ok(batch) => {
            out.push(batch);
            n
        }
        Err(error) => {
            tracing::error!(%error, points = n, "span_metrics: data lost: metrics do not fit into columns");
            0
        }
    }
}

fn put_durations(
    series: &Series<'_>,
    at: Interval,
    temporality: i32,
    durations: &Distribution,
    exemplars: &[Exemplar],
    points: &mut PointsBuilder,
) {
    match durations {
        Distribution::Explicit(hist) => {
            points.histogram(series, at, temporality, hist.stats, (&hist.counts, &hist.bounds), exemplars);
        }
        Distribution::Exponential(exp) => {
            points.exp_histogram(series, at, temporality, exp.stats, &exp.buckets(), exemplars);
        }
    }
}

fn empty(histogram: &Histogram) -> Distribution {
    match histogram {
        Histogram::Explicit(bounds) => {
            Distribution::Explicit(Hist::new(Default::default(), vec![0; bounds.len() + 1], bounds.clone()))
        }
        Histogram::Exponential(_) => Distribution::Exponential(Exp::sketch()),
    }
}

/// A resource of a batch.
#[derive(Clone)]
struct Resource {
    /// What tells it from others.
    id: u64,
    service: String,
    attributes: Attributes,
    /// The attributes that go out.
    put_out: String,
}

impl Resource {
    fn new(settings: &Settings, json: &str) -> Resource {
        let attributes = Attributes::parse(json).unwrap_or_default();
        let text = |key: &str| attributes.get(key).map(|value| value.to_text().into_owned());
        let id = if settings.resource_keys.is_empty() {
            xxh3_64(json.as_bytes())
        } else {
            let parts = settings.resource_keys.iter().map(|key| text(key).unwrap_or_default());
            parts.fold(0, |id, part| xxh3_64_with_seed(part.as_bytes(), id))
        };
        // Without its attributes in what goes out, resources that are counted alike are one series.
        let id = if settings.add_resource { id } else { 0 };
        let put_out = if settings.add_resource { json.to_owned() } else { "{}".to_owned() };
        Resource { id, service: text("service.name").unwrap_or_default(), attributes, put_out }
    }
}

struct Span<'a> {
    name: &'a str,
    kind: i32,
    status: i32,
    attributes: &'a str,
    scope: (&'a str, &'a str),
}

impl Span<'_> {
    fn labels(&self, settings: &Settings, origin: &Resource, more: &[Dimension], event: Option<&str>) -> Attributes {
        let mut labels = Attributes::default();
        let text = |text: &str| Value::String(text.to_owned());
        let word = |prefix: &str, words: &[&str], code: i32| {
            let word = usize::try_from(code).ok().and_then(|code| words.get(code)).copied();
            text(&word.map(|word| format!("{prefix}{word}")).unwrap_or_default())
        };
        for (key, value) in [
            ("service.name", text(&origin.service)),
            ("span.name", text(self.name)),
            ("span.kind", word("SPAN_KIND_", &KINDS, self.kind)),
            ("status.code", word("STATUS_CODE_", &STATUSES, self.status)),
        ] {
            if !settings.exclude.iter().any(|excluded| excluded == key) {
                labels.insert(key, value);
            }
        }
        let (scope, version) = self.scope;
        if !scope.is_empty() && settings.scopes.iter().any(|name| name == scope) {
            labels.insert("span.instrumentation.scope.name", text(scope));
            if !version.is_empty() {
                labels.insert("span.instrumentation.scope.version", text(version));
            }
        }
        if !settings.has_dimensions() {
            return labels;
        }
        let own = Attributes::parse(self.attributes).unwrap_or_default();
        let event = event.and_then(|json| Attributes::parse(json).ok());
        let sets = [event.as_ref(), Some(&own), Some(&origin.attributes)];
        let sets = || sets.into_iter().flatten();
        for dimension in settings.dimensions.iter().chain(more) {
            match dimension {
                Dimension::Named { name, default } => {
                    let found = sets().find_map(|set| set.get(name).cloned());
                    if let Some(value) = found.or_else(|| default.as_deref().map(text)) {
                        labels.insert(name.clone(), value);
                    }
                }
                Dimension::Glob(pattern) => {
                    for (key, value) in sets().flat_map(Attributes::iter).filter(|(key, _)| pattern.is_match(key)) {
                        if labels.get(key).is_none() {
                            labels.insert(key, value.clone());
                        }
                    }
                }
            }
        }
        labels
    }
}

impl Settings {
    /// A number for what each span's attributes mean to dimensions: most differ in what nobody counts by.
    fn picked(&self, sets: Dict<'_>) -> Vec<i32> {
        let dimensions = || self.dimensions.iter().chain(&self.calls_dimensions).chain(&self.duration_dimensions);
        if dimensions().any(|dimension| matches!(dimension, Dimension::Glob(_))) {
            return sets.keys.to_vec();
        }
        let mut numbers: HashMap<Vec<Option<String>>, i32> = HashMap::new();
        let of = |json: &str| {
            let values = dimensions().map(|dimension| match dimension {
                Dimension::Named { name, .. } => attributes::get(json, name).map(|value| value.to_json()),
                Dimension::Glob(_) => None,
            });
            let next = numbers.len() as i32;
            *numbers.entry(values.collect()).or_insert(next)
        };
        sets.each(of).collect()
    }

    fn has_dimensions(&self) -> bool {
        !self.dimensions.is_empty()
            || !self.calls_dimensions.is_empty()
            || !self.duration_dimensions.is_empty()
            || self.event_dimensions.is_some()
    }
}

fn event_attributes(events: &ListArray, row: usize) -> Vec<String> {
    let item = events.value(row);
    let texts = item.as_struct_opt().and_then(|item: &StructArray| {
        let texts = item.column_by_name("attributes")?.as_string_opt::<i32>()?;
        Some((0..texts.len()).map(|event| texts.value(event).to_owned()).collect())
    });
    texts.unwrap_or_default()
}

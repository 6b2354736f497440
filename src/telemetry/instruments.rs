//! What the process says about itself, by name. Names and units follow the semantic conventions: dots, UCUM units,
//! `{item}` being a metric point, log record or span. Each says below what it is.
//!
//! The log's own instruments are beside its code (`catchment.log.*`), as histograms cannot be observed afterwards.
//!
//! Attributes: `component.id` (`otlp/front`) and `component.kind` (`otlp`) on every component's, `pipeline.id` where
//! each pipeline has its own instance, `error.type` where items are refused (`busy`, `rejected`, `invalid`, `too_old`,
//! `too_far_in_future`, `no_time`), `table` on the lake's.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use catchment_pipeline::engine::status::{Exporter, Processor, Receiver, Snapshot};
use catchment_storage::{LakeStats, TableStats};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;

/// Where the figures come from.
#[derive(Clone)]
pub struct Sources {
    pub status: Arc<dyn Fn() -> Snapshot + Send + Sync>,
    pub lake: Option<Arc<dyn Fn() -> LakeStats + Send + Sync>>,
}

/// All instruments of one collection read the same snapshot.
struct Observed {
    sources: Sources,
    latest: Mutex<Option<(Instant, Seen)>>,
}

type Seen = Arc<(Snapshot, LakeStats)>;

/// A collection takes a millisecond; two of them are seconds apart.
const SAME_COLLECTION: Duration = Duration::from_millis(100);

impl Observed {
    fn see(&self) -> Seen {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match latest.as_ref() {
            Some((at, seen)) if at.elapsed() < SAME_COLLECTION => seen.clone(),
            _ => {
                let lake = self.sources.lake.as_ref().map(|lake| lake()).unwrap_or_default();
                let seen = Arc::new(((self.sources.status)(), lake));
                *latest = Some((Instant::now(), seen.clone()));
                seen
            }
        }
    }
}

/// Writes one instrument's points: value, attributes.
type Point = (f64, Vec<KeyValue>);
type Read<T> = fn(&T) -> f64;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// A total that only grows.
    Counter,
    /// A time that only grows, with fractions.
    Time,
    /// A level that adds up over components; a component that is gone is gone from it.
    Level,
    /// A level that does not add up.
    Gauge,
}
use Kind::{Counter, Gauge, Level, Time};

type Row<T> = (&'static str, Kind, &'static str, &'static str, Read<T>);

#[rustfmt::skip]
const RECEIVERS: &[Row<Receiver>] = &[
    ("catchment.receiver.accepted", Counter, "{item}", "Items in the log and acknowledged", |r| r.accepted_items as f64),
];

/// Each reason is a series of its own.
#[rustfmt::skip]
const REFUSED: &Row<(&'static str, u64)> =
    &("catchment.receiver.refused", Counter, "{item}", "Items answered with `later` (busy) or `never` (the other reasons)", |(_, items)| *items as f64);

#[rustfmt::skip]
const PROCESSORS: &[Row<Processor>] = &[
    ("catchment.processor.incoming", Counter, "{item}", "Items that came to the processor", |p| p.incoming_items as f64),
    ("catchment.processor.outgoing", Counter, "{item}", "Items that left the processor", |p| p.outgoing_items as f64),
    ("catchment.processor.refused", Counter, "{item}", "Items the processor turned away", |p| p.refused_items as f64),
];

#[rustfmt::skip]
const EXPORTERS: &[Row<Exporter>] = &[
    ("catchment.exporter.sent", Counter, "{item}", "Items the destination took", |e| e.exported_items as f64),
    ("catchment.exporter.lost", Counter, "{item}", "Items given up on, or rejected by the destination for good", |e| e.lost_items as f64),
    ("catchment.exporter.retries", Counter, "{attempt}", "Attempts that failed and were made again", |e| e.retries as f64),
    ("catchment.exporter.in_flight", Level, "{item}", "Items in attempts under way", |e| e.in_flight_items as f64),
    ("catchment.exporter.in_flight.size", Level, "By", "Bytes in attempts under way", |e| e.in_flight_bytes as f64),
    ("catchment.exporter.backlog", Level, "{item}", "Items in the log that the exporter has not finished", |e| e.backlog.items as f64),
    ("catchment.exporter.backlog.size", Level, "By", "Bytes in the log that the exporter has not finished", |e| e.backlog.bytes as f64),
    ("catchment.exporter.backlog.age", Gauge, "s", "Age of the oldest record the exporter has not finished", |e| e.backlog.oldest_age_seconds),
];

#[rustfmt::skip]
const PROCESS: &[Row<Snapshot>] = &[
    ("catchment.admission.in_use", Level, "By", "Bytes of requests being read, decompressed or decoded", |s| s.memory.admitted_bytes as f64),
    ("catchment.admission.limit", Level, "By", "Bytes of requests that may be in flight", |s| s.memory.admission_limit_bytes as f64),
    ("process.memory.usage", Level, "By", "Resident memory", |s| s.memory.resident_bytes as f64),
    ("process.uptime", Gauge, "s", "Time since the start", |s| s.now_unix_ms.saturating_sub(s.started_unix_ms) as f64 / 1e3),
];

#[rustfmt::skip]
const TABLES: &[Row<TableStats>] = &[
    ("catchment.lake.hot.rows", Level, "{row}", "Rows in memory, not yet in files", |t| t.hot_rows as f64),
    ("catchment.lake.hot.size", Level, "By", "Memory of rows not yet in files", |t| t.hot_bytes as f64),
    ("catchment.lake.files", Level, "{file}", "Live Parquet files", |t| t.files as f64),
    ("catchment.lake.file.rows", Level, "{row}", "Rows in live files", |t| t.file_rows as f64),
    ("catchment.lake.file.size", Level, "By", "Bytes of live files", |t| t.file_bytes as f64),
];

#[rustfmt::skip]
const LAKE: &[Row<LakeStats>] = &[
    ("catchment.lake.flushes", Counter, "{flush}", "Flushes, failed ones included", |l| l.flushes as f64),
    ("catchment.lake.flush.failures", Counter, "{flush}", "Flushes that failed; their rows stay hot and are flushed again", |l| l.flush_failures as f64),
    ("catchment.lake.merges", Counter, "{merge}", "Times that files were merged", |l| l.maintenance.merges as f64),
    ("catchment.lake.rollups", Counter, "{rollup}", "Times that rollups were written", |l| l.maintenance.rollups as f64),
    ("catchment.lake.files.dropped", Counter, "{file}", "Files of days past their retention", |l| l.maintenance.files_dropped as f64),
    ("catchment.lake.rows.dropped", Counter, "{row}", "Rows past their retention, by table or by rule", |l| l.maintenance.rows_dropped as f64),
    ("catchment.lake.files.deleted", Counter, "{file}", "Replaced files that nobody read any more", |l| l.maintenance.files_deleted as f64),
    ("catchment.lake.maintenance.time", Time, "s", "Time spent keeping the lake in order", |l| l.maintenance.time.as_secs_f64()),
    ("catchment.lake.flush.time", Time, "s", "Time spent in flushes", |l| l.flush_time.as_secs_f64()),
    ("catchment.lake.flush.duration", Gauge, "s", "Time of the last flush", |l| l.last_flush_duration.map_or(0.0, |d| d.as_secs_f64())),
    ("catchment.lake.flush.age", Gauge, "s", "Time since the last flush", |l| {
        l.last_flush.and_then(|at| SystemTime::now().duration_since(at).ok()).map_or(0.0, |age| age.as_secs_f64())
    }),
    ("catchment.lake.flush.failing", Level, "{lake}", "1 while the last flush failed", |l| f64::from(u8::from(l.last_flush_error.is_some()))),
];

/// Declares every instrument; they live as long as `meters`.
pub fn register(meters: &SdkMeterProvider, sources: Sources) {
    let meter = meters.meter("catchment");
    let has_lake = sources.lake.is_some();
    let observed = Arc::new(Observed { sources, latest: Mutex::new(None) });
    for row in RECEIVERS {
        let component = |r: &Receiver| component(&r.id, &r.kind);
        add(&meter, &observed, row, move |seen, read| {
            seen.0.receivers.iter().map(|r| (read(r), component(r))).collect()
        });
    }
    add(&meter, &observed, REFUSED, |seen, read| {
        let reasons = |r: &Receiver| {
            let of =
                |reason| component(&r.id, &r.kind).into_iter().chain([KeyValue::new("error.type", reason)]).collect();
            r.refused_by_reason.by_name().map(|one| (read(&one), of(one.0)))
        };
        seen.0.receivers.iter().flat_map(reasons).collect()
    });
    for row in PROCESSORS {
        let attributes = |p: &Processor| {
            let pipeline = KeyValue::new("pipeline.id", p.pipeline.clone());
            component(&p.id, &p.kind).into_iter().chain([pipeline]).collect()
        };
        add(&meter, &observed, row, move |seen, read| {
            seen.0.processors.iter().map(|p| (read(p), attributes(p))).collect()
        });
    }
    for row in EXPORTERS {
        let component = |e: &Exporter| component(&e.id, &e.kind);
        add(&meter, &observed, row, move |seen, read| {
            seen.0.exporters.iter().map(|e| (read(e), component(e))).collect()
        });
    }
    for row in PROCESS {
        add(&meter, &observed, row, |seen, read| vec![(read(&seen.0), Vec::new())]);
    }
    if has_lake {
        for row in TABLES {
            let table = |t: &TableStats| vec![KeyValue::new("table", t.name)];
            add(&meter, &observed, row, move |seen, read| seen.1.tables.iter().map(|t| (read(t), table(t))).collect());
        }
        for row in LAKE {
            add(&meter, &observed, row, |seen, read| vec![(read(&seen.1), Vec::new())]);
        }
    }
    cpu_time(&meter);
}

fn component(id: &str, kind: &str) -> Vec<KeyValue> {
    vec![KeyValue::new("component.id", id.to_owned()), KeyValue::new("component.kind", kind.to_owned())]
}

fn add<T: 'static>(
    meter: &Meter,
    observed: &Arc<Observed>,
    &(name, kind, unit, description, read): &'static Row<T>,
    points: impl Fn(&Seen, Read<T>) -> Vec<Point> + Send + Sync + 'static,
) {
    let observed = observed.clone();
    match kind {
        Counter => {
            let whole = move || points(&observed.see(), read).into_iter();
            let builder = meter.u64_observable_counter(name).with_unit(unit).with_description(description);
            builder.with_callback(move |to| whole().for_each(|(value, of)| to.observe(value as u64, &of))).build();
        }
        Time => {
            let all = move || points(&observed.see(), read).into_iter();
            let builder = meter.f64_observable_counter(name).with_unit(unit).with_description(description);
            builder.with_callback(move |to| all().for_each(|(value, of)| to.observe(value, &of))).build();
        }
        Level => {
            let whole = move || points(&observed.see(), read).into_iter();
            let builder = meter.i64_observable_up_down_counter(name).with_unit(unit).with_description(description);
            builder.with_callback(move |to| whole().for_each(|(value, of)| to.observe(value as i64, &of))).build();
        }
        Gauge => {
            let all = move || points(&observed.see(), read).into_iter();
            let builder = meter.f64_observable_gauge(name).with_unit(unit).with_description(description);
            builder.with_callback(move |to| all().for_each(|(value, of)| to.observe(value, &of))).build();
        }
    }
}

/// `/proc/self/stat`, where there is one.
fn cpu_time(meter: &Meter) {
    meter
        .f64_observable_counter("process.cpu.time")
        .with_unit("s")
        .with_description("CPU time")
        .with_callback(|to| {
            let Ok(stat) = procfs::process::Process::myself().and_then(|me| me.stat()) else { return };
            let ticks = procfs::ticks_per_second() as f64;
            to.observe(stat.utime as f64 / ticks, &[KeyValue::new("cpu.mode", "user")]);
            to.observe(stat.stime as f64 / ticks, &[KeyValue::new("cpu.mode", "system")]);
        })
        .build();
}

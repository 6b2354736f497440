//! What the log did since the process started, as plain counters and as OpenTelemetry instruments.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use opentelemetry::metrics::{Histogram, Meter};

use crate::log::record::Counts;

#[derive(Debug, Default)]
pub struct LogStats {
    pub appended_records: AtomicU64,
    pub appended_items: AtomicU64,
    /// OTLP payload.
    pub appended_bytes: AtomicU64,
    /// Calls of `append` that were refused for now: budget, full disk, failing disk.
    pub refused: AtomicU64,
    pub lost_records: AtomicU64,
    pub lost_items: AtomicU64,
    pub syncs: AtomicU64,
    pub sync_nanos: AtomicU64,
    pub sync_failures: AtomicU64,
    pub cursor_saves: AtomicU64,
    pub cursor_save_failures: AtomicU64,
    /// On disk, or in memory without a disk.
    pub stored_bytes: AtomicU64,
    pub segments: AtomicU64,
}

impl LogStats {
    pub(super) fn appended(&self, counts: Counts) {
        self.appended_records.fetch_add(counts.records, Relaxed);
        self.appended_items.fetch_add(counts.items, Relaxed);
        self.appended_bytes.fetch_add(counts.bytes, Relaxed);
    }

    pub(super) fn lost(&self, counts: Counts) {
        self.lost_records.fetch_add(counts.records, Relaxed);
        self.lost_items.fetch_add(counts.items, Relaxed);
    }
}

/// Histograms cannot be observed afterwards, so they are recorded where things happen.
#[derive(Debug)]
pub(super) struct Instruments {
    sync_seconds: Histogram<f64>,
    group_records: Histogram<u64>,
    group_bytes: Histogram<u64>,
}

impl Instruments {
    pub(super) fn new(stats: &Arc<LogStats>) -> Instruments {
        let meter = opentelemetry::global::meter("catchment.log");
        observe(&meter, stats);
        Instruments {
            sync_seconds: meter
                .f64_histogram("catchment.log.sync.duration")
                .with_unit("s")
                .with_description("Time of one fdatasync of a group of records")
                .with_boundaries(vec![1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0])
                .build(),
            group_records: meter
                .u64_histogram("catchment.log.group.records")
                .with_unit("{record}")
                .with_description("Records made durable by one fdatasync")
                .with_boundaries(vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0])
                .build(),
            group_bytes: meter
                .u64_histogram("catchment.log.group.size")
                .with_unit("By")
                .with_description("Bytes made durable by one fdatasync")
                .with_boundaries((10..27).step_by(2).map(|bits| f64::from(1u32 << bits)).collect())
                .build(),
        }
    }

    pub(super) fn group(&self, records: usize, bytes: u64, sync: Duration) {
        self.sync_seconds.record(sync.as_secs_f64(), &[]);
        self.group_records.record(records as u64, &[]);
        self.group_bytes.record(bytes, &[]);
    }
}

fn observe(meter: &Meter, stats: &Arc<LogStats>) {
    type Field = fn(&LogStats) -> &AtomicU64;
    let counters: [(&'static str, &'static str, &'static str, Field); 9] = [
        ("catchment.log.appended.records", "{record}", "Records acknowledged", |s| &s.appended_records),
        ("catchment.log.appended.items", "{item}", "Points, log records and spans acknowledged", |s| &s.appended_items),
        ("catchment.log.appended.size", "By", "OTLP payload acknowledged", |s| &s.appended_bytes),
        ("catchment.log.refused", "{request}", "Appends refused for now", |s| &s.refused),
        ("catchment.log.lost.records", "{record}", "Records lost to the budget or to corruption", |s| &s.lost_records),
        ("catchment.log.lost.items", "{item}", "Items lost to the budget or to corruption", |s| &s.lost_items),
        ("catchment.log.sync.failures", "{sync}", "Failed writes and fsyncs", |s| &s.sync_failures),
        ("catchment.log.cursor.saves", "{save}", "Cursor files written", |s| &s.cursor_saves),
        ("catchment.log.cursor.save_failures", "{save}", "Cursor files not written", |s| &s.cursor_save_failures),
    ];
    for (name, unit, description, field) in counters {
        let stats = Arc::downgrade(stats);
        let _ = meter
            .u64_observable_counter(name)
            .with_unit(unit)
            .with_description(description)
            .with_callback(move |observer| {
                if let Some(stats) = stats.upgrade() {
                    observer.observe(field(&stats).load(Relaxed), &[]);
                }
            })
            .build();
    }
    let stats = Arc::downgrade(stats);
    let _ = meter
        .u64_observable_gauge("catchment.log.size")
        .with_unit("By")
        .with_description("Bytes the log holds, on disk or in memory")
        .with_callback(move |observer| {
            if let Some(stats) = stats.upgrade() {
                observer.observe(stats.stored_bytes.load(Relaxed), &[]);
            }
        })
        .build();
}

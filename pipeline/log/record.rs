//! What goes in and what comes out.

use std::ops::{AddAssign, SubAssign};
use std::sync::Arc;
use std::time::SystemTime;

use crate::batch::Batch;
use crate::log::Position;

/// The ids of the pipelines a record belongs to, or a cursor reads: sorted, no id twice. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pipelines(Arc<[Box<str>]>);

impl Pipelines {
    pub fn new<I>(ids: I) -> Pipelines
    where
        I: IntoIterator,
        I::Item: Into<Box<str>>,
    {
        let mut ids: Vec<Box<str>> = ids.into_iter().map(Into::into).collect();
        ids.sort_unstable();
        ids.dedup();
        Pipelines(ids.into())
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }

    pub fn contains(&self, id: &str) -> bool {
        self.0.binary_search_by(|own| own.as_ref().cmp(id)).is_ok()
    }

    pub fn overlaps(&self, other: &Pipelines) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.iter().any(|id| other.contains(id))
    }
}

/// Something to append: one batch and the pipelines that shaped it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub pipelines: Pipelines,
    pub batch: Batch,
    /// `None`: it came from outside.
    pub origin: Option<Origin>,
}

impl Entry {
    pub fn new(pipelines: Pipelines, batch: Batch) -> Entry {
        Entry { pipelines, batch, origin: None }
    }
}

/// What a relay made of what it had read. Those that the log holds tell a relay that starts again what it need not put out anew, and
/// when it was told what time it is. Records appended in one go are all there after a crash, or none of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The name of its cursor.
    pub relay: Arc<str>,
    /// The last record it had read.
    pub read: Position,
    /// Its time then, nanoseconds since 1970.
    pub at: u64,
}

/// What a cursor hands on. Near the head of the log the batch is the very handle that was appended, so that
/// exporters share its decoded rows.
#[derive(Clone, Debug)]
pub struct Record {
    pub position: Position,
    pub pipelines: Pipelines,
    /// When the log took it, by the machine's clock.
    pub accepted_at: SystemTime,
    pub batch: Batch,
}

impl Record {
    /// Of the OTLP payload.
    pub fn bytes(&self) -> u64 {
        self.batch.otlp().len() as u64
    }

    pub(super) fn counts(&self) -> Counts {
        Counts::of(self.batch.items() as u64, self.bytes())
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub records: u64,
    /// Metric points, log records or spans.
    pub items: u64,
    /// Of OTLP payload.
    pub bytes: u64,
}

impl Counts {
    /// Of one record. One with no items, which a rewrite leaves, is for nobody.
    pub(super) fn of(items: u64, bytes: u64) -> Counts {
        if items == 0 { Counts::default() } else { Counts { records: 1, items, bytes } }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.records += other.records;
        self.items += other.items;
        self.bytes += other.bytes;
    }
}

impl SubAssign for Counts {
    fn sub_assign(&mut self, other: Counts) {
        self.records = self.records.saturating_sub(other.records);
        self.items = self.items.saturating_sub(other.items);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }
}

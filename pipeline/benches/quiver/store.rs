//! The two contenders behind one face.

use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::array::{Array, BinaryArray, RecordBatch};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::OnFull;
use catchment_pipeline::log::{Cursor, Entry, Log, Options, Pipelines, Start};
use otel_arrow_dfe_quiver::record_bundle::{BundleDescriptor, PayloadRef, RecordBundle, SlotDescriptor, SlotId};
use otel_arrow_dfe_quiver::{DiskBudget, QuiverConfig, QuiverEngine, RetentionPolicy, SubscriberId};

const SLOT: SlotId = SlotId::new(0);

#[derive(Clone)]
pub enum Store {
    Ours(Log, Pipelines),
    Quiver(Arc<QuiverEngine>),
}

pub enum Reader {
    Ours(Cursor),
    Quiver(Arc<QuiverEngine>, SubscriberId),
}

/// How a contender is set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub name: &'static str,
    pub segment_bytes: u64,
    /// quiver only: how long a segment may stay open, which is how long a reader waits for it.
    pub max_open: Duration,
    /// quiver only.
    pub wal_bytes: u64,
}

pub const OURS: Setup = Setup { name: "ours", segment_bytes: 64 << 20, max_open: Duration::ZERO, wal_bytes: 0 };
/// Its defaults, but for the fsync.
pub const QUIVER: Setup =
    Setup { name: "quiver", segment_bytes: 32 << 20, max_open: Duration::from_secs(5), wal_bytes: 64 << 20 };
/// Set to be readable within the 100 ms that we ask for.
pub const QUIVER_50_MS: Setup = Setup { name: "quiver, 50 ms", max_open: Duration::from_millis(50), ..QUIVER };

impl Store {
    pub async fn open(setup: Setup, folder: &Path) -> Result<Store, String> {
        if setup.name.starts_with("ours") {
            let options = Options { max_bytes: 64 << 30, segment_bytes: setup.segment_bytes, ..Options::default() };
            let (log, _) = Log::open(folder, options).unwrap();
            return Ok(Store::Ours(log, Pipelines::new(["metrics"])));
        }
        let mut config = QuiverConfig::default().with_data_dir(folder);
        config.wal.flush_interval = Duration::ZERO;
        config.wal.rotation_target_bytes = NonZeroU64::new(setup.wal_bytes).unwrap();
        config.segment.target_size_bytes = NonZeroU64::new(setup.segment_bytes).unwrap();
        config.segment.max_open_duration = setup.max_open;
        let budget = DiskBudget::for_config(64 << 30, &config, RetentionPolicy::Backpressure).unwrap();
        let engine = QuiverEngine::open(config, Arc::new(budget)).await;
        engine.map(Store::Quiver).map_err(|error| describe(&error))
    }

    pub async fn reader(&self, name: &str) -> Reader {
        match self {
            Store::Ours(log, pipelines) => {
                let cursor = log.cursor(name, pipelines.clone(), OnFull::Block, Start::Oldest).await;
                Reader::Ours(cursor.unwrap())
            }
            Store::Quiver(engine) => {
                let id = SubscriberId::new(name).unwrap();
                engine.register_subscriber(id.clone()).unwrap();
                engine.activate_subscriber(&id).unwrap();
                Reader::Quiver(engine.clone(), id)
            }
        }
    }

    /// Returns when the request is acknowledged.
    pub async fn put(&self, request: Bytes) {
        let batch = Batch::from_otlp(Signal::Metrics, request).unwrap();
        match self {
            Store::Ours(log, pipelines) => {
                log.append(Entry::new(pipelines.clone(), batch)).await.unwrap();
            }
            Store::Quiver(engine) => engine.ingest(&Bundle::new(&batch)).await.unwrap(),
        }
    }

    /// What an embedder does about once a second: progress saved, files that all have read deleted. Ours does it itself.
    pub async fn maintain(&self) {
        if let Store::Quiver(engine) = self {
            engine.maintain().await.unwrap();
        }
    }

    /// Makes everything readable. Ours is already.
    pub async fn flush(&self) -> Result<(), String> {
        match self {
            Store::Ours(..) => Ok(()),
            Store::Quiver(engine) => engine.flush().await.map_err(|error| describe(&error)),
        }
    }
}

impl Reader {
    /// The numbers of the next requests, acknowledged when they are returned; none when nothing came for a second.
    pub async fn next(&mut self) -> Vec<u64> {
        match self {
            Reader::Ours(cursor) => {
                let next = tokio::time::timeout(Duration::from_secs(1), cursor.next(16_384, 4 << 20));
                let records = next.await.unwrap_or_default();
                if let Some(last) = records.last() {
                    cursor.commit(last.position);
                }
                records.iter().map(|record| number(record.batch.otlp())).collect()
            }
            Reader::Quiver(engine, id) => {
                let Some(bundle) = engine.next_bundle(id, Some(Duration::from_secs(1)), None).await.unwrap() else {
                    return Vec::new();
                };
                let payload = bundle.data().payload(SLOT).unwrap();
                let column = payload.column(0).as_any().downcast_ref::<BinaryArray>().unwrap();
                let number = number(column.value(0));
                bundle.ack();
                vec![number]
            }
        }
    }
}

fn describe(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// One request as one value of one column, not copied: how quiver's embedder carries OTLP through.
struct Bundle {
    descriptor: BundleDescriptor,
    batch: RecordBatch,
    items: u64,
}

impl Bundle {
    fn new(batch: &Batch) -> Bundle {
        let bytes = batch.otlp();
        let offsets = OffsetBuffer::from_lengths([bytes.len()]);
        let column = BinaryArray::new(offsets, Buffer::from(bytes.clone()), None);
        let schema = Schema::new(vec![Field::new("otlp", DataType::Binary, false)]);
        Bundle {
            descriptor: BundleDescriptor::new(vec![SlotDescriptor::new(SLOT, "OtlpMetrics")]),
            items: batch.items() as u64,
            batch: RecordBatch::try_new(Arc::new(schema), vec![Arc::new(column)]).unwrap(),
        }
    }
}

impl RecordBundle for Bundle {
    fn descriptor(&self) -> &BundleDescriptor {
        &self.descriptor
    }

    fn ingestion_time(&self) -> SystemTime {
        SystemTime::now()
    }

    fn payload(&self, slot: SlotId) -> Option<PayloadRef<'_>> {
        (slot == SLOT).then_some(PayloadRef { schema_fingerprint: [1; 32], batch: &self.batch })
    }

    fn item_count(&self) -> u64 {
        self.items
    }
}

/// The request with a number at its end: a field that OTLP does not have, which receivers must pass over.
pub fn numbered(request: &Bytes, number: u64) -> Bytes {
    /// Field 1000, eight bytes.
    const KEY: [u8; 2] = [0xc1, 0x3e];
    let mut bytes = Vec::with_capacity(request.len() + 10);
    bytes.extend_from_slice(request);
    bytes.extend_from_slice(&KEY);
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.into()
}

fn number(request: &[u8]) -> u64 {
    u64::from_le_bytes(*request.last_chunk().unwrap())
}

//! The meters of everything that runs, and the [`Status`] that reads them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use tokio::time::Instant;

use super::meters::{LastFailure, Meter, lock, unix_ms};
use super::status::{self, Address, Backlog, Memory, Pipeline, Reload, Snapshot, State};
use crate::batch::times::Outside;
use crate::component::{Admission, MemoryGauge, Tally};

/// A cheap handle on what runs; clones share it. `snapshot` takes microseconds and may be asked at any rate.
#[derive(Clone)]
pub struct Status(Arc<Inner>);

struct Inner {
    started: SystemTime,
    ready: AtomicBool,
    memory: Arc<MemoryGauge>,
    admission: Arc<Admission>,
    graph: Mutex<Meters>,
    log: Mutex<Option<LogReader>>,
    reload: Mutex<Option<Reload>>,
}

type LogReader = Box<dyn Fn() -> status::Log + Send>;

/// The meters of one graph; components kept over a reload keep theirs.
#[derive(Clone, Default)]
pub(super) struct Meters {
    pub pipelines: Vec<Pipeline>,
    pub receivers: BTreeMap<String, Arc<ReceiverMeters>>,
    /// By pipeline, in the order of its processors.
    pub processors: BTreeMap<String, Vec<Arc<ProcessorMeters>>>,
    pub connectors: BTreeMap<String, Arc<ProcessorMeters>>,
    pub exporters: BTreeMap<String, Arc<ExporterMeters>>,
}

#[derive(Default)]
pub(super) struct ReceiverMeters {
    pub kind: String,
    pub state: StateCell,
    pub addresses: Mutex<Vec<Address>>,
    pub accepted: Meter,
    pub refused: Refusals,
    pub failure: LastFailure,
}

/// Items a sender was told are not taken.
#[derive(Default)]
pub(super) struct Refusals {
    pub busy: Meter,
    pub rejected: Meter,
    pub invalid: Meter,
    pub too_old: Meter,
    pub too_far_in_future: Meter,
    pub no_time: Meter,
}

impl Refusals {
    pub fn outside(&self, outside: &Outside) {
        self.too_old.add(outside.too_old);
        self.too_far_in_future.add(outside.too_far_in_future);
        self.no_time.add(outside.no_time);
    }

    fn read(&self) -> status::Refusals {
        status::Refusals {
            busy: self.busy.total(),
            rejected: self.rejected.total(),
            invalid: self.invalid.total(),
            too_old: self.too_old.total(),
            too_far_in_future: self.too_far_in_future.total(),
            no_time: self.no_time.total(),
        }
    }
}

#[derive(Default)]
pub(super) struct ProcessorMeters {
    pub id: String,
    pub kind: String,
    pub incoming: Meter,
    pub outgoing: Meter,
    pub refused: Meter,
    pub tally: Arc<Tally>,
    /// Of a stage that reads the log.
    pub backlog: Mutex<Option<BacklogReader>>,
    pub failure: LastFailure,
}

#[derive(Default)]
pub(super) struct ExporterMeters {
    pub kind: String,
    pub state: StateCell,
    pub exported: Meter,
    pub lost: Meter,
    pub retries: Meter,
    pub in_flight_items: AtomicU64,
    pub in_flight_bytes: AtomicU64,
    pub backlog: Mutex<Option<BacklogReader>>,
    pub failure: LastFailure,
}

pub(super) type BacklogReader = Box<dyn Fn() -> Backlog + Send>;

#[derive(Default)]
pub(super) struct StateCell(Mutex<State>);

impl StateCell {
    pub fn set(&self, state: State) {
        *lock(&self.0) = state;
    }

    pub fn get(&self) -> State {
        *lock(&self.0)
    }
}

impl Status {
    pub fn new(memory: Arc<MemoryGauge>, admission: Arc<Admission>) -> Status {
        Status(Arc::new(Inner {
            started: SystemTime::now(),
            ready: AtomicBool::new(false),
            memory,
            admission,
            graph: Mutex::default(),
            log: Mutex::default(),
            reload: Mutex::default(),
        }))
    }

    /// Takes data: everything has started and shutdown has not begun.
    pub fn ready(&self) -> bool {
        self.0.ready.load(Ordering::Relaxed)
    }

    pub fn snapshot(&self) -> Snapshot {
        let meters = lock(&self.0.graph).clone();
        let wiring = &meters.pipelines;
        Snapshot {
            started_unix_ms: unix_ms(self.0.started),
            now_unix_ms: unix_ms(SystemTime::now()),
            ready: self.ready(),
            memory: Memory {
                resident_bytes: self.0.memory.resident(),
                admitted_bytes: self.0.admission.admitted_bytes(),
                admission_limit_bytes: self.0.admission.limit_bytes(),
            },
            receivers: meters.receivers.iter().map(|(id, meters)| meters.read(id, wiring)).collect(),
            processors: (meters.processors.iter())
                .flat_map(|(pipeline, chain)| chain.iter().map(|meters| meters.read(pipeline)))
                .collect(),
            connectors: meters.connectors.values().map(|meters| meters.connector(wiring)).collect(),
            exporters: meters.exporters.iter().map(|(id, meters)| meters.read(id, wiring)).collect(),
            pipelines: meters.pipelines,
            log: lock(&self.0.log).as_ref().map(|read| read()).unwrap_or_default(),
            reload: lock(&self.0.reload).clone(),
        }
    }

    pub(super) fn set_ready(&self, ready: bool) {
        self.0.ready.store(ready, Ordering::Relaxed);
    }

    pub(super) fn set_graph(&self, meters: Meters) {
        *lock(&self.0.graph) = meters;
    }

    pub(super) fn set_log(&self, read: LogReader) {
        *lock(&self.0.log) = Some(read);
    }

    pub(super) fn set_reload(&self, applied: bool, message: String) {
        *lock(&self.0.reload) = Some(Reload { at_unix_ms: unix_ms(SystemTime::now()), applied, message });
    }

    /// Takes the samples that rates are made of; called once a second.
    pub(super) fn sample(&self, now: Instant) {
        let meters = lock(&self.0.graph).clone();
        meters.receivers.values().for_each(|meters| meters.accepted.sample(now));
        meters.exporters.values().for_each(|meters| meters.exported.sample(now));
    }
}

fn pipelines_with(wiring: &[Pipeline], named: impl Fn(&Pipeline) -> bool) -> Vec<String> {
    wiring.iter().filter(|pipeline| named(pipeline)).map(|pipeline| pipeline.id.clone()).collect()
}

impl ReceiverMeters {
    fn read(&self, id: &str, wiring: &[Pipeline]) -> status::Receiver {
        status::Receiver {
            id: id.to_owned(),
            kind: self.kind.clone(),
            state: self.state.get(),
            pipelines: pipelines_with(wiring, |pipeline| pipeline.receivers.iter().any(|r| r == id)),
            addresses: lock(&self.addresses).clone(),
            accepted_items: self.accepted.total(),
            accepted_per_second: self.accepted.rate(),
            refused_items: self.refused.read().total(),
            refused_by_reason: self.refused.read(),
            last_error: self.failure.get(),
        }
    }
}

impl ProcessorMeters {
    pub fn new(id: &str, kind: &str) -> ProcessorMeters {
        ProcessorMeters { id: id.to_owned(), kind: kind.to_owned(), ..ProcessorMeters::default() }
    }

    /// See [`ExporterMeters::freeze_backlog`].
    pub fn freeze_backlog(&self) {
        freeze(&self.backlog);
    }

    fn read(&self, pipeline: &str) -> status::Processor {
        status::Processor {
            id: self.id.clone(),
            kind: self.kind.clone(),
            pipeline: pipeline.to_owned(),
            incoming_items: self.incoming.total(),
            outgoing_items: self.outgoing.total(),
            refused_items: self.refused.total(),
            taken_out_items: self.tally.taken_out(),
            put_in_items: self.tally.all_put_in(),
            held_items: self.tally.held(),
            backlog: lock(&self.backlog).as_ref().map(|read| read()),
            last_error: self.failure.get(),
        }
    }

    fn connector(&self, wiring: &[Pipeline]) -> status::Connector {
        let id = &self.id;
        status::Connector {
            from: pipelines_with(wiring, |pipeline| pipeline.exporters.contains(id)),
            to: pipelines_with(wiring, |pipeline| pipeline.receivers.contains(id)),
            stage: self.read(""),
        }
    }
}

/// The log forgets what a closed cursor had before it: what is known now stays.
fn freeze(backlog: &Mutex<Option<BacklogReader>>) {
    let mut reader = lock(backlog);
    if let Some(frozen) = reader.as_ref().map(|read| read()) {
        *reader = Some(Box::new(move || frozen.clone()));
    }
}

impl ExporterMeters {
    pub fn backlog(&self) -> Backlog {
        lock(&self.backlog).as_ref().map(|read| read()).unwrap_or_default()
    }

    pub fn freeze_backlog(&self) {
        freeze(&self.backlog);
    }

    fn read(&self, id: &str, wiring: &[Pipeline]) -> status::Exporter {
        status::Exporter {
            id: id.to_owned(),
            kind: self.kind.clone(),
            state: self.state.get(),
            pipelines: pipelines_with(wiring, |pipeline| pipeline.exporters.iter().any(|e| e == id)),
            exported_items: self.exported.total(),
            exported_per_second: self.exported.rate(),
            lost_items: self.lost.total(),
            retries: self.retries.total(),
            in_flight_items: self.in_flight_items.load(Ordering::Relaxed),
            in_flight_bytes: self.in_flight_bytes.load(Ordering::Relaxed),
            backlog: self.backlog(),
            last_error: self.failure.get(),
        }
    }
}

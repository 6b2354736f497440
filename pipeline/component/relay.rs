//! A stage that remembers: what it is given was acknowledged already, so that a crash takes nothing from it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::batch::Batch;

/// Reads the log through a cursor of its own and appends to the log what it makes of it.
///
/// The engine saves its state from time to time. After a crash the stage is restored from what was saved last and given
/// again what followed; what it puts out on the way was appended before, and is dropped. So what it does may depend on what it
/// is given only: its settings, batches, and the times that come with them. Not on a clock, on chance or on the order of a hash map (but for
/// the order of rows within a batch).
pub trait Relay: Send {
    /// `now` is the time at which the batch was logged. It never goes back.
    fn process(&mut self, batch: Batch, now: SystemTime, out: &mut Out);

    /// When [`Relay::tick`] will have something to do; `None` while nothing waits.
    fn due(&self) -> Option<SystemTime> {
        None
    }

    /// Puts out what is due at `now`. Two calls put out together what the second alone would have. After a crash calls that put nothing
    /// out are not made again.
    fn tick(&mut self, _now: SystemTime, _out: &mut Out) {}

    /// It is taken out of the configuration: puts out all that it holds back.
    fn finish(&mut self, _now: SystemTime, _out: &mut Out) {}

    /// Appends to `state` what [`Relay::restore`] needs.
    fn save(&self, _state: &mut Vec<u8>) {}

    /// Called once, before anything else. An error: begun without a state, and the operator is told.
    fn restore(&mut self, _state: &[u8]) -> anyhow::Result<()> {
        Ok(())
    }
}

/// What a [`Relay`] puts out.
#[derive(Debug, Default)]
pub struct Out(Vec<(Batch, Option<Arc<[String]>>)>);

impl Out {
    /// To the next stage; from a connector, to all pipelines that name it as a receiver and carry the signal.
    pub fn push(&mut self, batch: Batch) {
        self.0.push((batch, None));
    }

    /// From a connector, to these pipelines only.
    pub fn push_to(&mut self, pipelines: Arc<[String]>, batch: Batch) {
        self.0.push((batch, Some(pipelines)));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn take(&mut self) -> Vec<(Batch, Option<Arc<[String]>>)> {
        std::mem::take(&mut self.0)
    }
}

/// Items that a stage took out or put in, by reason, so that every item is accounted for:
/// `incoming + put_in == outgoing + taken_out + held`.
#[derive(Debug, Default)]
pub struct Tally {
    taken_out: Reasons,
    put_in: Reasons,
    held: AtomicU64,
    muted: AtomicBool,
}

type Reasons = Mutex<BTreeMap<&'static str, u64>>;

impl Tally {
    /// `reason` in one or two words with underscores: `filtered`, `duplicate`.
    pub fn take_out(&self, reason: &'static str, items: usize) {
        self.add(&self.taken_out, reason, items);
    }

    pub fn put_in(&self, reason: &'static str, items: usize) {
        self.add(&self.put_in, reason, items);
    }

    fn add(&self, reasons: &Reasons, reason: &'static str, items: usize) {
        if items > 0 && !self.muted.load(Relaxed) {
            *reasons.lock().unwrap_or_else(PoisonError::into_inner).entry(reason).or_default() += items as u64;
        }
    }

    /// Items that wait inside the stage now, and will come out as they are.
    pub fn set_held(&self, items: usize) {
        self.held.store(items as u64, Relaxed);
    }

    pub fn held(&self) -> u64 {
        self.held.load(Relaxed)
    }

    pub fn taken_out(&self) -> BTreeMap<&'static str, u64> {
        self.taken_out.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn all_put_in(&self) -> BTreeMap<&'static str, u64> {
        self.put_in.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// While a relay is given again what it had seen before a restart.
    pub(crate) fn mute(&self, muted: bool) {
        self.muted.store(muted, Relaxed);
    }
}

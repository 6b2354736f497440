//! A memory pool for queries that sort.

use std::fmt;
use std::sync::Mutex;

use datafusion::common::resources_datafusion_err;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

use crate::lake::lock;

/// A part of the memory is for what can be spilled, in equal shares; the rest is left to what cannot, above all to merging: sorts that
/// fill all there is, as DataFusion's fair pool lets them, have none left to be merged with. A share that another has overdrawn is
/// given all the same while its owner holds nothing, for then there is nothing it could spill.
#[derive(Debug)]
pub(in crate::sql) struct SortPool {
    bytes: usize,
    held: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    spilling: usize,
    used: usize,
}

impl SortPool {
    /// `held`: of the bytes, those for what can be spilled.
    pub(in crate::sql) fn new(bytes: usize, held: usize) -> SortPool {
        SortPool { bytes, held, state: Mutex::default() }
    }
}

impl fmt::Display for SortPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sort(pool_size: {} MiB)", self.bytes >> 20)
    }
}

impl MemoryPool for SortPool {
    fn name(&self) -> &str {
        "sort"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        lock(&self.state).spilling += usize::from(consumer.can_spill());
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        let mut state = lock(&self.state);
        state.spilling = state.spilling.saturating_sub(usize::from(consumer.can_spill()));
    }

    fn grow(&self, _reservation: &MemoryReservation, additional: usize) {
        lock(&self.state).used += additional;
    }

    fn shrink(&self, _reservation: &MemoryReservation, shrink: usize) {
        let mut state = lock(&self.state);
        state.used = state.used.saturating_sub(shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let mut state = lock(&self.state);
        let free = self.bytes.saturating_sub(state.used);
        let left = match reservation.consumer().can_spill() {
            true => {
                let own = (self.held / state.spilling.max(1)).saturating_sub(reservation.size());
                if reservation.size() == 0 { own } else { own.min(free) }
            }
            false => free,
        };
        if additional > left {
            return Err(resources_datafusion_err!(
                "Failed to allocate {} KiB for {}, which holds {} KiB and can have {} KiB more",
                additional >> 10,
                reservation.consumer().name(),
                reservation.size() >> 10,
                left >> 10
            ));
        }
        state.used += additional;
        Ok(())
    }

    fn reserved(&self) -> usize {
        lock(&self.state).used
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.bytes)
    }
}

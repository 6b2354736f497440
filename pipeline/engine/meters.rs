//! Counters of running components: a relaxed atomic each on the hot path, a rate over the last seconds.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio::time::Instant;

/// Rates are taken over this long.
const WINDOW: Duration = Duration::from_secs(10);

/// A total that only grows, and its rate.
#[derive(Debug, Default)]
pub struct Meter {
    total: AtomicU64,
    samples: Mutex<VecDeque<(Instant, u64)>>,
}

impl Meter {
    pub fn add(&self, n: usize) {
        self.total.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Called about once a second; forgets samples older than the window.
    pub(super) fn sample(&self, now: Instant) {
        let mut samples = lock(&self.samples);
        samples.push_back((now, self.total()));
        while samples.front().is_some_and(|(at, _)| now - *at > WINDOW) {
            samples.pop_front();
        }
    }

    /// Per second, over the window.
    pub fn rate(&self) -> f64 {
        let samples = lock(&self.samples);
        let (Some((from, before)), Some((to, after))) = (samples.front(), samples.back()) else { return 0.0 };
        let seconds = (*to - *from).as_secs_f64();
        if seconds > 0.0 { (after - before) as f64 / seconds } else { 0.0 }
    }
}

/// The last thing that went wrong with a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    pub at_unix_ms: u64,
    pub message: String,
}

#[derive(Debug, Default)]
pub struct LastFailure(Mutex<Option<Failure>>);

impl LastFailure {
    pub fn set(&self, message: impl Into<String>) {
        *lock(&self.0) = Some(Failure { at_unix_ms: unix_ms(SystemTime::now()), message: message.into() });
    }

    pub fn get(&self) -> Option<Failure> {
        lock(&self.0).clone()
    }
}

pub(super) fn unix_ms(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A lock whose holder panicked still guards a value that is whole: every change here is a single assignment.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

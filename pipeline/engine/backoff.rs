//! How long to wait before the next attempt.

use std::time::Duration;

use tokio::time::Instant;

use crate::component::Retry;

/// A destination may ask for patience, but not for ever.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// One batch's retries: exponential, spread at random so that many agents do not return at the same moment.
#[derive(Debug)]
pub(super) struct Backoff {
    retry: Retry,
    began: Instant,
    interval: Duration,
    random: u64,
}

impl Backoff {
    pub fn new(retry: &Retry, began: Instant, seed: u64) -> Backoff {
        Backoff { retry: retry.clone(), began, interval: retry.initial_interval, random: seed }
    }

    /// How long to wait, or `None` to give up. What the destination asked for is waited for at least.
    pub fn next(&mut self, now: Instant, retry_after: Option<Duration>) -> Option<Duration> {
        if !self.retry.enabled {
            return None;
        }
        let spread = self.retry.randomization_factor.clamp(0.0, 1.0);
        let factor = 1.0 - spread + 2.0 * spread * self.fraction();
        let own = self.interval.mul_f64(factor);
        let longest = self.retry.max_interval.max(self.retry.initial_interval);
        self.interval = self.interval.mul_f64(self.retry.multiplier.clamp(1.0, 100.0)).min(longest);
        let wait = own.max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER));
        let limit = self.retry.max_elapsed_time;
        (limit.is_zero() || now + wait <= self.began + limit).then_some(wait)
    }

    /// From 0 to 1: splitmix64, plenty for spreading.
    fn fraction(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn fixed(max_elapsed_time: Duration) -> Retry {
        Retry { randomization_factor: 0.0, max_elapsed_time, ..Retry::default() }
    }

    #[test]
    fn grows_to_its_maximum() {
        let now = Instant::now();
        let mut backoff = Backoff::new(&fixed(Duration::ZERO), now, 1);
        let waits: Vec<_> = (0..7).filter_map(|_| backoff.next(now, None)).map(|wait| wait.as_secs_f64()).collect();
        assert_eq!(waits, [5.0, 7.5, 11.25, 16.875, 25.3125, 30.0, 30.0]);
    }

    #[test]
    fn spreads_within_its_factor() {
        let now = Instant::now();
        let waits: Vec<_> =
            (0..1000).filter_map(|seed| Backoff::new(&Retry::default(), now, seed).next(now, None)).collect();
        assert!(waits.iter().all(|wait| (S.mul_f64(2.5)..=S.mul_f64(7.5)).contains(wait)));
        assert!(waits.iter().any(|wait| *wait < S * 3) && waits.iter().any(|wait| *wait > S * 7));
    }

    #[test]
    fn waits_as_long_as_the_destination_asks() {
        let now = Instant::now();
        let mut backoff = Backoff::new(&fixed(Duration::ZERO), now, 1);
        assert_eq!(backoff.next(now, Some(S * 60)), Some(S * 60));
        assert_eq!(backoff.next(now, Some(S)), Some(S.mul_f64(7.5)));
        assert_eq!(backoff.next(now, Some(S * 86_400)), Some(LONGEST_RETRY_AFTER));
    }

    #[test]
    fn gives_up_after_max_elapsed_time_or_at_once_when_disabled() {
        let now = Instant::now();
        let mut backoff = Backoff::new(&fixed(S * 60), now, 1);
        assert_eq!(backoff.next(now + S * 50, None), Some(S * 5));
        assert_eq!(backoff.next(now + S * 55, None), None);
        assert_eq!(Backoff::new(&Retry { enabled: false, ..fixed(S) }, now, 1).next(now, None), None);
    }
}

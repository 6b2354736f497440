//! How fast a destination may be told: what it said of its limits, and what is known of them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use catchment_pipeline::component::ExportError;
use tokio::time::Instant;

/// A wait this short is part of an attempt; a longer one ends it.
const WITHIN_AN_ATTEMPT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Pace {
    /// Between two messages.
    gap: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    pub fn new(gap: Duration) -> Pace {
        Pace { gap, next: Mutex::default() }
    }

    /// Returns when a message may go out, and takes that turn.
    pub async fn turn(&self) -> Result<(), ExportError> {
        let at = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let at = next.unwrap_or(now).max(now);
            if at - now > WITHIN_AN_ATTEMPT {
                let reason = "the destination asked to wait".to_owned();
                return Err(ExportError::Transient { retry_after: Some(at - now), reason });
            }
            *next = Some(at + self.gap);
            at
        };
        tokio::time::sleep_until(at).await;
        Ok(())
    }

    /// The destination asks for that much patience.
    pub fn hold(&self, wait: Duration) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let until = Instant::now() + wait.min(Duration::from_secs(3_600));
        *next = Some(next.map_or(until, |next| next.max(until)));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn messages_keep_their_distance() {
        let (pace, began) = (Pace::new(Duration::from_secs(1)), Instant::now());
        for second in 0..3 {
            pace.turn().await.unwrap();
            assert_eq!(began.elapsed().as_secs(), second);
        }
        pace.hold(Duration::from_secs(60));
        let wait = Duration::from_secs(60);
        assert!(matches!(pace.turn().await, Err(ExportError::Transient { retry_after: Some(w), .. }) if w == wait));
        tokio::time::advance(wait).await;
        pace.turn().await.unwrap();
    }
}

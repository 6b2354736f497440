//! What may happen a thousand times a second is said once in a while, with how often it happened.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub struct Occasionally {
    every: Duration,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    last: Option<Instant>,
    since: u64,
}

impl Occasionally {
    pub fn new(every: Duration) -> Occasionally {
        Occasionally { every, said: Mutex::default() }
    }

    /// Counts one more; how many to speak of, when it is time to.
    pub fn due(&self, now: Instant) -> Option<u64> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.since += 1;
        if said.last.is_some_and(|last| now.duration_since(last) < self.every) {
            return None;
        }
        said.last = Some(now);
        Some(std::mem::take(&mut said.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn said_once_in_a_while_with_what_was_not_said() {
        let every = Duration::from_secs(30);
        let occasionally = Occasionally::new(every);
        let start = Instant::now();
        assert_eq!(occasionally.due(start), Some(1));
        assert_eq!(occasionally.due(start), None);
        assert_eq!(occasionally.due(start + every / 2), None);
        assert_eq!(occasionally.due(start + every), Some(3));
    }
}

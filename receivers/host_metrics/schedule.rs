//! When to scrape what: ticks lie on whole multiples of a scraper's interval since the Unix epoch, so that the
//! scrapers due at one tick (and other hosts' too) share its timestamp.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Clone, Debug)]
pub struct Schedule {
    intervals: Vec<Duration>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Tick {
    pub time: SystemTime,
    /// Indices of the scrapers that are due.
    pub due: Vec<usize>,
}

impl Schedule {
    /// Intervals are not zero; there is at least one.
    pub fn new(intervals: Vec<Duration>) -> Schedule {
        Schedule { intervals }
    }

    pub fn shortest(&self) -> Duration {
        self.intervals.iter().min().copied().unwrap_or(Duration::MAX)
    }

    /// The first scrape does not wait for a tick: everything is due now, at the last whole second.
    pub fn first(&self, now: SystemTime) -> Tick {
        Tick { time: floor(now, Duration::from_secs(1)), due: (0..self.intervals.len()).collect() }
    }

    /// The first tick after `now`.
    pub fn next(&self, now: SystemTime) -> Tick {
        let next = |interval: &Duration| floor(now, *interval) + *interval;
        let time = self.intervals.iter().map(next).min().unwrap_or(now);
        let due = (0..self.intervals.len()).filter(|index| next(&self.intervals[*index]) == time).collect();
        Tick { time, due }
    }
}

fn floor(time: SystemTime, step: Duration) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let past = since.as_nanos() % step.as_nanos().max(1);
    // What remains of a division by a `Duration` fits into one.
    time - Duration::new((past / 1_000_000_000) as u64, (past % 1_000_000_000) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_lie_on_multiples_and_scrapers_share_them() {
        let seconds = |s| UNIX_EPOCH + Duration::from_secs(s);
        let schedule = Schedule::new(vec![Duration::from_secs(10), Duration::from_secs(60)]);
        let check = |now, time, due: &[usize]| assert_eq!(schedule.next(now), Tick { time, due: due.to_vec() });
        check(seconds(1_200), seconds(1_210), &[0]);
        check(seconds(1_209) + Duration::from_millis(999), seconds(1_210), &[0]);
        check(seconds(1_251), seconds(1_260), &[0, 1]);
        check(seconds(1_260), seconds(1_270), &[0]);
        assert_eq!(schedule.first(seconds(7) + Duration::from_millis(300)), Tick { time: seconds(7), due: vec![0, 1] });
        assert_eq!(schedule.shortest(), Duration::from_secs(10));
    }
}

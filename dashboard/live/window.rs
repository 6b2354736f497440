//! Which time a subscription is about, and how fine: ranges, the ladder of steps, and buckets.
//!
//! Times are milliseconds since 1970 in UTC. A bucket is `[n * step, (n + 1) * step)`, as `date_bin` counts from 1970: equal
//! steps have equal buckets whatever the range. A relative range is made of whole buckets, from the one that holds
//! its beginning to the one that holds now, so that no bucket at its edge is half filled, and a host whose clock is
//! a little ahead is seen.

use std::time::Duration;

use chrono::DateTime;
use serde::Deserialize;

use crate::problem::Problem;

/// CSS pixels.
const MIN_WIDTH: f64 = 100.0;
const MAX_WIDTH: f64 = 4000.0;
const DEFAULT_WIDTH: f64 = 800.0;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

#[rustfmt::skip]
const LADDER: [i64; 22] = [
    SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 15 * SECOND, 30 * SECOND,
    MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
    HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR,
    DAY, 2 * DAY, 7 * DAY, 30 * DAY, 365 * DAY,
];
/// Enough for every retention, and far from every overflow.
const LONGEST: i64 = 100 * 365 * DAY;
/// The years 1970 to 9999.
const LAST_TIME: i64 = 253_402_300_800_000;

/// As clients write it: `{"last": "15m"}`, or `{"from": "...", "to": "..."}` in RFC 3339.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum RangeSpec {
    Last(Last),
    Fixed(Fixed),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Last {
    last: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixed {
    from: String,
    to: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Range {
    /// Ends now, whenever that is.
    Last(i64),
    Fixed {
        from: i64,
        to: i64,
    },
}

/// `[from, to)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub from: i64,
    pub to: i64,
}

impl Range {
    pub fn parse(spec: &RangeSpec) -> Result<Range, Problem> {
        match spec {
            RangeSpec::Last(Last { last }) => {
                let length = millis(duration("range.last", last)?);
                if !(SECOND..=LONGEST).contains(&length) {
                    return Err(Problem::bad_request(format!("`range.last`: {last} is not between 1s and 100 years")));
                }
                Ok(Range::Last(length))
            }
            RangeSpec::Fixed(Fixed { from, to }) => {
                let (from, to) = (time("range.from", from)?, time("range.to", to)?);
                if from >= to {
                    return Err(Problem::bad_request("`range.from` is not before `range.to`"));
                }
                Ok(Range::Fixed { from, to })
            }
        }
    }

    pub fn length(self) -> i64 {
        match self {
            Range::Last(length) => length,
            Range::Fixed { from, to } => to - from,
        }
    }

    pub fn is_relative(self) -> bool {
        matches!(self, Range::Last(_))
    }

    pub fn at(self, now: i64, step: i64) -> Window {
        match self {
            Range::Last(length) => Window { from: floor(now - length, step), to: floor(now, step) + step },
            Range::Fixed { from, to } => Window { from: floor(from, step), to },
        }
    }
}

/// The beginning of the bucket that holds `time`.
pub fn floor(time: i64, step: i64) -> i64 {
    time - time.rem_euclid(step)
}

/// The smallest step of the ladder that gives at most one bucket a pixel, and is not below `min`.
pub fn step(range: Range, width: Option<f64>, min: i64) -> i64 {
    // A NaN of a width is as good as none.
    let width = width.filter(|width| width.is_finite()).unwrap_or(DEFAULT_WIDTH).clamp(MIN_WIDTH, MAX_WIDTH);
    let fits = |step: &i64| *step >= min && range.length() as f64 <= width * *step as f64;
    let longest = LADDER[LADDER.len() - 1];
    LADDER.into_iter().find(fits).unwrap_or_else(|| longest.max(floor(min + SECOND - 1, SECOND)))
}

/// `10s`, `1m 30s`, `7d`.
pub fn duration(what: &str, text: &str) -> Result<Duration, Problem> {
    let parsed = humantime::parse_duration(text).ok().filter(|time| time.as_millis() <= LONGEST as u128);
    parsed.ok_or_else(|| {
        Problem::bad_request(format!("`{what}`: \"{text}\" is not a duration: write e.g. 10s, 15m, 1h 30m, 7d"))
    })
}

pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn time(what: &str, text: &str) -> Result<i64, Problem> {
    let parsed = DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis());
    parsed.filter(|time| (0..LAST_TIME).contains(time)).ok_or_else(|| {
        let message = format!("`{what}`: \"{text}\" is not a time: write RFC 3339, e.g. 2026-01-31T12:00:00Z");
        Problem::bad_request(message)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parse(spec: serde_json::Value) -> Result<Range, Problem> {
        Range::parse(&serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn ranges_as_clients_write_them() {
        assert_eq!(parse(json!({"last": "15m"})), Ok(Range::Last(900_000)));
        assert_eq!(parse(json!({"last": "7d"})), Ok(Range::Last(7 * DAY)));
        let fixed = json!({"from": "2026-01-31T12:00:00.5Z", "to": "2026-01-31T14:00:01+01:00"});
        let noon = 1_769_860_800_000;
        assert_eq!(parse(fixed), Ok(Range::Fixed { from: noon + 500, to: noon + HOUR + SECOND }));
        for wrong in [
            json!({"last": "0s"}),
            json!({"last": "-1m"}),
            json!({"last": "200y"}),
            json!({"last": "now"}),
            json!({"from": "2026-01-31", "to": "2026-02-01T00:00:00Z"}),
            json!({"from": "2026-02-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}),
            json!({"from": "1969-02-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}),
        ] {
            assert_eq!(parse(wrong.clone()).map_err(|problem| problem.kind), Err("bad_request"), "{wrong}");
        }
        assert!(serde_json::from_value::<RangeSpec>(json!({"last": "1m", "from": "x"})).is_err());
    }

    #[test]
    fn the_smallest_step_that_gives_each_bucket_a_pixel() {
        let check = |last: i64, width: f64, min: i64, expect: i64| {
            assert_eq!(step(Range::Last(last), Some(width), min), expect, "{last} ms over {width} px, at least {min}");
        };
        check(15 * MINUTE, 800.0, 0, 2 * SECOND);
        check(15 * MINUTE, 900.0, 0, SECOND);
        check(15 * MINUTE, 899.9, 0, 2 * SECOND);
        check(15 * MINUTE, 800.0, 10 * SECOND, 10 * SECOND);
        check(15 * MINUTE, 800.0, 11 * SECOND, 15 * SECOND);
        check(6 * HOUR, 800.0, 0, 30 * SECOND);
        check(30 * DAY, 800.0, 0, HOUR);
        check(15 * MINUTE, 1.0, 0, 10 * SECOND);
        check(MINUTE, 1e9, 0, SECOND);
        check(LONGEST, 100.0, 0, 365 * DAY);
        check(MINUTE, 800.0, 400 * DAY + 1, 400 * DAY + SECOND);
        assert_eq!(step(Range::Last(15 * MINUTE), Some(f64::NAN), 0), step(Range::Last(15 * MINUTE), None, 0));
    }

    #[test]
    fn windows_are_whole_buckets() {
        let window = Range::Last(MINUTE).at(1_000_009, 10_000);
        assert_eq!(window, Window { from: 940_000, to: 1_010_000 });
        let fixed = Range::Fixed { from: 15_001, to: 25_001 };
        assert_eq!(fixed.at(0, 10_000), Window { from: 10_000, to: 25_001 });
        assert_eq!(floor(-1, 1000), -1000);
    }

    proptest! {
        #[test]
        fn a_bucket_has_at_least_a_pixel(last in SECOND..LONGEST, width in 0.0..1e5f64, min in 0..DAY) {
            let step = step(Range::Last(last), Some(width), min);
            prop_assert!(step >= min);
            prop_assert!(last as f64 / step as f64 <= width.clamp(MIN_WIDTH, MAX_WIDTH) || step == 365 * DAY);
        }
    }
}

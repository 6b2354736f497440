//! `time_intervals`: times of day, days and months that routes name, in the zone of a place.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use catchment_pipeline::config::Section;
use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use chrono_tz::Tz;

/// All that is given must hold; of the ranges of one key, one.
#[derive(Clone, Debug, Default)]
pub struct Interval {
    /// Minutes of the day, the last excluded.
    pub(super) times: Vec<(u32, u32)>,
    /// Sunday is 0.
    pub(super) weekdays: Vec<RangeInclusive<i32>>,
    /// Negative: from the end of the month.
    pub(super) days_of_month: Vec<RangeInclusive<i32>>,
    pub(super) months: Vec<RangeInclusive<i32>>,
    pub(super) years: Vec<RangeInclusive<i32>>,
    pub(super) zone: Tz,
}

pub(super) const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

impl Interval {
    /// `at` in nanoseconds since 1970.
    pub fn contains(&self, at: i64) -> bool {
        let at = DateTime::<Utc>::from_timestamp_nanos(at).with_timezone(&self.zone);
        let minute = at.hour() * 60 + at.minute();
        let within = |ranges: &[RangeInclusive<i32>], value: i32| {
            ranges.is_empty() || ranges.iter().any(|range| range.contains(&value))
        };
        let days = i32::from(at.num_days_in_month());
        let day = at.day() as i32;
        (self.times.is_empty() || self.times.iter().any(|(from, to)| (*from..*to).contains(&minute)))
            && within(&self.weekdays, at.weekday().num_days_from_sunday() as i32)
            && within(&self.months, at.month() as i32)
            && within(&self.years, at.year())
            && (self.days_of_month.is_empty() || self.days_of_month.iter().any(|range| day_within(range, day, days)))
    }
}

fn day_within(range: &RangeInclusive<i32>, day: i32, days: i32) -> bool {
    let from_start = |day: i32| if day < 0 { days + day + 1 } else { day };
    (from_start(*range.start()).max(1)..=from_start(*range.end())).contains(&day)
}

pub fn read_all(section: &mut Section) -> BTreeMap<String, Vec<Interval>> {
    let mut all = BTreeMap::new();
    for key in ["time_intervals", "mute_time_intervals"] {
        for mut item in section.list(key) {
            let Some(name) = item.required::<String>("name") else { continue };
            let intervals = item.list("time_intervals").into_iter().map(read).collect();
            if all.insert(name.clone(), intervals).is_some() {
                item.mistake(
                    "name",
                    format!("there are two time intervals called \"{name}\""),
                    "give one of them another name",
                );
            }
        }
    }
    all
}

fn read(mut section: Section) -> Interval {
    let times = section.list("times").into_iter().filter_map(times).collect();
    let weekdays = ranges(&mut section, "weekdays", "monday:friday", |text| place(&WEEKDAYS, text));
    let days_of_month = ranges(&mut section, "days_of_month", "1:7, or -3:-1 for the last three", day_of_month);
    let month = |text: &str| place(&MONTHS, text).map(|month| month + 1).or_else(|| number(text, 1, 12));
    let months = ranges(&mut section, "months", "may:august, or 1:3", month);
    let years = ranges(&mut section, "years", "2026:2028", |text| number(text, 0, 9999));
    let zone = section.get::<String>("location").map(|name| {
        // What Go calls the zone of the machine is not to be had where nothing may be asked of the machine.
        name.parse::<Tz>().unwrap_or_else(|_| {
            let mend = "write a name of the IANA database: Europe/Berlin, America/New_York, UTC";
            section.mistake("location", format!("there is no time zone called \"{name}\""), mend);
            Tz::UTC
        })
    });
    for range in &days_of_month {
        let (from, to) = (*range.start(), *range.end());
        if from < 0 && to > 0 || from.signum() == to.signum() && from > to {
            section.mistake("days_of_month", format!("{from}:{to} ends before it starts"), "write 1:7, or -3:-1");
        }
    }
    Interval { times, weekdays, days_of_month, months, years, zone: zone.unwrap_or(Tz::UTC) }
}

fn times(mut section: Section) -> Option<(u32, u32)> {
    let mut minute = |key: &str| {
        let text = section.required::<String>(key)?;
        let parsed = text.split_once(':').and_then(|(hour, minute)| {
            let of =
                |text: &str, most: u32| text.parse::<u32>().ok().filter(|number| text.len() == 2 && *number <= most);
            Some(of(hour, 24)? * 60 + of(minute, 59)?).filter(|minute| *minute <= 24 * 60)
        });
        if parsed.is_none() {
            section.mistake(
                key,
                format!("\"{text}\" is not a time of day"),
                "write hours and minutes: 09:00, up to 24:00",
            );
        }
        parsed
    };
    let (from, to) = (minute("start_time"), minute("end_time"));
    let (from, to) = (from?, to?);
    if from >= to {
        let mend = "for a night that goes past midnight write two: from 22:00 to 24:00, and from 00:00 to 06:00";
        section.mistake("end_time", "the time ends before it starts", mend);
    }
    Some((from, to))
}

/// `a` or `a:b`, b included.
fn ranges(
    section: &mut Section,
    key: &str,
    example: &str,
    read: impl Fn(&str) -> Option<i32>,
) -> Vec<RangeInclusive<i32>> {
    let mut all = Vec::new();
    for text in section.get::<Vec<String>>(key).unwrap_or_default() {
        let lower = text.to_ascii_lowercase();
        let (from, to) = lower.split_once(':').unwrap_or((&lower, &lower));
        match (read(from.trim()), read(to.trim())) {
            (Some(from), Some(to)) if from <= to || key == "days_of_month" => all.push(from..=to),
            (Some(_), Some(_)) => {
                section.mistake(key, format!("\"{text}\" ends before it starts"), format!("write {example}"))
            }
            _ => section.mistake(key, format!("\"{text}\" is not understood"), format!("write {example}")),
        }
    }
    all
}

fn place(names: &[&str], text: &str) -> Option<i32> {
    names.iter().position(|name| *name == text).and_then(|place| i32::try_from(place).ok())
}

fn number(text: &str, least: i32, most: i32) -> Option<i32> {
    text.parse().ok().filter(|number| (least..=most).contains(number))
}

fn day_of_month(text: &str) -> Option<i32> {
    number(text, -31, 31).filter(|day| *day != 0)
}

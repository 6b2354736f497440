//! Parquet files of a table: sorted rows in, a file and its Delta `add` action out.

mod order;
mod reader;
mod shape;
mod statistics;
mod target;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use chrono::{DateTime, NaiveDate};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::changes::Span;
use crate::convert::of_day;
use crate::disk::Disk;
use crate::gather::Gather;
use crate::hot::Chunk;
use crate::schema::{LakeTable, Step};

pub(crate) use order::{Key, sorted};
pub(crate) use reader::FileRows;
pub use shape::Shape;
pub(crate) use target::{Output, Target};
use writer::FileWriter;

/// Keys of an `add` action's `tags`, whose values are [`Ranges`].
const COVERS: &str = "catchment.covers";
const LATE: &str = "catchment.late";
const INCREASES: &str = "catchment.increases";
/// Ids of rules, as a JSON list.
const ASKED: &str = "catchment.asked";
/// Set on files that have their final shape.
const MERGED: &str = "catchment.merged";

/// Microseconds, from each start up to before its end.
pub(crate) type Ranges = Vec<Range<i64>>;

/// A live file, as scans and pruning need it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FileEntry {
    /// Relative to the table's folder.
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) rows: u64,
    /// Days since 1970.
    pub(crate) date: i32,
    /// Microseconds.
    pub(crate) ts: Option<(i64, i64)>,
    /// Smallest and largest value of string columns.
    pub(crate) strings: BTreeMap<String, (String, String)>,
    /// And of integer columns.
    pub(crate) integers: BTreeMap<String, (i64, i64)>,
    pub(crate) tags: Tags,
    /// Shared by all that were made of this file, under whatever tags: who has one may read it.
    pub(crate) held: Arc<()>,
}

/// What a file says of itself in its `add` action.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tags {
    /// Of a rollup's file: every row that its table had in these times, when the file was written, is in it.
    pub(crate) covers: Ranges,
    /// And what points added is in it by today's rule, `rollup::LOOK_BACK`; files of before have another.
    pub(crate) increases: bool,
    /// Of a raw file: times that a rollup covered already when these rows came.
    pub(crate) late: Ranges,
    /// Rules of retention that were asked of its rows: none is left that they hold of.
    pub(crate) asked: BTreeSet<String>,
    /// Nothing is left to gain by merging it with others.
    pub(crate) merged: bool,
}

impl Tags {
    fn from_add(add: &Value) -> Tags {
        let tags = &add["tags"];
        let ranges = |key: &str| {
            let pairs = tags[key].as_str().and_then(|text| serde_json::from_str::<Vec<(i64, i64)>>(text).ok());
            pairs.into_iter().flatten().map(|(from, to)| from..to).collect()
        };
        let asked = tags[ASKED].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let is_set = |key: &str| tags[key].is_string();
        Tags { covers: ranges(COVERS), increases: is_set(INCREASES), late: ranges(LATE), asked, merged: is_set(MERGED) }
    }

    /// Of a file with the rows of all these.
    pub(crate) fn of_all(files: &[Arc<FileEntry>], merged: bool) -> Tags {
        let all = |ranges: fn(&Tags) -> &Ranges| union(files.iter().flat_map(|file| ranges(&file.tags)).cloned());
        let asked = files.iter().map(|file| file.tags.asked.clone()).reduce(|all, asked| &all & &asked);
        let asked = asked.unwrap_or_default();
        let increases = files.iter().all(|file| file.tags.increases);
        Tags { covers: all(|tags| &tags.covers), increases, late: all(|tags| &tags.late), asked, merged }
    }

    fn json(&self) -> Value {
        let mut tags = Map::new();
        for (key, ranges) in [(COVERS, &self.covers), (LATE, &self.late)] {
            if !ranges.is_empty() {
                let pairs = ranges.iter().map(|range| (range.start, range.end)).collect::<Vec<_>>();
                tags.insert(key.to_owned(), json!(pairs).to_string().into());
            }
        }
        if !self.asked.is_empty() {
            tags.insert(ASKED.to_owned(), json!(self.asked).to_string().into());
        }
        if self.increases {
            tags.insert(INCREASES.to_owned(), "1h".into());
        }
        if self.merged {
            tags.insert(MERGED.to_owned(), "true".into());
        }
        Value::Object(tags)
    }

    /// `add` with these tags in place of its own.
    pub(crate) fn put(&self, add: &mut Value) {
        add["tags"] = self.json();
    }
}

/// Sorted and disjoint; what touches is one.
pub(crate) fn union(ranges: impl Iterator<Item = Range<i64>>) -> Ranges {
    let mut all = ranges.filter(|range| !range.is_empty()).collect::<Vec<_>>();
    all.sort_by_key(|range| range.start);
    let mut joined = Ranges::new();
    for range in all {
        match joined.last_mut() {
            Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// Text in statistics, but no strings.
const TIMES: [&str; 2] = ["ts", "start_ts"];

impl FileEntry {
    /// Smallest and largest `ts` of its rows. A file by a writer that keeps no statistics still is of its date.
    pub(crate) fn span(&self) -> Span {
        let (first, last) = self.ts.unwrap_or_else(|| of_day(self.date));
        Span { first, last }
    }

    /// From a Delta `add` action, by whomever it was written.
    pub(crate) fn from_add(add: &Value) -> anyhow::Result<FileEntry> {
        let path = add["path"].as_str().context("no `path`")?;
        let stats = add["stats"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok()).unwrap_or_default();
        let date = add["partitionValues"]["date"].as_str().context("no partition value of `date`")?;
        let date = date.parse::<NaiveDate>().with_context(|| format!("`{date}` is not a date"))?;
        let time = |bound: &str| DateTime::parse_from_rfc3339(stats[bound]["ts"].as_str()?).ok();
        // Other writers cut times to milliseconds.
        let ts = time("minValues").zip(time("maxValues"));
        let ts = ts.map(|(min, max)| (min.timestamp_micros() - 999, max.timestamp_micros() + 999));
        let (mut strings, mut integers) = (BTreeMap::new(), BTreeMap::new());
        for (column, min) in stats["minValues"].as_object().into_iter().flatten() {
            let max = &stats["maxValues"][column];
            if TIMES.contains(&column.as_str()) {
                continue;
            } else if let (Some(min), Some(max)) = (min.as_str(), max.as_str()) {
                strings.insert(column.clone(), (min.to_owned(), max.to_owned()));
            } else if let (Some(min), Some(max)) = (min.as_i64(), max.as_i64()) {
                integers.insert(column.clone(), (min, max));
            }
        }
        Ok(FileEntry {
            path: percent_decode(path),
            size: add["size"].as_u64().context("no `size`")?,
            rows: stats["numRecords"].as_u64().unwrap_or(0),
            date: date.signed_duration_since(NaiveDate::default()).num_days() as i32,
            ts,
            strings,
            integers,
            tags: Tags::from_add(add),
            held: Arc::default(),
        })
    }
}

/// Paths in actions are URL-encoded.
pub(crate) fn percent_decode(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = (*first == b'%').then(|| tail.get(..2)).flatten();
        match code.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()) {
            Some(byte) => (bytes.push(byte), rest = &tail[2..]).1,
            None => (bytes.push(*first), rest = tail).1,
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| path.to_owned())
}

/// A file that is written and on disk, but not in its place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Staged {
    /// Name in the lake's `tmp` folder.
    pub(crate) aside: String,
    /// Body of the Delta `add` action; its `path` is where the file belongs.
    pub(crate) add: Value,
}

impl Staged {
    pub(crate) fn bytes(&self) -> u64 {
        self.add["size"].as_u64().unwrap_or(0)
    }
}

/// Writes the chunks' rows, sorted, as one file per date into `aside`; each is fsynced, the folder is not. `rolled_up`: times of a date that a
/// rollup covers.
pub(crate) fn write(
    disk: &Arc<dyn Disk>,
    table: LakeTable,
    chunks: &[Arc<Chunk>],
    rolled_up: &dyn Fn(i32) -> Ranges,
    aside: &Path,
) -> anyhow::Result<Vec<Staged>> {
    let chunks = chunks.iter().map(|chunk| &chunk.rows).collect::<Vec<_>>();
    let gather = Gather::new(&chunks, table.identity()).context("no rows to write")?;
    let order = sorted(&gather, &chunks, table.identity())?;
    let mut staged = Vec::new();
    for rows in order.chunk_by(|a, b| a.date() == b.date()) {
        let date = rows[0].date();
        let mut target = Target {
            disk,
            table,
            schema: gather.schema(),
            aside,
            date,
            rows: rows.len(),
            shape: Shape::FRESH,
            bytes: u64::MAX,
            tags: Tags { late: late(rows, &rolled_up(date)), ..Tags::default() },
            new: true,
            output: Output::default(),
        };
        target.write_sorted(&gather, rows)?;
        staged.append(&mut target.end()?);
    }
    Ok(staged)
}

/// Hours in which some of these rows are and that a rollup covers.
fn late(rows: &[Key], rolled_up: &[Range<i64>]) -> Ranges {
    const HOUR: i64 = Step::Hour.micros();
    let Some(end) = rolled_up.iter().map(|range| range.end).max() else { return Ranges::new() };
    let late = rows.iter().map(Key::ts).filter(|ts| *ts < end && rolled_up.iter().any(|range| range.contains(ts)));
    let hours = late.map(|ts| ts.div_euclid(HOUR)).collect::<BTreeSet<_>>();
    union(hours.into_iter().map(|hour| hour * HOUR..(hour + 1) * HOUR))
}

//! The lake on a simulated disk: log, flush, commit, merge, rollup, retention by table and by rule, erasure, vacuum, crash, again. Whatever
//! happens, a lake opens, every acknowledged row is there exactly once or past its retention, what is erased is in no file any more, rollups
//! say what the rows say for the times they claim, and files that a snapshot reads stay.
//!
//! The log is a model of the real one (which has a simulation of its own): what it acknowledged it hands out again after its
//! cursor, which follows [`crate::Lake::durable`] and may be behind it; what the cursor has passed is gone.
//!
//! `CATCHMENT_SEED=7` runs one seed and tells every operation on the disk, `CATCHMENT_SEEDS=100000` that many: `cargo test -p catchment-storage simulation`.

mod disk;
mod rollups;
mod rows;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use catchment_pipeline::batch::Table;
use catchment_pipeline::log::Position;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use self::disk::{Crash, Dice, Faults, SimDisk};
use self::rows::{Choice, Line, Record, integers, times_of};
use super::data::DAY;
use crate::disk::{Disk, Source};
use crate::files::Tags;
use crate::lake::{Options, lock};
use crate::maintain::{Condition, EraseReport, Rule, Share};
use crate::schema::{LakeTable, TABLES};
use crate::shared::Shared;
use crate::sql::Snapshot;
use crate::{Compact, Retention};

const SEEDS: u64 = 2_000;
const LAKE: &str = "/data/lake";
/// Nanoseconds.
const DAY_LENGTH: i64 = 86_400_000_000_000;
const HOUR: Duration = Duration::from_secs(3600);
/// Microseconds.
const MINUTE: i64 = 60_000_000;
/// Of retention: which rows go after how many days, and where.
const RULES: [(Choice, u32, Option<&[LakeTable]>); 2] = [
    (Choice::Series(4), 1, None),
    // Of histograms the rows only: what rollups say of them stays.
    (
        Choice::Time(1),
        2,
        Some(&[LakeTable::Rows(Table::Logs), LakeTable::Rows(Table::Spans), LakeTable::Rows(Table::Histograms)]),
    ),
];

/// How often a row is there: by table, and by what tells it from all others there (its `ts`, or a series' id).
type Count = BTreeMap<(LakeTable, i64), u64>;

/// A row in a file: its `ts`, the id of its series (or 0), and how many rows it tells of.
#[derive(Clone, Copy, Debug)]
struct Row {
    ts: i64,
    series: i64,
    points: i64,
}

struct Trial {
    disk: SimDisk,
    dice: Dice,
    records: Vec<Record>,
    next: Position,
    rows: i64,
    /// The highest that the lake ever said.
    durable: Position,
    /// The log's cursor.
    cursor: Position,
    /// By table, the first day (since 1970) that retention was ever told to leave.
    kept_from: [i64; TABLES.len()],
    /// And each rule.
    ruled_from: [i64; RULES.len()],
    /// Rows by what tells them.
    lines: HashMap<(LakeTable, i64), Line>,
    /// Taken out of the log for an erasure that failed: they may be there.
    half_erased: BTreeSet<(LakeTable, i64)>,
    /// What is nowhere.
    erased: BTreeSet<(LakeTable, i64)>,
    /// Queries that take long.
    snapshots: Vec<Snapshot>,
    /// Of files, which never change: what is in them.
    seen: HashMap<PathBuf, Vec<Row>>,
}

fn options() -> Options {
    Options::new(LAKE)
}

impl Trial {
    fn new(seed: u64) -> Trial {
        Trial {
            disk: SimDisk::new(seed),
            dice: Dice(seed ^ 0xfeed),
            records: Vec::new(),
            next: 1,
            rows: 0,
            durable: 0,
            cursor: 0,
            kept_from: [i64::MIN; TABLES.len()],
            ruled_from: [i64::MIN; RULES.len()],
            lines: HashMap::new(),
            half_erased: BTreeSet::new(),
            erased: BTreeSet::new(),
            snapshots: Vec::new(),
            seen: HashMap::new(),
        }
    }

    /// A record for the log, of a few rows: mostly of today, some late.
    fn record(&mut self) -> Record {
        let mut lines = Vec::new();
        for table in [Table::Metrics, Table::Logs, Table::Spans, Table::Histograms] {
            let most = if table == Table::Metrics { 2 } else { 4 };
            if !self.dice.one_in(most) {
                continue;
            }
            let day = if self.dice.one_in(5) { DAY - DAY_LENGTH } else { DAY } / 1000;
            let when = day + self.dice.roll(2) as i64 * 60 * MINUTE + self.dice.roll(3) as i64 * 5 * MINUTE;
            for _ in 0..1 + self.dice.roll(3) {
                let points = matches!(table, Table::Metrics | Table::Histograms);
                let series = points.then(|| table as i64 * 1000 + self.dice.roll(20) as i64);
                self.rows += 1;
                lines.push(Line { table, ts: when + self.rows, series });
            }
        }
        self.lines.extend(lines.iter().map(|line| ((LakeTable::Rows(line.table), line.ts), *line)));
        // An append to the log that failed leaves a gap.
        self.next += 1 + u64::from(self.dice.one_in(6));
        Record { at: self.next, lines }
    }

    /// What should be there when every record up to `at` was taken.
    fn expected(&self, at: Position) -> Count {
        let records = self.records.iter().take_while(|record| record.at <= at);
        records.flat_map(|record| &record.lines).flat_map(|line| line.keys()).map(|key| (key, 1)).collect()
    }

    fn last_with_rows(&self, at: Position) -> Position {
        let records = self.records.iter().filter(|record| record.at <= at && !record.lines.is_empty());
        records.map(|record| record.at).max().unwrap_or(0)
    }

    fn file(&mut self, table: LakeTable, name: &str, size: u64) -> Vec<Row> {
        let path = Path::new(LAKE).join(table.name()).join(name);
        let whole = self.disk.whole(&path);
        assert_eq!(whole, Some(size), "{} is missing, torn or of another length", path.display());
        self.rows_of(table, path)
    }

    fn rows_of(&mut self, table: LakeTable, path: PathBuf) -> Vec<Row> {
        if let Some(seen) = self.seen.get(&path) {
            return seen.clone();
        }
        let builder = ParquetRecordBatchReaderBuilder::try_new(Source::open(&self.disk, &path).unwrap()).unwrap();
        let mask = ProjectionMask::columns(builder.parquet_schema(), ["ts", "series_id", "points"]);
        let batches = builder.with_projection(mask).build().unwrap();
        let found = batches.flat_map(|rows| {
            let rows = rows.unwrap();
            let or = |name: &str, other: i64| match rows.column_by_name(name) {
                Some(_) => integers(&rows, name),
                None => vec![other; rows.num_rows()],
            };
            let (series, points) = (or("series_id", 0), or("points", 1));
            let rows = times_of(&rows).into_iter().zip(series).zip(points);
            rows.map(|((ts, series), points)| Row { ts, series, points }).collect::<Vec<_>>()
        });
        let found = found.collect::<Vec<_>>();
        debug_assert!(matches!(table, LakeTable::Rollup(..)) || found.iter().all(|row| row.points == 1));
        self.seen.insert(path, found.clone());
        found
    }

    fn found(&mut self, lake: &Shared, hot: bool) -> Count {
        let (files, chunks) = lake.with_state(|state| {
            let tables = state.tables.iter();
            let files = tables.clone().map(|table| table.files.clone()).collect::<Vec<_>>();
            (files, tables.map(|table| table.chunks().cloned().collect::<Vec<_>>()).collect::<Vec<_>>())
        });
        let mut found = Count::new();
        for (table, (files, chunks)) in TABLES.into_iter().zip(files.iter().zip(&chunks)) {
            // They hold what others hold.
            if matches!(table, LakeTable::Rollup(..)) {
                continue;
            }
            let key = |row: Row| if table == LakeTable::Series { row.series } else { row.ts };
            let in_files = files.iter().flat_map(|file| self.file(table, &file.path, file.size)).map(key);
            let in_files = in_files.collect::<Vec<_>>();
            let keys = |rows: &_| if table == LakeTable::Series { integers(rows, "series_id") } else { times_of(rows) };
            let chunks = chunks.iter().filter(|_| hot).flat_map(|chunk| keys(&chunk.rows));
            in_files.into_iter().chain(chunks).for_each(|key| *found.entry((table, key)).or_default() += 1);
        }
        found
    }

    fn check(&mut self, lake: &Shared, what: &str, at: Position, hot: bool) {
        let disk = self.disk.clone();
        let found = disk.calmly(|| self.found(lake, hot));
        let expected = self.expected(at);
        let may_lack = |key: &&(LakeTable, i64)| self.is_past(key) || self.half_erased.contains(key);
        let missing = expected.keys().filter(|key| !found.contains_key(key) && !may_lack(key)).collect::<Vec<_>>();
        let may_have = |key, count| count == 1 && (expected.contains_key(key) || self.half_erased.contains(key));
        let extra = found.iter().filter(|(key, count)| !may_have(key, **count)).collect::<Vec<_>>();
        if !missing.is_empty() || !extra.is_empty() {
            panic!("{what}, up to {at}: missing {missing:?}, doubled, erased or never written {extra:?}");
        }
        disk.calmly(|| self.check_rollups(lake, what));
        for snapshot in &self.snapshots {
            for table in &snapshot.tables {
                for file in table.files.iter() {
                    let path = Path::new(LAKE).join(table.table.name()).join(&file.path);
                    assert_eq!(disk.whole(&path), Some(file.size), "{what}: a query reads {}", path.display());
                }
            }
        }
    }

    /// Whether retention may have dropped it.
    fn is_past(&self, key: &(LakeTable, i64)) -> bool {
        let (table, ts) = *key;
        let date = (ts * 1000).div_euclid(DAY_LENGTH);
        let by_rule = || {
            let Some(line) = self.lines.get(key) else { return false };
            let mut rules = RULES.iter().zip(&self.ruled_from);
            rules.any(|((choice, _, tables), from)| {
                let means = choice.asks(table) && tables.is_none_or(|tables| tables.contains(&table));
                means && date < *from && choice.holds(ts, line.series)
            })
        };
        table != LakeTable::Series && (date < self.kept_from[table.index()] || by_rule())
    }

    /// Opens the lake and reads the log again.
    fn open(&mut self) -> Option<Shared> {
        let faulty = self.disk.world().faulty;
        let lake = match Shared::open(Arc::new(self.disk.clone()), options()) {
            Ok(lake) => lake,
            Err(error) if self.disk.world().faulty == faulty => panic!("the lake does not open: {error:#}"),
            Err(_) => return None,
        };
        let rules = RULES.iter().map(|(choice, days, tables)| {
            Arc::new(Rule::new(&format!("{choice:?}"), *days * 24 * HOUR, *tables, Arc::new(*choice)))
        });
        *lock(&lake.rules) = rules.collect();
        let durable = lake.durable_position();
        // What has no rows leaves no trace.
        let before = self.last_with_rows(self.durable);
        assert!(durable >= before, "{before} was durable, and only {durable} is");
        self.durable = durable;
        self.check(&lake, "in files after opening", durable, false);
        for record in self.records.iter().filter(|record| record.at > self.cursor) {
            lake.append(&record.rows(), record.at).unwrap();
        }
        self.check(&lake, "after reading the log again", Position::MAX, true);
        Some(lake)
    }

    /// Fails only when the disk does.
    fn attempt<T>(&self, what: &str, work: impl FnOnce() -> anyhow::Result<T>) -> Option<T> {
        let faulty = self.disk.world().faulty;
        match work() {
            Ok(done) => Some(done),
            Err(error) if self.disk.world().faulty == faulty => panic!("{what} failed for no reason: {error:#}"),
            Err(_) => None,
        }
    }

    fn flush(&mut self, lake: &Shared) {
        self.attempt("a flush", || lake.flush());
        self.durable = self.durable.max(lake.durable_position());
    }

    fn maintain(&mut self, lake: &Shared) {
        match self.dice.roll(13) {
            8..11 => {
                // Of what is in files.
                self.flush(lake);
                let now = self.dice.one_in(2);
                self.attempt("rolling up", || lake.roll_up(now));
            }
            11..13 => self.erase(lake),
            0..2 => drop(self.attempt("merging", || lake.compact(Compact::Due))),
            2 => drop(self.attempt("merging", || lake.compact(Compact::All))),
            3 if self.dice.one_in(2) => self.tag(lake),
            3 => drop(self.attempt("vacuum", || lake.vacuum(None))),
            4 => drop(self.attempt("vacuum", || lake.vacuum(Some(Duration::ZERO)))),
            5 => {
                let table = self.dice.roll(TABLES.len() as u64) as usize;
                self.attempt("a checkpoint", || lake.settled_writer()?.logs[table].checkpoint());
            }
            6 => self.retain(lake),
            _ => {
                let time = [HOUR / 2, 2 * HOUR, 30 * HOUR, 24 * 9 * HOUR][self.dice.roll(4) as usize];
                self.disk.world().now += time.as_nanos() as u64;
            }
        }
        self.check(lake, "after maintenance", Position::MAX, true);
    }

    /// Gives a live file other tags, as late rows and rollups do.
    fn tag(&mut self, lake: &Shared) {
        let table = TABLES[self.dice.roll(TABLES.len() as u64) as usize];
        let late = self.rows..self.rows + 1;
        self.attempt("tagging", || {
            let mut writer = lake.settled_writer()?;
            let log = &mut writer.logs[table.index()];
            log.settle()?;
            let Some(file) = log.files().next().cloned() else { return Ok(()) };
            let tags = Tags { late: vec![late], ..file.tags.clone() };
            let action = log.tag_action(&file, &tags).unwrap();
            log.commit("SET TAGS", vec![action], self.disk.now_ms())?;
            lake.show_files(table, log);
            Ok(())
        });
    }

    fn retain(&mut self, lake: &Shared) {
        self.move_retention();
        // A flush that is half done brings files of its own.
        let settled = self.attempt("a flush", || lake.settled_writer().map(drop));
        if self.attempt("retention", || lake.retain(Share::All)).is_some() && settled.is_some() {
            let found = self.disk.clone().calmly(|| self.found(lake, false));
            // Other tables' rows may wait for their rollup.
            let dropped = |key: &&(LakeTable, i64)| matches!(key.0, LakeTable::Rows(Table::Logs | Table::Spans));
            let stays = found.keys().filter(dropped).find(|key| self.is_past(key));
            assert!(stays.is_none(), "what is past its retention stays: {stays:?}");
        }
        // A day may have begun meanwhile.
        self.move_retention();
    }

    /// From the log first, as whoever erases does.
    fn erase(&mut self, lake: &Shared) {
        let choice = match self.dice.roll(2) {
            0 => Choice::Series(self.dice.roll(4) as i64),
            _ => Choice::Time(self.dice.roll(3) as i64),
        };
        if self.dice.one_in(2) {
            self.snapshots.clear();
        }
        let mut matching = BTreeSet::new();
        for record in &mut self.records {
            record.lines.retain(|line| {
                let goes = choice.asks(LakeTable::Rows(line.table)) && choice.holds(line.ts, line.series);
                // A series is erased by conditions that are asked of series.
                let keys = line.keys().filter(|(table, _)| goes && choice.asks(*table));
                matching.extend(keys);
                !goes
            });
        }
        let series = self.listed(&matching, choice);
        self.half_erased.extend(matching.iter().copied().chain(series));
        let erased = self.attempt("erasing", || {
            let mut report = EraseReport::default();
            lake.erase(&choice, &mut report)?;
            lake.forget_erased()
        });
        self.durable = self.durable.max(lake.durable_position());
        let Some(still_read) = erased else { return };
        let done = self.half_erased.iter().filter(|key| match self.lines.get(key) {
            Some(line) => choice.asks(key.0) && choice.holds(line.ts, line.series),
            None => choice.asks(key.0) && choice.holds(0, Some(key.1)),
        });
        let done = done.copied().collect::<Vec<_>>();
        self.half_erased.retain(|key| !done.contains(key));
        if still_read == 0 {
            self.erased.extend(done.into_iter().filter(|(table, _)| *table != LakeTable::Series));
            self.nothing_erased_is_left("after erasing");
        }
    }

    /// Series of rows that are erased alone stay listed, as ones that were seen.
    fn listed(&self, matching: &BTreeSet<(LakeTable, i64)>, choice: Choice) -> Vec<(LakeTable, i64)> {
        let lines = matching.iter().filter_map(|key| self.lines.get(key)).filter(|_| !choice.is_of_series());
        lines.filter_map(|line| Some((LakeTable::Series, line.series?))).collect()
    }

    /// In any file of a table, whether a commit names it or not.
    fn nothing_erased_is_left(&mut self, what: &str) {
        let disk = self.disk.clone();
        disk.calmly(|| {
            for table in TABLES.into_iter().filter(|table| matches!(table, LakeTable::Rows(_))) {
                let folder = Path::new(LAKE).join(table.name());
                for name in crate::maintain::parquet_files(&disk, &folder).unwrap() {
                    let path = folder.join(&name);
                    if disk.whole(&path).is_none() {
                        continue;
                    }
                    let rows = self.rows_of(table, path);
                    let left = rows.iter().find(|row| self.erased.contains(&(table, row.ts)));
                    assert!(left.is_none(), "{what}: {left:?} was erased, and is in {name} of {}", table.name());
                }
            }
        });
    }

    fn move_retention(&mut self) {
        for (table, from) in TABLES.iter().zip(&mut self.kept_from) {
            if let Some(keep) = Retention::default().of(*table) {
                let before = self.disk.world().now as i64 - keep.as_nanos() as i64;
                *from = before.div_euclid(DAY_LENGTH).max(*from);
            }
        }
        for ((_, days, _), from) in RULES.iter().zip(&mut self.ruled_from) {
            let before = self.disk.world().now as i64 - i64::from(*days) * DAY_LENGTH;
            *from = before.div_euclid(DAY_LENGTH).max(*from);
        }
    }

    fn live(&mut self, lake: &Shared) {
        while !self.disk.stopped() {
            match self.dice.roll(14) {
                10..14 => self.maintain(lake),
                9 => {
                    self.snapshots.truncate(1);
                    self.snapshots.push(lake.snapshot());
                }
                0..5 => {
                    let record = self.record();
                    lake.append(&record.rows(), record.at).unwrap();
                    self.records.push(record);
                }
                5..8 => self.flush(lake),
                8 => self.cursor = lake.durable_position(),
                _ => {
                    self.check(lake, "while running", Position::MAX, true);
                    // Each life comes to its end.
                    let mut world = self.disk.world();
                    world.stop_in = world.stop_in.saturating_sub(5);
                }
            }
        }
        self.check(lake, "in memory at the end", Position::MAX, true);
        self.snapshots.clear();
    }

    fn run(&mut self) {
        let kind = self.dice.roll(4);
        for _ in 0..2 + self.dice.roll(3) {
            let most = if self.dice.one_in(3) { 1500 } else { 300 };
            let stop_in = 1 + self.dice.roll(most);
            let free = self.disk.used() + self.dice.roll(60_000);
            let mut world = self.disk.world();
            world.stop_in = stop_in;
            world.faults.syncs = if kind == 1 { 12 } else { 0 };
            world.faults.errors = if kind == 2 { 40 } else { 0 };
            world.capacity = if kind == 3 { free } else { u64::MAX };
            drop(world);
            if let Some(lake) = self.open() {
                self.live(&lake);
            }
            let crash = if self.dice.one_in(3) { Crash::Process } else { Crash::Machine };
            self.disk.crash(crash);
        }
        let mut world = self.disk.world();
        (world.stop_in, world.faults, world.capacity) = (u64::MAX, Faults::default(), u64::MAX);
        drop(world);
        let lake = self.open().expect("nothing fails");
        self.flush(&lake);
        assert_eq!(lake.with_state(|state| state.hot_bytes), 0);
        drop(lake);
        self.disk.crash(Crash::Machine);
        self.open().expect("nothing fails");
        self.nothing_erased_is_left("at the end");
        assert!(self.durable >= self.last_with_rows(Position::MAX));
    }
}

fn environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

fn run(seed: u64, loud: bool) -> u64 {
    let mut trial = Trial::new(seed);
    trial.disk.world().loud = loud;
    if let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(|| trial.run())) {
        let what = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        panic!(
            "seed {seed}: {}\nagain: CATCHMENT_SEED={seed} cargo test -p catchment-storage simulation",
            what.unwrap_or("?")
        );
    }
    trial.disk.trace()
}

#[test]
fn a_simulation_keeps_every_row_once_whatever_the_disk_does() {
    if let Some(seed) = environment("CATCHMENT_SEED") {
        run(seed, true);
        return;
    }
    let seeds = environment("CATCHMENT_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let work = || {
        while let seed = next.fetch_add(1, Ordering::Relaxed)
            && seed < seeds
        {
            // One failure is enough: the others end as well.
            let ended = std::panic::catch_unwind(|| run(seed, false));
            if let Err(panic) = ended {
                next.store(seeds, Ordering::Relaxed);
                std::panic::resume_unwind(panic);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
}

/// Or a seed would be worth nothing.
#[test]
fn a_simulation_of_one_seed_is_the_same_each_time() {
    for seed in 0..8 {
        assert_eq!(run(seed, false), run(seed, false), "seed {seed}");
    }
}

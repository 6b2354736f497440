//! Whether a lake is whole: every live file is there and read to its end, and holds what its table's log says of it.
//!
//! Changes nothing and takes no lock: a process may write the lake meanwhile. What that one takes out while it is being read is no
//! mistake, so a file that seems wrong is looked up in the log again. Of one file at a time, one batch of rows is in memory.
//! Parquet pages have no checksums here: a flipped bit is found when it breaks the compression, the order of rows, or what the log
//! says, and not when it only makes another number of one.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use arrow::datatypes::SchemaRef;
use chrono::DateTime;
use serde::{Deserialize, Serialize};

use super::merge::{Keys, OwnedKey};
use super::vacuum::parquet_files;
use crate::convert::{date_text, day, time_span};
use crate::delta::DeltaLog;
use crate::disk::{Disk, Source, System};
use crate::files::{FileEntry, FileRows};
use crate::lake::Lake;
use crate::opening::{layouts, open_existing};
use crate::schema::{LakeTable, TABLES};

/// Rows read at once.
const BATCH: usize = 8192;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckReport {
    pub tables: Vec<Checked>,
    pub problems: Vec<Problem>,
    /// Files that no commit names, by their path in the lake: what a crash left, or what is about to be committed. Vacuum
    /// deletes them in time.
    pub unnamed: Vec<String>,
    /// Files that were replaced or dropped, and that vacuum has not deleted yet.
    pub replaced: u64,
}

impl CheckReport {
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }
}

/// What was read of a table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    pub name: String,
    pub files: u64,
    pub rows: u64,
    pub bytes: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// A file's path in the lake, or a table.
    pub path: String,
    pub what: String,
}

impl Lake {
    /// Reads every file of the lake in this folder. Blocks.
    pub fn check(folder: &Path) -> anyhow::Result<CheckReport> {
        check(&(Arc::new(System) as Arc<dyn Disk>), folder)
    }
}

pub(crate) fn check(disk: &Arc<dyn Disk>, lake: &Path) -> anyhow::Result<CheckReport> {
    let (logs, promoted) = open_existing(disk, lake)?;
    let mut report = CheckReport::default();
    for ((table, log), layout) in TABLES.into_iter().zip(&logs).zip(layouts(&promoted)) {
        let folder = lake.join(table.name());
        let files = TableFiles { disk, table, folder: &folder, schema: &layout.hot };
        files.check(log, &mut report)?;
        files.find_unnamed(&mut report)?;
    }
    Ok(report)
}

struct TableFiles<'a> {
    disk: &'a Arc<dyn Disk>,
    table: LakeTable,
    folder: &'a Path,
    schema: &'a SchemaRef,
}

impl TableFiles<'_> {
    fn check(&self, log: &DeltaLog, report: &mut CheckReport) -> anyhow::Result<()> {
        let mut checked = Checked { name: self.table.name().to_owned(), ..Checked::default() };
        for file in log.files() {
            // A damaged file may take the reader where it was never meant to go.
            let rows = catch_unwind(AssertUnwindSafe(|| self.read(file)));
            match rows.unwrap_or_else(|_| Err(anyhow::anyhow!("reading it panicked: it is damaged"))) {
                Ok(rows) => {
                    checked.files += 1;
                    checked.rows += rows;
                    checked.bytes += file.size;
                }
                Err(error) if self.log()?.is_live(file) => {
                    report.problems.push(Problem { path: self.named(&file.path), what: format!("{error:#}") });
                }
                Err(_) => {}
            }
        }
        report.tables.push(checked);
        Ok(())
    }

    /// Its rows, when everything about it is right.
    fn read(&self, file: &FileEntry) -> anyhow::Result<u64> {
        let path = self.folder.join(&file.path);
        let source = Source::open(&**self.disk, &path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => anyhow::anyhow!("is missing, and the table's log names it"),
            _ => error.into(),
        })?;
        let size = parquet::file::reader::Length::len(&source);
        ensure!(size == file.size, "has {size} bytes, and the table's log says {}", file.size);
        let mut batches = FileRows::open(&**self.disk, &path, self.schema, BATCH)?;
        let ours = batches.ours;
        let (mut count, mut last) = (0, None::<OwnedKey>);
        while let Some(batch) = batches.next().transpose().with_context(|| format!("after {count} rows"))? {
            if batch.num_rows() == 0 {
                continue;
            }
            let span = time_span(&batch)?;
            for ts in [span.first, span.last] {
                ensure!(day(ts) == file.date, "has a row of {}, and is of {}", time(ts), date_text(file.date));
                if let Some((first, end)) = file.ts.filter(|(first, end)| !(first..=end).contains(&&ts)) {
                    bail!("has a row of {}, and the table's log says {} to {}", time(ts), time(first), time(end));
                }
            }
            if ours {
                last = self.in_order(&Keys::of(&batch, self.table.identity()), last, count)?;
            }
            count += batch.num_rows() as u64;
        }
        // Another program need not say how many there are.
        ensure!(
            count == file.rows || !ours && file.rows == 0,
            "has {count} rows, and the table's log says {}",
            file.rows
        );
        Ok(count)
    }

    /// The last row's key. `last`: that of the rows before; `count`: how many those are.
    fn in_order(&self, keys: &Option<Keys>, last: Option<OwnedKey>, count: u64) -> anyhow::Result<Option<OwnedKey>> {
        let keys = keys.as_ref().context("lacks the columns that its table is sorted by")?;
        for row in 0..keys.len() {
            let before = match row.checked_sub(1) {
                Some(before) => Some(keys.key(before)),
                None => last.as_ref().map(OwnedKey::as_key),
            };
            let number = count + row as u64;
            ensure!(before.is_none_or(|before| before <= keys.key(row)), "row {number} is out of its table's order");
        }
        Ok(keys.len().checked_sub(1).map(|row| keys.key(row).to_owned()).or(last))
    }

    fn find_unnamed(&self, report: &mut CheckReport) -> anyhow::Result<()> {
        let there = parquet_files(&**self.disk, self.folder)?;
        // Read after the folder was: what a commit names by now is not unnamed.
        let log = self.log()?;
        let live = log.files().map(|file| file.path.clone()).collect::<HashSet<_>>();
        let replaced = log.tombstones().map(|(path, _)| path).collect::<HashSet<_>>();
        for path in there.into_iter().filter(|path| !live.contains(path)) {
            if replaced.contains(&path) {
                report.replaced += 1;
            } else {
                report.unnamed.push(self.named(&path));
            }
        }
        Ok(())
    }

    /// As it is now.
    fn log(&self) -> anyhow::Result<DeltaLog> {
        DeltaLog::open(self.disk, self.folder)
    }

    fn named(&self, path: &str) -> String {
        format!("{}/{path}", self.table.name())
    }
}

fn time(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).map_or_else(|| format!("{micros} µs"), |time| time.to_rfc3339())
}

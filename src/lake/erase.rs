//! `lake erase`: rows that a condition means go, wherever they are: the durable log first, so that nothing brings them back, then what
//! is in memory, files, and what is made of them. Then both are looked through for what is left.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use catchment_pipeline::batch::Batch;
use catchment_pipeline::log::Log;
use catchment_storage::{EraseReport, Judge, Lake};
use serde::{Deserialize, Serialize};

/// For the lake to take in what it had been handed before the log was rewritten.
const PATIENCE: Duration = Duration::from_secs(60);

/// What went, and what is left.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Erased {
    /// By table.
    pub rows: Vec<(String, u64)>,
    /// Files of the lake that were written anew or dropped.
    pub files: u64,
    /// Items taken out of the durable log, which exporters had not passed.
    pub in_log: u64,
    /// Tables that the condition cannot be asked of, and why.
    pub not_judged: Vec<(String, String)>,
    /// Matching rows found when all was done, in the lake and in the log.
    pub remaining: u64,
    /// Replaced files that a query still reads; they go when it ends.
    pub still_read: u64,
    /// Files of the log that cannot be read: nobody knows what they hold.
    pub unreadable: Vec<String>,
    /// Exporters that had been handed records before, and may deliver them as they were.
    pub on_their_way: Vec<String>,
}

impl Erased {
    /// Nothing is left that anybody knows of.
    pub fn is_whole(&self) -> bool {
        self.remaining == 0 && self.still_read == 0 && self.unreadable.is_empty()
    }
}

/// Blocks as long as it takes; on a thread where that is allowed.
pub fn erase(lake: &Arc<Lake>, log: &Log, condition: &str) -> anyhow::Result<Erased> {
    let judge = lake.judge(condition).map_err(|error| anyhow::anyhow!("the condition: {}", error.message))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let through = log.head();
    let trouble = Trouble::default();
    let edit = trouble.watch(&judge, Judge::without);
    let rewritten = runtime.block_on(log.rewrite(through, edit)).context("rewriting the durable log")?;
    trouble.check()?;
    // What it was handed as it was comes as it was.
    let handed = rewritten.handed_out.iter().filter(|(cursor, _)| is_lake(cursor)).map(|(_, position)| *position).max();
    if let Some(handed) = handed {
        let mut changes = lake.changes();
        let taken = async { tokio::time::timeout(PATIENCE, changes.wait_for(|position| *position >= handed)).await };
        let taken = runtime.block_on(taken).is_ok_and(|taken| taken.is_ok());
        ensure!(taken, "the lake did not take in what it had been handed within {PATIENCE:?}: try again");
    }
    let EraseReport { rows, files, not_judged, remaining, still_read } = lake.erase(condition)?;
    let trouble = Trouble::default();
    let count = trouble.watch(&judge, |judge, batch| judge.count(batch).map(Some));
    let scanned = runtime.block_on(log.scan(through, move |batch| count(batch).unwrap_or(0)));
    let scanned = scanned.context("looking through the durable log")?;
    trouble.check()?;
    let others = rewritten.handed_out.iter().filter(|(cursor, _)| !is_lake(cursor));
    Ok(Erased {
        rows: rows.into_iter().map(|(table, rows)| (table.to_owned(), rows)).collect(),
        files,
        in_log: rewritten.items,
        not_judged: not_judged.into_iter().map(|(table, why)| (table.to_owned(), why)).collect(),
        remaining: remaining + scanned.on_disk.found + scanned.in_memory.found,
        still_read,
        unreadable: rewritten.unreadable,
        on_their_way: others.map(|(cursor, _)| cursor.to_string()).collect(),
    })
}

/// The exporter that writes the lake.
fn is_lake(cursor: &str) -> bool {
    cursor.split('/').next() == Some("parquet")
}

/// What went wrong with a batch: the log asks only what becomes of it.
#[derive(Clone, Default)]
struct Trouble(Arc<Mutex<Option<anyhow::Error>>>);

impl Trouble {
    fn watch<T>(
        &self,
        judge: &Judge,
        ask: impl Fn(&Judge, &Batch) -> anyhow::Result<Option<T>> + Send + 'static,
    ) -> impl Fn(&Batch) -> Option<T> + Send + 'static {
        let (trouble, judge) = (self.0.clone(), judge.clone());
        move |batch| {
            ask(&judge, batch).unwrap_or_else(|error| {
                trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                None
            })
        }
    }

    fn check(&self) -> anyhow::Result<()> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error).context("asking the condition of what is in the durable log"),
            None => Ok(()),
        }
    }
}

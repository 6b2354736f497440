//! Retention by rule: rows that a condition holds of go before the rest of their table does.
//!
//! A file is asked once by each rule: which ones have is in its tags, on disk, so that neither a round nor a restart does it over. Files
//! in which nothing matches stay, those in which all does go, the others are written anew.
//!
//! Raw rows go first, and what rollups say of them only when every raw file of the date was asked: a rollup tells of more than
//! the rows that are left, never of less.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use arrow::array::BooleanArray;
use arrow::compute::or;
use arrow::record_batch::RecordBatch;

use super::judge::{Condition, Sql};
use super::policy::first_kept;
use super::rule_plan::RulePlan;
use super::take_out::Unsorted;
use super::{Maintainer, MaintenanceReport};
use crate::files::FileEntry;
use crate::lake::lock;
use crate::schema::{LakeTable, Rolled, Step, TABLES};
use crate::shared::Shared;

/// Files that are asked in one round of the background: merging has its turn.
const FILES_A_ROUND: usize = 16;
/// A date that rows come late to is looked at this often at most.
const AGAIN: Duration = Duration::from_secs(86_400);

/// When a date was last gone through to its end.
pub(super) type Asked = HashMap<(LakeTable, i32), Instant>;

pub(crate) struct Rule {
    /// Which condition a file was asked, in its tags.
    pub(crate) id: String,
    pub(crate) keep: Duration,
    pub(crate) tables: Vec<LakeTable>,
    pub(crate) condition: Arc<dyn Condition>,
}

impl Rule {
    /// `tables`: `None` for all that have the columns.
    pub(crate) fn new(id: &str, keep: Duration, tables: Option<&[LakeTable]>, condition: Arc<dyn Condition>) -> Rule {
        let means = |table: &LakeTable| match table {
            // Its labels are what other tables' rows are found by.
            LakeTable::Series => false,
            // What holds of some rows of a step only is not to be asked of what is said of all of them.
            LakeTable::Rollup(..) => condition.is_of_series() && condition.asks(*table),
            LakeTable::Rows(_) => condition.asks(*table),
        };
        let wanted = |table: &LakeTable| tables.is_none_or(|tables| tables.contains(table));
        let tables = TABLES.into_iter().filter(means).filter(wanted).collect();
        let id = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(id.as_bytes()));
        Rule { id, keep, tables, condition }
    }

    fn is_due(&self, table: LakeTable, date: i32, now_ms: i64) -> bool {
        self.tables.contains(&table) && date < first_kept(self.keep, now_ms)
    }

    /// Takes raw rows out and leaves what rollups say of them.
    fn thins(&self, rolled: Rolled) -> bool {
        let rollups = Step::ALL.map(|step| LakeTable::Rollup(rolled, step));
        self.tables.contains(&LakeTable::Rows(rolled.raw())) && !rollups.iter().all(|table| self.tables.contains(table))
    }
}

/// How much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    Round,
    All,
}

impl Shared {
    /// A rule that cannot be asked here is left out, and said.
    pub(crate) fn set_rules(&self, sql: &Sql, plans: &[RulePlan]) {
        let rules = plans.iter().filter_map(|plan| match sql.judge(&plan.condition) {
            Ok(judge) => Some(Arc::new(Rule::new(&plan.condition, plan.keep, plan.tables(), Arc::new(judge)))),
            Err(error) => {
                tracing::warn!(
                    rule = plan.condition,
                    "not applied, retention drops nothing by it: {}; if it names a column that was just promoted, restart",
                    error.message
                );
                None
            }
        });
        *lock(&self.rules) = rules.collect();
    }

    pub(super) fn retain_by_rules(
        &self,
        maintainer: &mut Maintainer,
        pace: Share,
        report: &mut MaintenanceReport,
    ) -> anyhow::Result<()> {
        let rules = lock(&self.rules).clone();
        let mut left = if pace == Share::All { usize::MAX } else { FILES_A_ROUND };
        for table in TABLES.into_iter().filter(|table| rules.iter().any(|rule| rule.tables.contains(table))) {
            let mut dates = BTreeMap::<i32, Vec<Arc<FileEntry>>>::new();
            for file in self.files(table).iter() {
                dates.entry(file.date).or_default().push(file.clone());
            }
            for (date, files) in dates {
                let due = rules.iter().filter(|rule| rule.is_due(table, date, self.disk.now_ms()));
                let due = due.filter(|rule| self.raw_was_asked(rule, table, date)).cloned().collect::<Vec<_>>();
                let rested = |at: &Instant| pace == Share::All || at.elapsed() >= AGAIN;
                if due.is_empty() || !maintainer.asked.get(&(table, date)).is_none_or(rested) {
                    continue;
                }
                let date = Date { table, date, files, rules: due };
                let whole = self
                    .ask_date(maintainer, &date, &mut left, report)
                    .with_context(|| format!("retention by rule in table `{}`", table.name()))?;
                if whole {
                    maintainer.asked.insert((table, date.date), Instant::now());
                }
            }
        }
        Ok(())
    }

    /// As long as rows are there, a rollup may be read in their place.
    fn raw_was_asked(&self, rule: &Rule, table: LakeTable, date: i32) -> bool {
        let LakeTable::Rollup(rolled, _) = table else { return true };
        let raw = self.files(LakeTable::Rows(rolled.raw()));
        raw.iter().filter(|file| file.date == date).all(|file| file.tags.asked.contains(&rule.id))
    }

    /// `false`: some files of it have still to be asked.
    fn ask_date(
        &self,
        maintainer: &mut Maintainer,
        date: &Date,
        left: &mut usize,
        report: &mut MaintenanceReport,
    ) -> anyhow::Result<bool> {
        let table = date.table;
        let (mut untouched, mut whole) = (Vec::new(), true);
        for file in &date.files {
            let rules = date.rules.iter().filter(|rule| !file.tags.asked.contains(&rule.id)).collect::<Vec<_>>();
            if rules.is_empty() || maintainer.foreign.contains(&file.path) {
                continue;
            }
            if *left == 0 || !self.may_go(table, file) {
                whole = false;
                continue;
            }
            *left -= 1;
            let hits = |rows: &RecordBatch| {
                let none = BooleanArray::from(vec![false; rows.num_rows()]);
                rules.iter().try_fold(none, |hits, rule| Ok(or(&hits, &rule.condition.hits(table, rows)?)?))
            };
            let mut tags = file.tags.clone();
            tags.asked.extend(rules.iter().map(|rule| rule.id.clone()));
            let found = self.look_through(table, file, &hits)?;
            if found.hits == 0 {
                untouched.push((file.clone(), tags));
                continue;
            }
            match self.take_out(maintainer, table, file, &hits, found, tags) {
                Ok(()) => {}
                Err(error) => match error.downcast::<Unsorted>() {
                    Ok(unsorted) => {
                        tracing::warn!(table = table.name(), "what a rule of `retention` drops stays: {unsorted}");
                        maintainer.foreign.insert(unsorted.path);
                        continue;
                    }
                    Err(error) => return Err(error),
                },
            }
            report.rows_dropped += found.hits;
            report.files_dropped += u64::from(found.hits == found.all);
            report.files_thinned += u64::from(found.hits < found.all);
        }
        self.tag(&mut *self.settled_writer()?, table, untouched)?;
        Ok(whole)
    }

    /// Rollups tell of rows that are gone: the date is not to be rolled up anew of what is left.
    pub(super) fn is_thinned(&self, rolled: Rolled, date: i32) -> bool {
        let now = self.disk.now_ms();
        lock(&self.rules).iter().any(|rule| rule.thins(rolled) && date < first_kept(rule.keep, now))
    }
}

/// Of a table.
struct Date {
    table: LakeTable,
    date: i32,
    files: Vec<Arc<FileEntry>>,
    rules: Vec<Arc<Rule>>,
}

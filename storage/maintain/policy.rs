//! The `lake` extension's keys about keeping the lake in order.
//!
//! ```yaml
//! extensions:
//!   lake:
//!     maintenance:
//!       enabled: true
//!       interval: 30s            # how often there is a look for what is due
//!       target_size: 128MiB      # of merged files
//!       vacuum_after: 1h         # from when a file is replaced until it is deleted: who reads it from outside has so long
//!       log_retention: 7d        # of commits in the table logs
//!     rollups:
//!       enabled: true
//!       delay: 15m               # an hour is rolled up so long after it is over; what comes later makes that date be done again
//!     retention:                 # whole days are dropped once all of their rows are older; `forever` keeps them
//!       metrics: 15d
//!       logs: forever
//!       rules:                   # some rows go before the rest of their table does; again by whole days
//!         - where: "service_name = 'load-test' OR attributes->>'debug' = 'true'"
//!           keep: 2d
//!         - where: "metric_name LIKE 'process.%'"
//!           tables: [metrics]    # without it: every table that has the columns. Here rollups go on telling of them
//!           keep: 3d
//! ```

use std::time::Duration;

use catchment_pipeline::config::{ByteSize, FromNode, Node, Reader, Section};

use super::rule_plan::{self, RulePlan};
use crate::convert::day;
use crate::schema::{LakeTable, Promoted, TABLES};

pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// Checked keys.
#[derive(Clone, Debug, PartialEq)]
pub struct MaintenancePlan {
    pub enabled: bool,
    pub interval: Duration,
    /// Bytes of a merged file, about.
    pub target_size: u64,
    pub vacuum_after: Duration,
    pub log_retention: Duration,
    pub retention: Retention,
    pub rules: Vec<RulePlan>,
    pub rollups: RollupPlan,
}

/// Checked keys of `rollups`.
#[derive(Clone, Debug, PartialEq)]
pub struct RollupPlan {
    pub enabled: bool,
    /// From when an hour is over until it is rolled up: rows may come that late without making work.
    pub delay: Duration,
}

impl Default for MaintenancePlan {
    fn default() -> MaintenancePlan {
        MaintenancePlan {
            enabled: true,
            interval: Duration::from_secs(30),
            target_size: 128 << 20,
            vacuum_after: Duration::from_secs(3600),
            log_retention: 7 * DAY,
            retention: Retention::default(),
            rules: Vec::new(),
            rollups: RollupPlan { enabled: true, delay: Duration::from_secs(900) },
        }
    }
}

/// How long each table's rows are kept at least, in the order of the lake's tables; `None`: for ever.
#[derive(Clone, Debug, PartialEq)]
pub struct Retention(Vec<Option<Duration>>);

impl Default for Retention {
    fn default() -> Retention {
        Retention(TABLES.iter().map(|table| table.retention_days().map(|days| days * DAY)).collect())
    }
}

impl Retention {
    pub(crate) fn of(&self, table: LakeTable) -> Option<Duration> {
        self.0.get(table.index()).copied().flatten()
    }

    /// The table in flight whose rows are dropped first.
    pub(crate) fn shortest(&self) -> Option<(Duration, &'static str)> {
        let rows = TABLES.iter().filter(|table| matches!(table, LakeTable::Rows(_)));
        let kept = rows.filter_map(|table| Some((self.of(*table)?, table.name())));
        kept.min_by_key(|(keep, _)| *keep)
    }

    /// The first date (days since 1970) that is kept whole; `None`: every date is.
    pub(crate) fn first_kept(&self, table: LakeTable, now_ms: i64) -> Option<i32> {
        Some(first_kept(self.of(table)?, now_ms))
    }

    pub(crate) fn set(&mut self, table: LakeTable, keep: Option<Duration>) {
        if let Some(slot) = self.0.get_mut(table.index()) {
            *slot = keep;
        }
    }
}

/// The first date (days since 1970) of which nothing is older.
pub(super) fn first_kept(keep: Duration, now_ms: i64) -> i32 {
    let keep = i64::try_from(keep.as_micros()).unwrap_or(i64::MAX);
    day(now_ms.saturating_mul(1000).saturating_sub(keep))
}

/// A duration, or `forever`.
#[derive(Debug)]
struct Keep(Option<Duration>);

impl FromNode for Keep {
    fn from_node(node: &Node, at: &Reader<'_>) -> Option<Keep> {
        match node.text() {
            Some("forever") => Some(Keep(None)),
            _ => Duration::from_node(node, at).map(|keep| Keep(Some(keep))),
        }
    }
}

impl MaintenancePlan {
    /// Pure. `lake`: the extension's own section.
    pub(crate) fn read(lake: &mut Section, promoted: &[Promoted]) -> MaintenancePlan {
        let mut plan = MaintenancePlan::default();
        if let Some(mut section) = lake.section("maintenance") {
            plan.enabled = section.or("enabled", plan.enabled);
            plan.interval = section.or("interval", plan.interval);
            if plan.interval.is_zero() {
                section.mistake("interval", "looking for work without a pause", "for example 30s");
            }
            plan.target_size = section.or("target_size", ByteSize(plan.target_size)).0;
            if !(1 << 20..=1 << 30).contains(&plan.target_size) {
                section.mistake("target_size", "not between 1MiB and 1GiB", "64MiB to 256MiB suit most readers");
            }
            plan.vacuum_after = section.or("vacuum_after", plan.vacuum_after);
            plan.log_retention = section.or("log_retention", plan.log_retention);
        }
        if let Some(mut section) = lake.section("rollups") {
            plan.rollups.enabled = section.or("enabled", plan.rollups.enabled);
            plan.rollups.delay = section.or("delay", plan.rollups.delay);
        }
        if let Some(mut section) = lake.section("retention") {
            // Series are looked up by their labels in `series`: it has all there are.
            for table in TABLES.into_iter().filter(|table| *table != LakeTable::Series) {
                if let Some(Keep(keep)) = section.get::<Keep>(table.name()) {
                    if keep.is_some_and(|keep| keep < DAY) {
                        section.mistake(table.name(), "shorter than a day, and whole days are dropped", "at least 1d");
                    }
                    plan.retention.set(table, keep);
                }
            }
            plan.rules = rule_plan::read(&mut section, &plan.retention, promoted);
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(section: &mut Section) -> MaintenancePlan {
        MaintenancePlan::read(section, &[])
    }

    #[test]
    fn defaults_and_every_key() {
        let table = |name: &str| LakeTable::by_name(name).unwrap();
        let plan = read(&mut Section::parse("{}"));
        assert_eq!(plan, MaintenancePlan::default());
        assert_eq!(plan.retention.of(table("metrics")), Some(15 * DAY));
        let yaml = "{maintenance: {enabled: false, interval: 1s, target_size: 64MiB, vacuum_after: 2h, log_retention: 1d}, \
                    retention: {logs: forever, metrics: 2w, metrics_1h: 1y}, rollups: {enabled: false, delay: 1h}}";
        let plan = read(&mut Section::parse(yaml));
        assert_eq!((plan.enabled, plan.interval, plan.target_size), (false, Duration::from_secs(1), 64 << 20));
        assert_eq!((plan.vacuum_after, plan.log_retention), (Duration::from_secs(7200), DAY));
        assert_eq!((plan.retention.of(table("logs")), plan.retention.of(table("metrics"))), (None, Some(14 * DAY)));
        assert_eq!(plan.retention.of(table("metrics_1h")), Some(365 * DAY));
        assert_eq!(plan.rollups, RollupPlan { enabled: false, delay: Duration::from_secs(3600) });
    }

    #[test]
    fn mistakes_are_named() {
        let check = |yaml: &str, expect: &str| {
            let mut section = Section::parse(yaml);
            read(&mut section);
            let mistakes = section.mistakes().join("\n");
            assert!(mistakes.contains(expect), "{mistakes}");
        };
        check("retention: {metrics: 3h}", "shorter than a day");
        check("retention: {metric: 15d}", "unknown key \"metric\"");
        check("retention: {metrics: always}", "is not a duration");
        check("maintenance: {target_size: 4KiB}", "between 1MiB and 1GiB");
        check("maintenance: {interval: 0s}", "without a pause");
    }
}

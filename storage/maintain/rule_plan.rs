//! Retention by rule as it is configured, and what can be said of a rule before there is a lake.

use std::time::Duration;

use catchment_pipeline::config::Section;

use super::judge::{Condition, Judge, Sql};
use super::policy::{DAY, Retention};
use crate::schema::{LakeTable, Promoted, TABLES};

/// Each file remembers which rules it was asked.
const MOST_RULES: usize = 32;

/// Checked keys of one of `retention::rules`.
#[derive(Clone, Debug, PartialEq)]
pub struct RulePlan {
    /// SQL.
    pub condition: String,
    pub keep: Duration,
    tables: Option<Vec<LakeTable>>,
}

impl RulePlan {
    /// Of every table that has the columns.
    pub fn new(condition: impl Into<String>, keep: Duration) -> RulePlan {
        RulePlan { condition: condition.into(), keep, tables: None }
    }

    #[cfg(test)]
    pub(crate) fn of(self, tables: &[LakeTable]) -> RulePlan {
        RulePlan { tables: Some(tables.to_vec()), ..self }
    }

    pub(super) fn tables(&self) -> Option<&[LakeTable]> {
        self.tables.as_deref()
    }
}

pub(super) fn read(retention: &mut Section, kept: &Retention, promoted: &[Promoted]) -> Vec<RulePlan> {
    let mut list = retention.list("rules");
    if list.is_empty() {
        return Vec::new();
    }
    if list.len() > MOST_RULES {
        retention.mistake("rules", format!("{} rules", list.len()), format!("at most {MOST_RULES}: join some with OR"));
        list.truncate(MOST_RULES);
    }
    let sql = match Sql::of_columns(promoted) {
        Ok(sql) => sql,
        Err(error) => {
            retention.mistake("rules", format!("they cannot be checked: {error:#}"), "try again");
            return Vec::new();
        }
    };
    list.iter_mut().filter_map(|section| read_one(section, kept, &sql)).collect()
}

/// `None`: mistakes were said.
fn read_one(section: &mut Section, kept: &Retention, sql: &Sql) -> Option<RulePlan> {
    let condition = section.required::<String>("where");
    let keep = section.required::<Duration>("keep");
    let tables = section.get::<Vec<String>>("tables").map(|names| table_list(section, &names));
    let (condition, keep) = (condition?, keep?);
    if keep < DAY {
        section.mistake("keep", "shorter than a day, and whole days are looked through", "at least 1d");
    }
    match sql.judge(&condition) {
        Ok(judge) => check_tables(section, kept, &judge, keep, tables.as_deref()),
        Err(error) => {
            section.mistake("where", error.message, "one SQL condition, as after WHERE: service_name = 'load-test'");
        }
    }
    Some(RulePlan { condition, keep, tables })
}

fn table_list(section: &Section, names: &[String]) -> Vec<LakeTable> {
    let known = |name: &String| {
        let table = LakeTable::by_name(name).filter(|table| *table != LakeTable::Series);
        if table.is_none() {
            let all = TABLES.iter().filter(|table| **table != LakeTable::Series).map(|table| table.name());
            let all = all.collect::<Vec<_>>().join(", ");
            section.mistake("tables", format!("no table `{name}` is under retention"), format!("one of {all}"));
        }
        table
    };
    names.iter().filter_map(known).collect()
}

fn check_tables(section: &Section, kept: &Retention, judge: &Judge, keep: Duration, tables: Option<&[LakeTable]>) {
    let Some(tables) = tables else { return };
    for table in tables.iter().copied() {
        let name = table.name();
        if let Some((_, why)) = judge.not_judged.iter().find(|(other, _)| *other == name) {
            section.mistake(
                "where",
                format!("`{name}` cannot be asked: {why}"),
                format!("or leave `{name}` out of `tables`"),
            );
        } else if let LakeTable::Rollup(rolled, _) = table {
            let raw = LakeTable::Rows(rolled.raw());
            if !judge.is_of_series() {
                let what = format!("`{name}` tells of many rows at once, and some of them may match");
                section.mistake(
                    "where",
                    what,
                    "ask for what is the same all along a series: its name, resource, attributes",
                );
            } else if !tables.contains(&raw) && kept.of(raw).is_none_or(|raw| raw > keep) {
                let what = format!("`{name}` would lose what `{}` still has", raw.name());
                section.mistake("tables", what, format!("add `{}`, or keep {:?} or longer", raw.name(), kept.of(raw)));
            }
        }
        if kept.of(table).is_some_and(|all| all <= keep) {
            section.warning("keep", format!("no row of `{name}` is kept so long anyway"), "a shorter time, or no rule");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read_all(yaml: &str) -> (Vec<RulePlan>, String) {
        let mut section = Section::parse(yaml);
        let rules = read(&mut section, &Retention::default(), &[]);
        (rules, [section.mistakes(), section.remarks()].concat().join("\n"))
    }

    #[test]
    fn rules_are_read() {
        let metrics = LakeTable::by_name("metrics").unwrap();
        let (rules, mistakes) = read_all(
            "{rules: [{where: \"metric_name LIKE 'process.%'\", keep: 3d, tables: [metrics]}, {where: severity_number < 5, keep: 1w}]}",
        );
        assert_eq!(mistakes, "");
        let first = RulePlan { tables: Some(vec![metrics]), ..RulePlan::new("metric_name LIKE 'process.%'", 3 * DAY) };
        assert_eq!(rules, [first, RulePlan::new("severity_number < 5", 7 * DAY)]);
    }

    #[test]
    fn mistakes_are_named() {
        let check = |rule: &str, expect: &str| {
            let (_, said) = read_all(&format!("rules:\n- {rule}\n"));
            assert!(said.contains(expect), "{rule}: {said}");
            assert!(said.contains("test.yaml:2"), "{rule}: {said}");
        };
        check("{where: no_such = 1, keep: 3d}", "no_such");
        check("{where: 'body = ', keep: 3d}", "where");
        check("{where: 'true; DROP TABLE metrics', keep: 3d}", "where");
        check("{where: 'a) OR (b', keep: 3d}", "where");
        check("{where: severity_number < 5, keep: 3h}", "shorter than a day");
        check("{keep: 3d}", "\"where\" is required");
        check("{where: severity_number < 5}", "\"keep\" is required");
        check("{where: severity_number < 5, keep: 3d, tables: [log]}", "no table `log`");
        check("{where: severity_number < 5, keep: 3d, tables: [spans]}", "`spans` cannot be asked");
        check("{where: value > 5, keep: 3d, tables: [metrics, metrics_1h]}", "`metrics_1h` cannot be asked");
        check("{where: 'count = 0', keep: 3d, tables: [histograms, histograms_1h]}", "tells of many rows at once");
        check("{where: metric_name = 'a', keep: 3d, tables: [metrics_1h]}", "would lose what `metrics` still has");
        check("{where: metric_name = 'a', keep: 20d, tables: [metrics]}", "kept so long anyway");
        check("{where: metric_name = 'a', keep: 20d, what: 1}", "unknown key \"what\"");
    }
}

//! What rollups say, beside the rows.

use std::collections::HashMap;

use super::{DAY_LENGTH, RULES, Trial};
use crate::files::union;
use crate::maintain::Condition;
use crate::rollup::without;
use crate::schema::{LakeTable, Rolled, Step};
use crate::shared::Shared;

impl Trial {
    /// In the times that a rollup claims and no row came late to, it tells of every row in files: of exactly those as long as all rows are
    /// kept, and of no fewer afterwards.
    pub(super) fn check_rollups(&mut self, lake: &Shared, what: &str) {
        for rolled in [Rolled::Metrics, Rolled::Histograms] {
            let raw = LakeTable::Rows(rolled.raw());
            let files = |table: LakeTable| lake.with_state(|state| state.tables[table.index()].files.clone());
            let raw_files = files(raw);
            let late = union(raw_files.iter().flat_map(|file| file.tags.late.iter().cloned()));
            let rows = raw_files.iter().flat_map(|file| self.file(raw, &file.path, file.size)).collect::<Vec<_>>();
            for step in Step::ALL {
                let table = LakeTable::Rollup(rolled, step);
                let rollups = files(table);
                let covers = union(rollups.iter().flat_map(|file| file.tags.covers.iter().cloned()));
                let claims = without(covers, &late);
                let mut said = HashMap::<(i64, i64), [i64; 2]>::new();
                for row in &rows {
                    let start = row.ts - row.ts.rem_euclid(step.micros());
                    said.entry((start, row.series)).or_default()[0] += 1;
                }
                for row in rollups.iter().flat_map(|file| self.file(table, &file.path, file.size)) {
                    said.entry((row.ts, row.series)).or_default()[1] += row.points;
                }
                for ((start, series), [rows, points]) in said {
                    if !claims.iter().any(|range| range.start <= start && start + step.micros() <= range.end) {
                        continue;
                    }
                    let date = (start * 1000).div_euclid(DAY_LENGTH);
                    let mut rules = RULES.iter().zip(&self.ruled_from);
                    let past = date < self.kept_from[raw.index()]
                        || rules.any(|((choice, ..), from)| date < *from && choice.asks(raw));
                    let right = if past { points >= rows } else { points == rows };
                    assert!(
                        right,
                        "{what}: series {series} has {rows} rows from {start} on, and {} tells of {points}",
                        table.name()
                    );
                }
            }
        }
    }
}

//! What a lake holds, table by table.

use serde::{Deserialize, Serialize};

use crate::convert::date_text;
use crate::files::FileEntry;
use crate::hot::TableRows;
use crate::lake::Lake;
use crate::schema::{LakeTable, TABLES};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LakeInfo {
    pub tables: Vec<TableInfo>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TableInfo {
    pub name: String,
    pub files: u64,
    pub rows: u64,
    pub bytes: u64,
    /// Of files; `None`: there are no rows.
    pub bytes_per_row: Option<f64>,
    /// Dates with files.
    pub dates: u64,
    pub first_date: Option<String>,
    pub last_date: Option<String>,
    /// In memory only; `None`: only the process that writes the lake knows.
    pub hot_rows: Option<u64>,
}

impl TableInfo {
    fn of(table: LakeTable, rows: &TableRows, writes: bool) -> TableInfo {
        let mut dates = rows.files.iter().map(|file| file.date).collect::<Vec<_>>();
        dates.sort_unstable();
        dates.dedup();
        let sum = |of: fn(&FileEntry) -> u64| rows.files.iter().map(|file| of(file)).sum::<u64>();
        let (count, bytes) = (sum(|file| file.rows), sum(|file| file.size));
        TableInfo {
            name: table.name().to_owned(),
            files: rows.files.len() as u64,
            rows: count,
            bytes,
            bytes_per_row: (count > 0).then(|| bytes as f64 / count as f64),
            dates: dates.len() as u64,
            first_date: dates.first().map(|date| date_text(*date)),
            last_date: dates.last().map(|date| date_text(*date)),
            hot_rows: writes.then(|| rows.rows()),
        }
    }
}

impl Lake {
    /// Of all tables, also those without rows.
    pub fn info(&self) -> LakeInfo {
        let writes = self.shared().writes();
        let table = |(table, rows): (&LakeTable, &TableRows)| TableInfo::of(*table, rows, writes);
        LakeInfo { tables: self.shared().with_state(|state| TABLES.iter().zip(&state.tables).map(table).collect()) }
    }
}

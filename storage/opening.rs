//! What opening a lake takes: its tables' logs, the columns they agree on, the lock of the one who writes, and what a
//! crash left.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use catchment_pipeline::batch::Table;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::catalog::Catalog;
use crate::delta::DeltaLog;
use crate::disk::{ASIDE, Disk, Lock, Source, gone};
use crate::hot::State;
use crate::latest::Latest;
use crate::schema::{self, LakeTable, Layout, Promoted, TABLES, layout};
use crate::series::SeriesRows;

/// The key of a table's Delta configuration that says which attributes were promoted.
pub(crate) const PROMOTED: &str = "catchment.promoted";

pub(crate) fn layouts(promoted: &[Promoted]) -> Vec<Arc<Layout>> {
    TABLES.iter().map(|table| Arc::new(layout(*table, promoted))).collect()
}

pub(crate) fn open_logs(disk: &Arc<dyn Disk>, lake: &Path) -> anyhow::Result<Vec<DeltaLog>> {
    TABLES.iter().map(|table| DeltaLog::open(disk, &lake.join(table.name()))).collect()
}

/// What a process left that was stopped: names that can be seen need not be on disk yet, and files that were never finished. Only
/// for the one who writes.
pub(crate) fn settle(disk: &dyn Disk, lake: &Path) -> anyhow::Result<()> {
    let tables = TABLES.iter().flat_map(|table| [lake.join(table.name()), lake.join(table.name()).join("_delta_log")]);
    for folder in [lake.to_owned()].into_iter().chain(tables).filter(|folder| disk.is_folder(folder)) {
        for entry in disk.list(&folder)?.into_iter().filter(|entry| !entry.is_folder) {
            if entry.name.to_string_lossy().starts_with(ASIDE) {
                gone(disk.remove(&folder.join(entry.name)))?;
            }
        }
        disk.sync_folder(&folder)?;
    }
    Ok(())
}

/// The logs of a lake that is there, and its promoted attributes.
pub(crate) fn open_existing(disk: &Arc<dyn Disk>, lake: &Path) -> anyhow::Result<(Vec<DeltaLog>, Vec<Promoted>)> {
    let logs = open_logs(disk, lake).with_context(|| format!("opening the lake in {}", lake.display()))?;
    if logs.iter().all(DeltaLog::is_new) {
        bail!("{} is not a lake: it holds none of its tables", lake.display());
    }
    let promoted = schema::promoted(&merge_promoted(&logs, &BTreeMap::new())?).map_err(anyhow::Error::msg)?;
    Ok((logs, promoted))
}

/// Columns once promoted stay columns; what is wanted now is added.
pub(crate) fn merge_promoted(
    logs: &[DeltaLog],
    wanted: &BTreeMap<String, String>,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    if let Some(text) = logs.iter().find_map(|log| log.configuration(PROMOTED)) {
        all = serde_json::from_str(text).with_context(|| format!("`{PROMOTED}` in the table log is `{text}`"))?;
    }
    for (key, kind) in wanted {
        match all.insert(key.clone(), kind.clone()) {
            Some(old) if old != *kind => bail!(
                "promoted attribute `{key}` is wanted as {kind}, but the lake has it as {old}: a column's type cannot \
                 change; say {old}, or start a new lake"
            ),
            _ => {}
        }
    }
    Ok(all)
}

pub(crate) fn lock_folder(disk: &dyn Disk, lake: &Path) -> anyhow::Result<Lock> {
    let path = lake.join("lake.lock");
    match disk.lock(&path) {
        Ok(lock) => Ok(lock),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            bail!("another process writes the lake in {}", lake.display())
        }
        Err(error) => Err(error).with_context(|| format!("locking {}", path.display())),
    }
}

/// Removes files, not folders.
pub(crate) fn clear_files(disk: &dyn Disk, folder: &Path) -> anyhow::Result<()> {
    for entry in disk.list(folder)?.into_iter().filter(|entry| !entry.is_folder) {
        disk.remove(&folder.join(entry.name))?;
    }
    Ok(())
}

/// Removes what a crash left in the folder for files in the making. Spilled files of a query that has just been dropped may go
/// by themselves meanwhile.
pub(crate) fn clear(disk: &dyn Disk, aside: &Path) -> anyhow::Result<()> {
    for entry in disk.list(aside)? {
        let path = aside.join(entry.name);
        gone(if entry.is_folder { disk.remove_all(&path) } else { disk.remove(&path) })?;
    }
    Ok(())
}

pub(crate) fn load_catalog(
    disk: &Arc<dyn Disk>,
    lake: &Path,
    state: &State,
    series: &Layout,
    promoted: &[Promoted],
) -> anyhow::Result<Catalog> {
    let stored = !state.tables[LakeTable::Rows(Table::Metrics).index()].files.is_empty();
    let mut catalog = Catalog::new(SeriesRows::new(series, promoted), Latest::new(disk.clone(), lake, stored));
    for file in state.tables[LakeTable::Series.index()].files.iter() {
        let path = lake.join(LakeTable::Series.name()).join(&file.path);
        let rows = Source::open(&**disk, &path).map_err(anyhow::Error::from).and_then(|file| {
            Ok(ParquetRecordBatchReaderBuilder::try_new(file)?.build()?.collect::<Result<Vec<_>, _>>()?)
        });
        let rows = rows.with_context(|| format!("reading {}", path.display()))?;
        rows.iter().try_for_each(|rows| catalog.load(rows))?;
    }
    Ok(catalog)
}

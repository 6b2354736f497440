//! Files that no commit names any more, or never did, are deleted: late enough for whoever reads the lake from outside, and never
//! while a query of ours does.

use std::collections::{BTreeSet, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Weak;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::{Maintainer, MaintenanceReport};
use crate::delta::DeltaLog;
use crate::disk::{Disk, gone};
use crate::lake::lock;
use crate::schema::{LakeTable, TABLES};
use crate::shared::Shared;

/// Folders are looked through for files that no commit names this often at most: flushes wait meanwhile, and only a crash leaves any.
const LOOK: Duration = Duration::from_secs(3600);

impl Shared {
    /// Everything that may go. `after`: instead of what is configured.
    pub(crate) fn vacuum(&self, after: Option<Duration>) -> anyhow::Result<MaintenanceReport> {
        self.vacuum_if(after, true)
    }

    /// What is due of it.
    pub(super) fn vacuum_due(&self) -> anyhow::Result<MaintenanceReport> {
        self.vacuum_if(None, false)
    }

    fn vacuum_if(&self, after: Option<Duration>, thorough: bool) -> anyhow::Result<MaintenanceReport> {
        self.work(|maintainer, report| {
            let look = thorough || maintainer.looked.is_none_or(|at| at.elapsed() >= LOOK);
            let (after, log_retention) = {
                let plan = lock(&self.maintenance);
                (after.unwrap_or(plan.vacuum_after), plan.log_retention)
            };
            maintainer.taken_out.retain(|file| Weak::strong_count(&file.read) > 0);
            // What a flush has put in its place and not yet committed is not ours to judge.
            let mut writer = self.settled_writer()?;
            for (table, log) in TABLES.into_iter().zip(&mut writer.logs) {
                // What it does not know of is not unnamed.
                log.catch_up()?;
                self.show_files(table, log);
                let folder = self.path.join(table.name());
                let folders = BTreeSet::new();
                let mut vacuum = Vacuum { disk: &*self.disk, maintainer, table, folder: &folder, after, folders };
                report.files_deleted += vacuum.taken_out(log)?;
                if look {
                    report.files_deleted += vacuum.unnamed(log)?;
                    log.expire(self.disk.now().checked_sub(log_retention))?;
                }
                vacuum.end()?;
            }
            if look {
                maintainer.looked = Some(Instant::now());
            }
            Ok(())
        })
    }
}

struct Vacuum<'a> {
    disk: &'a dyn Disk,
    maintainer: &'a Maintainer,
    table: LakeTable,
    folder: &'a Path,
    after: Duration,
    /// In which files were deleted.
    folders: BTreeSet<PathBuf>,
}

impl Vacuum<'_> {
    /// Files that a commit took out.
    fn taken_out(&mut self, log: &mut DeltaLog) -> anyhow::Result<u64> {
        let before = self.disk.now_ms().saturating_sub(i64::try_from(self.after.as_millis()).unwrap_or(i64::MAX));
        let due = log.tombstones().filter(|(path, at)| *at <= before && !self.is_read(path)).collect::<Vec<_>>();
        for (path, _) in &due {
            self.remove(path)?;
            log.forget(path);
        }
        Ok(due.len() as u64)
    }

    fn is_read(&self, path: &str) -> bool {
        self.maintainer.taken_out.iter().any(|file| file.table == self.table && file.path == path)
    }

    /// Files that a crash left between their move and their commit.
    fn unnamed(&mut self, log: &DeltaLog) -> anyhow::Result<u64> {
        let named = log.files().map(|file| file.path.clone()).chain(log.tombstones().map(|(path, _)| path));
        let named = named.collect::<HashSet<_>>();
        // Another program may be about to commit what it has written.
        let Some(before) = self.disk.now().checked_sub(self.after) else { return Ok(0) };
        let mut deleted = 0;
        for path in parquet_files(self.disk, self.folder)?.into_iter().filter(|path| !named.contains(path)) {
            if self.disk.modified(&self.folder.join(&path)).is_ok_and(|at| at <= before) {
                self.remove(&path)?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    fn remove(&mut self, path: &str) -> anyhow::Result<()> {
        let path = self.folder.join(path);
        self.folders.extend(path.parent().map(Path::to_owned));
        gone(self.disk.remove(&path)).with_context(|| format!("deleting {}", path.display()))
    }

    /// After this a crash brings no file back.
    fn end(&self) -> anyhow::Result<()> {
        let sync = |folder: &PathBuf| match self.disk.sync_folder(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            synced => synced.with_context(|| format!("syncing {}", folder.display())),
        };
        self.folders.iter().try_for_each(sync)
    }
}

/// Those in a table's folder, by their paths in it.
pub(crate) fn parquet_files(disk: &dyn Disk, folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for date in list(disk, folder)?.iter().filter(|name| name.starts_with("date=")) {
        let files = list(disk, &folder.join(date))?;
        found.extend(files.iter().filter(|name| name.ends_with(".parquet")).map(|name| format!("{date}/{name}")));
    }
    found.sort_unstable();
    Ok(found)
}

/// Names in a folder that may not be there.
fn list(disk: &dyn Disk, folder: &Path) -> anyhow::Result<Vec<String>> {
    let entries = match disk.list(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("listing {}", folder.display()))?,
    };
    Ok(entries.into_iter().map(|entry| entry.name.to_string_lossy().into_owned()).collect())
}

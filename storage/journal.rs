//! A flush's point of no return: which staged files become part of which tables, for all tables at once.
//!
//! Delta commits one table at a time. The journal is written once every staged file is on disk; what follows (moving the
//! files, one commit per table) is repeated after a crash until it is done, and doing it twice changes nothing.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use catchment_pipeline::log::Position;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::delta::DeltaLog;
use crate::disk::{Disk, gone};
use crate::files::Staged;
use crate::schema::TABLES;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Journal {
    /// Which log the position is of, as Delta's `appId`.
    pub(crate) app: String,
    /// Every row at or before it is in files once this is done.
    pub(crate) position: Position,
    pub(crate) tables: BTreeMap<String, Vec<Staged>>,
}

pub(crate) fn aside(lake: &Path) -> PathBuf {
    lake.join("tmp")
}

fn path(lake: &Path) -> PathBuf {
    lake.join("flush.json")
}

impl Journal {
    pub(crate) fn read(disk: &dyn Disk, lake: &Path) -> anyhow::Result<Option<Journal>> {
        let path = path(lake);
        match disk.read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map(Some).with_context(|| format!("{} is damaged", path.display()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    /// On disk when this returns.
    pub(crate) fn write(&self, disk: &dyn Disk, lake: &Path) -> anyhow::Result<()> {
        disk.sync_folder(&aside(lake))?;
        Ok(disk.replace(&path(lake), &serde_json::to_vec(self)?)?)
    }

    /// After it is carried out, to keep things tidy: carrying it out again changes nothing.
    pub(crate) fn remove(disk: &dyn Disk, lake: &Path) {
        let _ = disk.remove(&path(lake));
    }

    /// Before files it may name are removed: one that could not be written for certain, and was never carried out.
    pub(crate) fn withdraw(disk: &dyn Disk, lake: &Path) -> anyhow::Result<()> {
        gone(disk.remove(&path(lake))).with_context(|| format!("removing {}", path(lake).display()))?;
        // Also when it was gone: an attempt that failed may have taken it away without that being on disk.
        Ok(disk.sync_folder(lake)?)
    }

    /// Moves files and commits, skipping what was done already. `logs` are in the order of [`TABLES`].
    pub(crate) fn complete(&self, disk: &dyn Disk, lake: &Path, logs: &mut [DeltaLog]) -> anyhow::Result<()> {
        let version = i64::try_from(self.position).unwrap_or(i64::MAX);
        for (table, log) in TABLES.iter().zip(logs) {
            let Some(staged) = self.tables.get(table.name()) else { continue };
            log.settle()?;
            if log.transaction(&self.app).is_some_and(|done| done >= version) {
                continue;
            }
            let folder = lake.join(table.name());
            staged.iter().try_for_each(|file| file.put_in_place(disk, &aside(lake), &folder))?;
            let now_ms = disk.now_ms();
            let transaction = json!({"txn": {"appId": self.app, "version": version, "lastUpdated": now_ms}});
            let adds = staged.iter().map(|file| json!({"add": file.add}));
            log.commit("WRITE", adds.chain([transaction]).collect::<Vec<Value>>(), now_ms)
                .with_context(|| format!("committing to table `{}`", table.name()))?;
        }
        Ok(())
    }
}

impl Staged {
    /// From the folder it was written in to its own in the table's.
    pub(crate) fn put_in_place(&self, disk: &dyn Disk, aside: &Path, table: &Path) -> anyhow::Result<()> {
        let place = table.join(self.add["path"].as_str().context("a staged file without a place")?);
        let folder = place.parent().unwrap_or(table);
        disk.create_folder(folder)?;
        match disk.rename(&aside.join(&self.aside), &place) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && disk.exists(&place) => {}
            Err(error) => return Err(error).with_context(|| format!("moving a file to {}", place.display())),
        }
        Ok(disk.sync_folder(folder)?)
    }
}

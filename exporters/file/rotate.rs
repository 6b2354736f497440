//! The file being written, and the older ones beside it: `name-2006-01-02T15-04-05.000.ext`, as the Collector names
//! them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use catchment_pipeline::config::Section;
use chrono::{DateTime, Local, NaiveDateTime, TimeZone, Utc};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rotation {
    pub(super) max_bytes: u64,
    /// Zero: for ever.
    pub(super) max_age: Duration,
    /// Zero: all.
    pub(super) max_backups: usize,
    /// Names in the machine's zone instead of UTC.
    pub(super) local: bool,
}

const STAMP: &str = "%Y-%m-%dT%H-%M-%S%.3f";

impl Rotation {
    pub(super) fn read(section: &mut Section) -> Option<Rotation> {
        let mut rotation = section.section("rotation")?;
        let megabytes = rotation.get::<u64>("max_megabytes").filter(|n| *n > 0).unwrap_or(100);
        Some(Rotation {
            max_bytes: megabytes.saturating_mul(1 << 20),
            max_age: Duration::from_secs(rotation.or("max_days", 0_u64).saturating_mul(24 * 60 * 60)),
            max_backups: rotation.or("max_backups", 100),
            local: rotation.or("localtime", false),
        })
    }
}

pub(super) struct Output {
    path: PathBuf,
    rotation: Option<Rotation>,
    file: Arc<File>,
    /// Whole records in the current file, bytes.
    size: u64,
    /// A write failed half-way: what is behind `size` is to be cut off.
    torn: bool,
}

impl Output {
    /// `lines`: the records are lines, so that one cut short by a crash can be ended.
    pub(super) fn open(path: PathBuf, rotation: Option<Rotation>, append: bool, lines: bool) -> anyhow::Result<Output> {
        let keep = append || rotation.is_some();
        let open = |path: &Path| -> io::Result<(File, u64)> {
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                std::fs::create_dir_all(folder)?;
            }
            let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
            if !keep {
                file.set_len(0)?;
            } else if lines && !ends_with_newline(&mut file)? {
                file.write_all(b"\n")?;
            }
            let size = file.metadata()?.len();
            Ok((file, size))
        };
        let (file, size) =
            open(&path).map_err(|error| anyhow::anyhow!("cannot write to {}: {error}", path.display()))?;
        Ok(Output { path, rotation, file: Arc::new(file), size, torn: false })
    }

    pub(super) fn write(&mut self, record: &[u8], now: SystemTime) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.size)?;
            self.torn = false;
        }
        let full = |rotation: &Rotation| self.size > 0 && self.size + record.len() as u64 > rotation.max_bytes;
        if let Some(rotation) = self.rotation.clone().filter(full) {
            self.rotate(&rotation, now)?;
        }
        if let Err(error) = (&*self.file).write_all(record) {
            self.torn = true;
            return Err(error);
        }
        self.size += record.len() as u64;
        Ok(())
    }

    /// To be fsynced.
    pub(super) fn current(&mut self) -> io::Result<Arc<File>> {
        Ok(self.file.clone())
    }

    fn rotate(&mut self, rotation: &Rotation, now: SystemTime) -> io::Result<()> {
        self.file.sync_data()?;
        let mut at = now;
        let mut backup = self.backup_name(rotation, at);
        while backup.exists() {
            at += Duration::from_millis(1);
            backup = self.backup_name(rotation, at);
        }
        std::fs::rename(&self.path, &backup)?;
        self.file = Arc::new(OpenOptions::new().append(true).create(true).open(&self.path)?);
        self.size = 0;
        if let Some(folder) = self.path.parent() {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            File::open(folder)?.sync_all()?;
        }
        self.remove_old(rotation, now);
        Ok(())
    }

    fn backup_name(&self, rotation: &Rotation, at: SystemTime) -> PathBuf {
        let at = DateTime::<Utc>::from(at);
        let stamp = if rotation.local {
            at.with_timezone(&Local).format(STAMP).to_string()
        } else {
            at.format(STAMP).to_string()
        };
        let (stem, end) = self.around_stamp();
        self.path.with_file_name(format!("{stem}{stamp}{end}"))
    }

    /// What stands before and behind the time in a backup's name.
    fn around_stamp(&self) -> (String, String) {
        let text = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
        let end = text(self.path.extension()).map(|end| format!(".{end}")).unwrap_or_default();
        (format!("{}-", text(self.path.file_stem()).unwrap_or_default()), end)
    }

    /// Newest first: beyond the number or the age they go. That one stays is no reason to stop writing.
    fn remove_old(&self, rotation: &Rotation, now: SystemTime) {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (stem, end) = self.around_stamp();
        let stamp_of = |name: &str| {
            let stamp = name.strip_prefix(stem.as_str())?.strip_suffix(end.as_str())?;
            NaiveDateTime::parse_from_str(stamp, STAMP).ok()
        };
        let mut backups = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| Some((stamp_of(entry.file_name().to_str()?)?, entry.path())))
            .collect::<Vec<_>>();
        backups.sort_by(|a, b| b.cmp(a));
        let since =
            now.checked_sub(rotation.max_age).filter(|_| !rotation.max_age.is_zero()).map(DateTime::<Utc>::from);
        for (place, (stamp, path)) in backups.iter().enumerate() {
            let at = if rotation.local {
                Local.from_local_datetime(stamp).earliest().map(|at| at.with_timezone(&Utc))
            } else {
                Some(stamp.and_utc())
            };
            let too_many = rotation.max_backups > 0 && place >= rotation.max_backups;
            let too_old = since.zip(at).is_some_and(|(since, at)| at < since);
            if (too_many || too_old)
                && let Err(error) = std::fs::remove_file(path)
            {
                tracing::warn!("cannot remove the old file {}: {error}", path.display());
            }
        }
    }
}

fn ends_with_newline(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

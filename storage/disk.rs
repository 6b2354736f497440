//! The seam to the file system: what the lake does to files, the clock, and fresh names. Tests put a disk here that forgets and tears.
//!
//! Queries read Parquet through `object_store` instead: they change nothing, and read only what a commit names.
//!
//! A file's bytes survive a crash once [`NewFile::sync`] returned; a name that was given, moved or taken away, once
//! [`Disk::sync_folder`] of its folder did. Files that appear under a known name are whole or absent after a crash: written
//! aside, fsynced, moved, and the folder fsynced.

use std::any::Any;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use uuid::Uuid;

/// Begins the names of files that become whole under another name.
pub(crate) const ASIDE: &str = ".tmp-";

/// Held until it is dropped.
pub(crate) type Lock = Box<dyn Any + Send>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: OsString,
    pub(crate) is_folder: bool,
}

pub(crate) trait Disk: std::fmt::Debug + Send + Sync {
    /// One level; `AlreadyExists` when it is there.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;
    fn is_folder(&self, path: &Path) -> bool;
    fn exists(&self, path: &Path) -> bool;
    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>>;
    /// A new, empty file, in place of one of that name.
    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>>;
    fn open(&self, path: &Path) -> io::Result<Arc<dyn OpenFile>>;
    /// Replaces a file of that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// A second name for a file; `AlreadyExists` when it is taken.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// An empty one.
    fn remove_folder(&self, folder: &Path) -> io::Result<()>;
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    fn modified(&self, path: &Path) -> io::Result<SystemTime>;
    /// `WouldBlock` when another process holds it.
    fn lock(&self, path: &Path) -> io::Result<Lock>;
    fn now(&self) -> SystemTime;
    /// Sorts by when it was made.
    fn fresh_id(&self) -> Uuid;

    fn now_ms(&self) -> i64 {
        self.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path)?;
        let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
        read_exact_at(&*file, &mut bytes, 0)?;
        Ok(bytes)
    }

    /// Makes `folder` and its parents, so that they survive a crash.
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        let parent = parent(folder);
        if self.is_folder(folder) {
            // Whoever made it may have been stopped before that was on disk.
            return match parent.map(|parent| self.sync_folder(parent)) {
                Some(Err(error)) if error.kind() != io::ErrorKind::PermissionDenied => Err(error),
                _ => Ok(()),
            };
        }
        if let Some(parent) = parent {
            self.create_folder(parent)?;
        }
        self.make_folder(folder).or_else(|error| if self.is_folder(folder) { Ok(()) } else { Err(error) })?;
        parent.map_or(Ok(()), |parent| self.sync_folder(parent))
    }

    /// A folder and all that is in it. What goes by itself meanwhile is no mistake.
    fn remove_all(&self, folder: &Path) -> io::Result<()> {
        for entry in self.list(folder)? {
            let path = folder.join(entry.name);
            gone(if entry.is_folder { self.remove_all(&path) } else { self.remove(&path) })?;
        }
        gone(self.remove_folder(folder))
    }

    /// Writes a file aside, fsynced, and leaves nothing when that fails.
    fn write_aside(&self, path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let aside = path.with_file_name(format!("{ASIDE}{}-{name}", std::process::id()));
        let mut file = self.create(&aside)?;
        if let Err(error) = file.write_all(bytes).and_then(|()| file.sync()) {
            let _ = self.remove(&aside);
            return Err(error);
        }
        Ok(aside)
    }

    /// Writes a whole file, in place of one that is there.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let aside = self.write_aside(path, bytes)?;
        if let Err(error) = self.rename(&aside, path) {
            let _ = self.remove(&aside);
            return Err(error);
        }
        parent(path).map_or(Ok(()), |parent| self.sync_folder(parent))
    }

    /// Fails with `AlreadyExists` if `path` is there: how Delta decides who wrote a version first.
    fn create_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let aside = self.write_aside(path, bytes)?;
        let linked = self.link(&aside, path);
        let removed = self.remove(&aside);
        linked.and(removed)?;
        parent(path).map_or(Ok(()), |parent| self.sync_folder(parent))
    }
}

/// `.` of a name alone.
fn parent(path: &Path) -> Option<&Path> {
    path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

/// Absence is what removing wants.
pub(crate) fn gone(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// A file in the making: written from its beginning to its end.
pub(crate) trait NewFile: std::fmt::Debug + Write + Send {
    /// Makes what was written survive a crash. After a failure that is not known of any of it.
    fn sync(&mut self) -> io::Result<()>;
}

pub(crate) trait OpenFile: std::fmt::Debug + Send + Sync {
    fn len(&self) -> io::Result<u64>;
    /// May return fewer bytes than asked for; none at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

fn read_exact_at(file: &dyn OpenFile, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match file.read_at(buffer, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                buffer = buffer.get_mut(read..).unwrap_or_default();
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A file as the `parquet` crate reads it.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    file: Arc<dyn OpenFile>,
    len: u64,
}

impl Source {
    pub(crate) fn open(disk: &dyn Disk, path: &Path) -> io::Result<Source> {
        let file = disk.open(path)?;
        Ok(Source { len: file.len()?, file })
    }
}

impl Length for Source {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for Source {
    type T = BufReader<Tail>;

    fn get_read(&self, start: u64) -> Result<BufReader<Tail>, ParquetError> {
        Ok(BufReader::new(Tail { file: self.file.clone(), offset: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        // The length comes from the file.
        if start.checked_add(length as u64).is_none_or(|end| end > self.len) {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} of a file of {}", self.len)));
        }
        let mut bytes = vec![0; length];
        read_exact_at(&*self.file, &mut bytes, start)?;
        Ok(bytes.into())
    }
}

/// A file from an offset on.
#[derive(Debug)]
pub(crate) struct Tail {
    file: Arc<dyn OpenFile>,
    offset: u64,
}

impl Read for Tail {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// The machine's own file system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System;

impl Disk for System {
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir(folder)
    }

    fn is_folder(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let entries = fs::read_dir(folder)?.map(|entry| {
            let entry = entry?;
            Ok(Entry { name: entry.file_name(), is_folder: entry.file_type()?.is_dir() })
        });
        entries.collect()
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn NewFile>> {
        Ok(Box::new(File::create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn OpenFile>> {
        Ok(Arc::new(File::open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        fs::remove_dir(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn modified(&self, path: &Path) -> io::Result<SystemTime> {
        fs::metadata(path)?.modified()
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        let file = File::options().create(true).append(true).open(path)?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(file))
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn fresh_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

impl NewFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

impl OpenFile for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }
}

//! Files that are whole or absent after a crash: written aside, fsynced, moved, and the folder fsynced.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes `folder` and its parents, so that they survive a crash.
pub(crate) fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    match folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => {
            create_folder(parent)?;
            fs::create_dir(folder).or_else(|error| if folder.is_dir() { Ok(()) } else { Err(error) })?;
            sync_folder(parent)
        }
        None => fs::create_dir(folder),
    }
}

fn write_aside(path: &Path, bytes: &[u8]) -> io::Result<std::path::PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = path.with_file_name(format!(".tmp-{}-{name}", std::process::id()));
    let mut file = File::create(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(aside)
}

/// Replaces `path` if it is there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = write_aside(path, bytes)?;
    fs::rename(aside, path)?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Fails with `AlreadyExists` if `path` is there: how Delta decides who wrote a version first.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = write_aside(path, bytes)?;
    let linked = fs::hard_link(&aside, path);
    let removed = fs::remove_file(&aside);
    linked.and(removed)?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

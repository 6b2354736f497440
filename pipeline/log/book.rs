//! The cursors on disk: one small text file, written aside, fsynced and renamed. Each line has a position, the
//! cursor's name and, each after a tab (`\t`), the pipelines it reads.
//!
//! ```text
//! catchment cursors 1
//! 4711 otlp_http/backend\tlogs\ttraces
//! 4690 parquet\tmetrics
//! crc32 0badcafe
//! ```

use std::collections::BTreeMap;
use std::io::{self, IoSlice};

use crate::log::Position;
use crate::log::disk::Disk;
use crate::log::record::Pipelines;
use crate::log::scan::read_full;

const NAME: &str = "cursors";
const ASIDE: &str = "cursors.new";
const RESERVE: &str = "reserve";
/// Given back to the file system when it is full, so that cursors can still be saved.
const RESERVE_BYTES: usize = 1 << 20;
const HEAD: &str = "catchment cursors 1\n";
const MAX_BYTES: u64 = 16 << 20;

pub(super) type Cursors = BTreeMap<String, Saved>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Saved {
    pub(super) position: Position,
    /// `None`: not told.
    pub(super) pipelines: Option<Pipelines>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Cursors(Cursors),
    /// There is a file, and it is not one that we wrote.
    Damaged,
}

pub(super) fn load(disk: &dyn Disk) -> io::Result<Found> {
    let file = match disk.open(NAME) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Cursors(Cursors::new())),
        Err(error) => return Err(error),
    };
    let mut bytes = vec![0; file.len()?.min(MAX_BYTES) as usize];
    let read = read_full(file.as_ref(), &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(parse(&bytes).map_or(Found::Damaged, Found::Cursors))
}

pub(super) fn save(disk: &dyn Disk, cursors: &Cursors) -> io::Result<()> {
    let text = print(cursors);
    let outcome = write(disk, &text);
    if !matches!(&outcome, Err(error) if error.kind() == io::ErrorKind::StorageFull) {
        return outcome;
    }
    disk.remove(RESERVE)?;
    write(disk, &text)
}

/// Called where there should be room: at the start, and after deleting segments.
pub(super) fn keep_reserve(disk: &dyn Disk) -> io::Result<()> {
    let full = |file: Box<dyn crate::log::disk::DiskFile>| file.len().ok().filter(|len| *len == RESERVE_BYTES as u64);
    if disk.open(RESERVE).ok().and_then(full).is_some() {
        return Ok(());
    }
    let zeros = vec![0; RESERVE_BYTES];
    let written = disk.create(RESERVE).and_then(|file| {
        file.append(&mut [IoSlice::new(&zeros)])?;
        file.sync()
    });
    if written.is_err() {
        // No room for it: what little there is must not be taken by half a reserve.
        disk.remove(RESERVE)?;
    }
    written
}

fn write(disk: &dyn Disk, text: &str) -> io::Result<()> {
    let file = disk.create(ASIDE)?;
    file.append(&mut [IoSlice::new(text.as_bytes())])?;
    file.sync()?;
    disk.rename(ASIDE, NAME)?;
    disk.sync_names()
}

fn print(cursors: &Cursors) -> String {
    let mut text = String::from(HEAD);
    for (name, Saved { position, pipelines }) in cursors {
        text.push_str(&format!("{position} {name}"));
        for id in pipelines.iter().flat_map(Pipelines::iter) {
            text.push_str(&format!("\t{id}"));
        }
        text.push('\n');
    }
    let crc = crc32fast::hash(text.as_bytes());
    text.push_str(&format!("crc32 {crc:08x}\n"));
    text
}

fn parse(bytes: &[u8]) -> Option<Cursors> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (body, crc) = text.strip_suffix('\n')?.rsplit_once("crc32 ")?;
    if u32::from_str_radix(crc, 16).ok()? != crc32fast::hash(body.as_bytes()) {
        return None;
    }
    body.strip_prefix(HEAD)?.lines().map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<(String, Saved)> {
    let (position, rest) = line.split_once(' ')?;
    let (name, pipelines) = match rest.split_once('\t') {
        Some((name, ids)) => (name, Some(Pipelines::new(ids.split('\t')))),
        None => (rest, None),
    };
    Some((name.to_owned(), Saved { position: position.parse().ok()?, pipelines }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_printed_is_read_and_damage_is_seen() {
        let saved = |position, pipelines: Option<&[&str]>| Saved {
            position,
            pipelines: pipelines.map(|ids| Pipelines::new(ids.iter().copied())),
        };
        let cursors = Cursors::from([
            ("otlp_http/crc32 x".to_owned(), saved(4711, Some(&["logs", "metrics/2"]))),
            ("parquet".to_owned(), saved(0, None)),
        ]);
        let text = print(&cursors);
        assert_eq!(parse(text.as_bytes()), Some(cursors));
        for bit in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let case_of_a_crc_digit = bytes.eq_ignore_ascii_case(text.as_bytes());
            assert!(case_of_a_crc_digit || parse(&bytes).is_none(), "bit {bit}");
        }
        for len in 0..text.len() {
            assert_eq!(parse(&text.as_bytes()[..len]), None, "cut to {len}");
        }
    }
}

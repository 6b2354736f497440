//! What relays remember, beside the log: a file each, written aside, fsynced and renamed.
//!
//! | bytes | field |
//! |---|---|
//! | 8 | `CTCHREL1` |
//! | 4 | CRC-32 of what follows |
//! | 8 | fingerprint of the relay's settings |
//! | 8 | the last position it had read |
//! | 8 | its time then, nanoseconds since 1970 |
//! | 2 | length of its name |
//! | | its name, and its state |
//!
//! The file is named after the name's hash: `relay-0123456789abcdef`.

use std::io::{self, IoSlice};
use std::sync::PoisonError;

use xxhash_rust::xxh3::xxh3_64;

use crate::log::disk::Disk;
use crate::log::scan::read_full;
use crate::log::{Log, Position};

const MAGIC: &[u8; 8] = b"CTCHREL1";
/// Before the name.
const HEAD: usize = 38;
/// Longest state that is written, and read.
const MAX_BYTES: u64 = 1 << 30;
const ASIDE: &str = "relay.new";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Of its settings.
    pub fingerprint: u64,
    pub read: Position,
    /// Nanoseconds since 1970.
    pub at: u64,
    pub state: Vec<u8>,
}

impl Log {
    /// What the relay of this name saved last; an error when there is a file that cannot be read. And what it had appended when
    /// the log was opened, in order: the last position it had read each time, and its time then. Asked once. Without a disk: nothing.
    pub fn restore(&self, relay: &str) -> (io::Result<Option<Saved>>, Vec<(Position, u64)>) {
        let Some(store) = &self.0.shared.store else { return (Ok(None), Vec::new()) };
        let appended = store.appended.lock().unwrap_or_else(PoisonError::into_inner).remove(relay);
        (load(store.disk.as_ref(), relay), appended.unwrap_or_default())
    }

    /// Durable when this returns. Without a disk it does nothing.
    pub async fn save(&self, relay: &str, saved: Saved) -> io::Result<()> {
        let Some(store) = self.0.shared.store.clone() else { return Ok(()) };
        let relay = relay.to_owned();
        let save = move || {
            let _one = store.saving_relay();
            write(store.disk.as_ref(), &relay, &saved)
        };
        tokio::task::spawn_blocking(save).await.map_err(io::Error::other)?
    }

    /// Lets go of what relays other than `names` saved, and of what recovery found of any.
    pub async fn retain_relays(&self, names: &[&str]) -> io::Result<()> {
        let Some(store) = self.0.shared.store.clone() else { return Ok(()) };
        let kept: Vec<String> = names.iter().map(|name| file(name)).collect();
        let remove = move || {
            let _one = store.saving_relay();
            store.appended.lock().unwrap_or_else(PoisonError::into_inner).clear();
            let names = store.disk.list()?;
            let gone = names.iter().filter(|name| name.starts_with("relay-") && !kept.contains(name));
            gone.map(String::as_str).try_for_each(|name| store.disk.remove(name))
        };
        tokio::task::spawn_blocking(remove).await.map_err(io::Error::other)?
    }
}

fn file(relay: &str) -> String {
    format!("relay-{:016x}", xxh3_64(relay.as_bytes()))
}

fn write(disk: &dyn Disk, relay: &str, saved: &Saved) -> io::Result<()> {
    let name_len = u16::try_from(relay.len()).map_err(|_| io::Error::other("the relay's name is too long"))?;
    if saved.state.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!(
            "its state takes {} bytes, at most {MAX_BYTES} are kept",
            saved.state.len()
        )));
    }
    let mut head = Vec::with_capacity(HEAD + relay.len());
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&[0; 4]);
    [saved.fingerprint, saved.read, saved.at].iter().for_each(|number| head.extend_from_slice(&number.to_le_bytes()));
    head.extend_from_slice(&name_len.to_le_bytes());
    head.extend_from_slice(relay.as_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(&head[12..]);
    crc.update(&saved.state);
    head[8..12].copy_from_slice(&crc.finalize().to_le_bytes());
    let aside = disk.create(ASIDE)?;
    aside.append(&mut [IoSlice::new(&head), IoSlice::new(&saved.state)])?;
    aside.sync()?;
    disk.rename(ASIDE, &file(relay))?;
    disk.sync_names()
}

fn load(disk: &dyn Disk, relay: &str) -> io::Result<Option<Saved>> {
    let file = match disk.open(&file(relay)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let len = file.len()?;
    if len > MAX_BYTES + HEAD as u64 + u64::from(u16::MAX) {
        return Err(io::Error::other("its state is larger than any that was saved"));
    }
    let mut bytes = vec![0; len as usize];
    let read = read_full(file.as_ref(), &mut bytes, 0)?;
    bytes.truncate(read);
    parse(&bytes, relay).map(Some).ok_or_else(|| io::Error::other("its state is damaged"))
}

fn parse(bytes: &[u8], relay: &str) -> Option<Saved> {
    let head: &[u8; HEAD] = bytes.first_chunk()?;
    let number = |at: usize| Some(u64::from_le_bytes(*head.get(at..)?.first_chunk()?));
    let crc = u32::from_le_bytes(*head[8..].first_chunk()?);
    if head[..8] != *MAGIC || crc != crc32fast::hash(&bytes[12..]) {
        return None;
    }
    let name_len = usize::from(u16::from_le_bytes(*head[36..].first_chunk()?));
    let (name, state) = bytes[HEAD..].split_at_checked(name_len)?;
    let saved = Saved { fingerprint: number(12)?, read: number(20)?, at: number(28)?, state: state.to_vec() };
    (name == relay.as_bytes()).then_some(saved)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::log::sim::SimDisk;

    #[test]
    fn what_is_saved_is_read_and_damage_is_seen() {
        let disk = SimDisk::new(1);
        let saved = Saved { fingerprint: 7, read: 4711, at: u64::MAX, state: b"state".to_vec() };
        assert_eq!(load(&disk, "metrics#a").unwrap(), None);
        write(&disk, "metrics#a", &saved).unwrap();
        write(&disk, "metrics#b", &Saved { state: Vec::new(), ..saved.clone() }).unwrap();
        assert_eq!(load(&disk, "metrics#a").unwrap(), Some(saved.clone()));
        let file = disk.open(&file("metrics#a")).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        read_full(file.as_ref(), &mut bytes, 0).unwrap();
        assert_eq!(parse(&bytes, "metrics#a"), Some(saved));
        assert_eq!(parse(&bytes, "metrics#b"), None);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&bytes, "metrics#a"), None, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        (0..bytes.len()).for_each(|len| assert_eq!(parse(&bytes[..len], "metrics#a"), None, "cut to {len}"));
    }
}

//! Attribute sets seen before: their protobuf bytes lead to their canonical JSON and its hash in one look-up.
//!
//! Senders repeat themselves: the same series, resources and call sites come again in every request. A set is kept when
//! it comes a second time, so that those that never come again (a span's URL, an order's number) cost a glance. A `Sets`
//! is bounded ([`MAX_SETS`], [`MAX_ARENA`]) and forgets everything when full; what it holds is derived, so forgetting costs
//! time only. Decoders take one from a pool and put it back, so that no thread waits for another's.

use std::sync::{Mutex, PoisonError};

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::any_value::set_to_json;
use super::wire::Fault;
use crate::batch::Table;

const MAX_SETS: usize = 64 << 10;
/// Bytes of sets and their JSON.
const MAX_ARENA: usize = 16 << 20;
/// Longer sets are not kept.
const MAX_SET: usize = 4 << 10;
/// Marks of sets that came once.
const GLIMPSES: usize = 16 << 10;
/// Idle `Sets` kept for the next decoders.
const MAX_POOL: usize = 4;

static POOL: Mutex<Vec<Sets>> = Mutex::new(Vec::new());

/// Runs `decode` with a pooled `Sets`.
pub(super) fn with_sets<T>(decode: impl FnOnce(&mut Sets) -> T) -> T {
    let pooled = POOL.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut sets = pooled.unwrap_or_default();
    sets.epoch = sets.epoch.wrapping_add(1);
    if sets.epoch == 0 {
        sets.clear();
        sets.epoch = 1;
    }
    let outcome = decode(&mut sets);
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    if pool.len() < MAX_POOL {
        pool.push(sets);
    }
    outcome
}

struct Set {
    raw_hash: u64,
    /// In the arena: the protobuf bytes, then the JSON.
    start: u32,
    raw_len: u32,
    json_len: u32,
    /// 0 until it is asked for.
    json_hash: u64,
}

/// A set in this decode. Good until the next look-up.
#[derive(Clone, Copy)]
pub(super) enum Found {
    Empty,
    Kept(u32),
    /// Not kept: here for the first time.
    Loose,
    /// Not kept: too long.
    Long,
}

#[derive(Default)]
pub(super) struct Sets {
    index: HashTable<u32>,
    sets: Vec<Set>,
    arena: Vec<u8>,
    /// By the low bits of a set's hash, the high ones of the last that came for the first time.
    glimpses: Vec<u32>,
    /// Of the running decode.
    epoch: u32,
    /// For each table, by set: the decode in which it got a key in that table's `attributes` column, and the key.
    keys: [Vec<(u32, i32)>; Table::ALL.len()],
}

impl Sets {
    fn clear(&mut self) {
        self.index.clear();
        self.sets.clear();
        self.arena.clear();
        self.keys.iter_mut().for_each(Vec::clear);
    }

    /// `raw` holds `KeyValue` fields of one number.
    #[inline]
    pub fn find(&mut self, raw: &[u8]) -> Result<Found, Fault> {
        if raw.is_empty() {
            return Ok(Found::Empty);
        }
        let raw_hash = xxh3_64(raw);
        let arena = &self.arena;
        let known = self.index.find(raw_hash, |&set| {
            let set = &self.sets[set as usize];
            set.raw_hash == raw_hash && arena[set.start as usize..][..set.raw_len as usize] == *raw
        });
        match known.copied() {
            Some(set) => Ok(Found::Kept(set)),
            None if raw.len() > MAX_SET => Ok(Found::Long),
            None if self.is_first(raw_hash) => Ok(Found::Loose),
            None => self.learn(raw, raw_hash),
        }
    }

    fn is_first(&mut self, hash: u64) -> bool {
        self.glimpses.resize(GLIMPSES, 0);
        let high = (hash >> 32) as u32;
        std::mem::replace(&mut self.glimpses[hash as usize % GLIMPSES], high) != high
    }

    fn learn(&mut self, raw: &[u8], raw_hash: u64) -> Result<Found, Fault> {
        if self.sets.len() >= MAX_SETS || self.arena.len() >= MAX_ARENA {
            self.clear();
        }
        let start = self.arena.len();
        self.arena.extend_from_slice(raw);
        if let Err(fault) = set_to_json(raw, &mut self.arena) {
            self.arena.truncate(start);
            return Err(fault);
        }
        let json = &self.arena[start + raw.len()..];
        let number = self.sets.len() as u32;
        self.sets.push(Set {
            raw_hash,
            start: start as u32,
            raw_len: raw.len() as u32,
            json_len: json.len() as u32,
            json_hash: 0,
        });
        let sets = &self.sets;
        self.index.insert_unique(raw_hash, number, |&set| sets[set as usize].raw_hash);
        Ok(Found::Kept(number))
    }

    /// The JSON of a set that was found as this.
    #[inline]
    pub fn write(&self, found: Found, raw: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        match found {
            Found::Empty => out.extend_from_slice(b"{}"),
            Found::Kept(set) => out.extend_from_slice(self.json(set)),
            Found::Loose | Found::Long => set_to_json(raw, out)?,
        }
        Ok(())
    }

    fn json(&self, set: u32) -> &[u8] {
        let set = &self.sets[set as usize];
        &self.arena[(set.start + set.raw_len) as usize..][..set.json_len as usize]
    }

    pub fn json_hash(&mut self, set: u32) -> u64 {
        if self.sets[set as usize].json_hash == 0 {
            self.sets[set as usize].json_hash = xxh3_64(self.json(set));
        }
        self.sets[set as usize].json_hash
    }

    /// The key that a set has in `table`'s dictionary, if it was given one in this decode.
    #[inline]
    pub fn key(&self, table: Table, set: u32) -> Option<i32> {
        self.keys[table as usize].get(set as usize).filter(|(epoch, _)| *epoch == self.epoch).map(|(_, key)| *key)
    }

    pub fn set_key(&mut self, table: Table, set: u32, key: i32) {
        let keys = &mut self.keys[table as usize];
        if keys.len() <= set as usize {
            keys.resize(set as usize + 1, (0, 0));
        }
        keys[set as usize] = (self.epoch, key);
    }
}

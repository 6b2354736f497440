//! State by series: a flat vector in order of arrival, found by `series_id`.
//!
//! Senders repeat themselves: the series after the one found last is tried before the index is asked.

use hashbrown::HashTable;

use super::snapshot::{Reader, Writer};

pub struct SeriesMap<T> {
    index: HashTable<u32>,
    ids: Vec<i64>,
    pub states: Vec<T>,
    next: u32,
}

impl<T> Default for SeriesMap<T> {
    fn default() -> Self {
        SeriesMap { index: HashTable::new(), ids: Vec::new(), states: Vec::new(), next: 0 }
    }
}

impl<T> SeriesMap<T> {
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    #[inline]
    pub fn find(&mut self, id: i64) -> Option<usize> {
        let guess = self.next as usize;
        let slot = if self.ids.get(guess) == Some(&id) {
            guess
        } else {
            *self.index.find(id as u64, |&slot| self.ids[slot as usize] == id)? as usize
        };
        self.next = slot as u32 + 1;
        Some(slot)
    }

    /// Adds a series that was not found.
    pub fn insert(&mut self, id: i64, state: T) -> usize {
        let slot = self.ids.len();
        self.ids.push(id);
        self.states.push(state);
        let ids = &self.ids;
        self.index.insert_unique(id as u64, slot as u32, |&slot| ids[slot as usize] as u64);
        self.next = slot as u32 + 1;
        slot
    }

    /// Forgets all others; what is left keeps its order. Gives how many went.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) -> usize {
        let before = self.len();
        let kept: Vec<bool> = self.states.iter().map(&mut keep).collect();
        if kept.iter().all(|kept| *kept) {
            return 0;
        }
        let mut kept_ids = kept.iter();
        self.ids.retain(|_| kept_ids.next() == Some(&true));
        let mut kept_states = kept.iter();
        self.states.retain(|_| kept_states.next() == Some(&true));
        self.reindex();
        before - self.len()
    }

    fn reindex(&mut self) {
        let ids = &self.ids;
        self.index.clear();
        self.index.shrink_to(ids.len(), |&slot| ids[slot as usize] as u64);
        self.index.reserve(ids.len(), |&slot| ids[slot as usize] as u64);
        for (slot, id) in ids.iter().enumerate() {
            self.index.insert_unique(*id as u64, slot as u32, |&slot| ids[slot as usize] as u64);
        }
        self.next = 0;
    }

    pub fn save(&self, out: &mut Writer<'_>, save: impl Fn(&T, &mut Writer<'_>)) {
        out.len(self.len());
        for (id, state) in self.ids.iter().zip(&self.states) {
            out.fixed(*id as u64);
            save(state, out);
        }
    }

    pub fn restore(
        state: &mut Reader<'_>,
        read: impl Fn(&mut Reader<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<Self> {
        let mut map = SeriesMap::default();
        let len = state.len()?;
        map.ids.reserve(len);
        map.states.reserve(len);
        for _ in 0..len {
            map.ids.push(state.fixed()? as i64);
            map.states.push(read(state)?);
        }
        map.reindex();
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn found_in_any_order_and_forgotten() {
        let mut map = SeriesMap::default();
        for id in 0..1000i64 {
            assert_eq!(map.find(id * 7919), None);
            map.insert(id * 7919, id);
        }
        for id in (0..1000).rev().chain(0..1000) {
            let slot = map.find(id * 7919).unwrap();
            assert_eq!(map.states[slot], id);
        }
        assert_eq!(map.retain(|state| state % 3 == 0), 666);
        assert_eq!(map.find(7919), None);
        let mut state = Vec::new();
        let mut out = Writer::new(&mut state, "t", 1, "");
        map.save(&mut out, |state, out| out.i64(*state));
        out.finish();
        let mut reader = Reader::new(&state, "t", 1, "").unwrap();
        let mut back = SeriesMap::restore(&mut reader, |state| state.i64()).unwrap();
        reader.end().unwrap();
        for id in (0..1000).step_by(3) {
            let slot = back.find(id * 7919).unwrap();
            assert_eq!(back.states[slot], id);
        }
        assert_eq!(back.len(), 334);
    }
}

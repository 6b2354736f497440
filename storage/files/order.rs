//! A table's order: by date, then by what its identity columns hold, then by time.

use anyhow::bail;
use arrow::record_batch::RecordBatch;

use crate::convert::{day, ts};
use crate::gather::{Column, Gather, NULL, Place};

/// A row in its table's order: by date, then by what the identity columns hold, then by time.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    order: u128,
    pub(crate) place: Place,
}

impl Key {
    /// `rank`: among all that the identity columns hold.
    fn new(rank: u32, ts: i64, place: Place) -> Key {
        // With the sign bit turned, unsigned integers have the order of signed ones.
        let date = u128::from(day(ts) as u32 ^ 1 << 31);
        let ts = u128::from(ts as u64 ^ 1 << 63);
        Key { order: date << 96 | u128::from(rank) << 64 | ts, place }
    }

    pub(crate) fn ts(&self) -> i64 {
        (self.order as u64 ^ 1 << 63) as i64
    }

    pub(crate) fn date(&self) -> i32 {
        ((self.order >> 96) as u32 ^ 1 << 31) as i32
    }
}

/// Every row. What comes at the same time stays as it came.
pub(crate) fn sorted(gather: &Gather, chunks: &[&RecordBatch], identity: &[&str]) -> anyhow::Result<Vec<Key>> {
    let ranks = ranks(gather, identity)?;
    let mut keys = Vec::with_capacity(chunks.iter().map(|chunk| chunk.num_rows()).sum());
    for ((n, chunk), sets) in (0..).zip(chunks).zip(gather.rows()) {
        for ((row, set), ts) in (0..).zip(sets).zip(ts(chunk)?.values()) {
            keys.push(Key::new(ranks[*set as usize], *ts, Place { chunk: n, row, set: *set }));
        }
    }
    keys.sort_by_key(|key| key.order);
    Ok(keys)
}

/// Each combination's rank by what it has in the identity columns; NULL comes first.
fn ranks(gather: &Gather, identity: &[&str]) -> anyhow::Result<Vec<u32>> {
    let columns = identity.iter().map(|name| match gather.schema().index_of(name).map(|n| gather.column(n)) {
        Ok(Column::Repeated(column)) => {
            let all = (0..column.values.len() as u32).collect::<Vec<_>>();
            Ok((column, column.values.ranks(&all)))
        }
        _ => bail!("column `{name}` is neither a dictionary of strings nor integers"),
    });
    let columns = columns.collect::<anyhow::Result<Vec<_>>>()?;
    // Every table is known by three columns at most.
    let key = |set: u32| {
        let mut key = [None; 3];
        for (slot, (column, ranks)) in key.iter_mut().zip(&columns) {
            let value = gather.value(set, column);
            *slot = (value != NULL).then(|| ranks[value as usize]);
        }
        key
    };
    let mut order = (0..gather.sets()).map(|set| (key(set), set)).collect::<Vec<_>>();
    order.sort_unstable();
    let mut ranks = vec![0; order.len()];
    for (rank, same) in (0..).zip(order.chunk_by(|(a, _), (b, _)| a == b)) {
        same.iter().for_each(|(_, set)| ranks[*set as usize] = rank);
    }
    Ok(ranks)
}

//! What `batch` asks for, carried out between the log and an exporter: neighbouring records of a signal are joined
//! up to a size or a timeout, and split above a maximum. It delays nobody's acknowledgement: the log has the data.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::batch::{Batch, Signal};
use crate::component::Grouping;
use crate::log::{Position, Record};

/// Joined requests stay below this many bytes of OTLP: gRPC servers refuse 4 MiB unless told otherwise.
/// A single record may be larger.
pub(super) const JOINED_BYTES: usize = 3 << 20;

/// Something to export.
#[derive(Debug)]
pub(super) struct Piece {
    pub batch: Batch,
    /// Of the first and the last record in it. Neighbouring pieces of a split record share a position.
    pub first: Position,
    pub last: Position,
}

/// Joins and splits; holds at most one unfinished group a signal, plus what one read of the log gave.
#[derive(Debug, Default)]
pub(super) struct Grouper {
    ready: VecDeque<Piece>,
    open: Vec<Group>,
    /// The last record taken in.
    last: Position,
}

#[derive(Debug)]
struct Group {
    signal: Signal,
    grouping: Grouping,
    since: Instant,
    parts: Vec<Batch>,
    /// Position and items of each record in `parts`, in order.
    spans: VecDeque<(Position, usize)>,
    items: usize,
    bytes: usize,
}

impl Grouper {
    /// `grouping`: of the pipeline the record came through, if that has one.
    pub fn push(&mut self, record: Record, grouping: Option<Grouping>, now: Instant) {
        let Record { position, batch, .. } = record;
        self.last = position;
        let at_once = |grouping: &Grouping| grouping.timeout.is_zero() || grouping.send_batch_size == 0;
        let bytes = batch.otlp().len();
        let held = self.open.iter().position(|group| group.signal == batch.signal());
        if let Some(index) = held
            && (Some(self.open[index].grouping) != grouping || self.open[index].bytes + bytes > JOINED_BYTES)
        {
            self.close(index);
        }
        let Some(grouping) = grouping else {
            self.ready.push_back(Piece { batch, first: position, last: position });
            return;
        };
        let index = self.group(batch.signal(), grouping, now);
        let group = &mut self.open[index];
        group.items += batch.items();
        group.bytes += bytes;
        group.spans.push_back((position, batch.items()));
        group.parts.push(batch);
        if at_once(&grouping) || group.bytes >= JOINED_BYTES {
            self.close(index);
        } else if group.items >= grouping.send_batch_size {
            self.cut(index, now);
        }
    }

    /// The next piece to export, oldest first.
    pub fn pop(&mut self, now: Instant) -> Option<Piece> {
        while let Some(index) = self.open.iter().position(|group| group.due() <= now) {
            self.close(index);
        }
        self.ready.pop_front()
    }

    /// When the oldest group has waited long enough.
    pub fn due(&self) -> Option<Instant> {
        self.open.iter().map(Group::due).min()
    }

    /// Nothing more will come for now: every group is ready.
    pub fn flush(&mut self) {
        while !self.open.is_empty() {
            self.close(0);
        }
    }

    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.open.is_empty()
    }

    /// Everything up to here has been handed on.
    pub fn floor(&self) -> Position {
        let ready = self.ready.iter().map(|piece| piece.first);
        let open = self.open.iter().filter_map(|group| group.spans.front()).map(|(position, _)| *position);
        ready.chain(open).min().map_or(self.last, |first| first.saturating_sub(1))
    }

    fn group(&mut self, signal: Signal, grouping: Grouping, now: Instant) -> usize {
        match self.open.iter().position(|group| group.signal == signal) {
            Some(index) => index,
            None => {
                self.open.push(Group {
                    signal,
                    grouping,
                    since: now,
                    parts: Vec::new(),
                    spans: VecDeque::new(),
                    items: 0,
                    bytes: 0,
                });
                self.open.len() - 1
            }
        }
    }

    /// All of a group becomes ready.
    fn close(&mut self, index: usize) {
        let mut group = self.open.swap_remove(index);
        let pieces = group.pieces();
        self.ready.extend(pieces);
    }

    /// A group has reached its size: what is above a multiple of the maximum waits for more.
    fn cut(&mut self, index: usize, now: Instant) {
        let mut group = self.open.swap_remove(index);
        let mut pieces = group.pieces();
        let rest = pieces.pop_if(|piece| {
            group.grouping.send_batch_max_size > 0 && piece.batch.items() < group.grouping.send_batch_size
        });
        self.ready.extend(pieces);
        if let Some(Piece { batch, first, last }) = rest {
            let spans = spread(first, last, batch.items());
            let (items, bytes) = (batch.items(), batch.otlp().len());
            self.open.push(Group { since: now, parts: vec![batch], spans, items, bytes, ..group });
        }
    }
}

/// A remainder's items as spans: which records they came from matters only for the first and the last.
fn spread(first: Position, last: Position, items: usize) -> VecDeque<(Position, usize)> {
    if first == last { VecDeque::from([(first, items)]) } else { VecDeque::from([(first, 0), (last, items)]) }
}

impl Group {
    fn due(&self) -> Instant {
        self.since + self.grouping.timeout
    }

    fn pieces(&mut self) -> Vec<Piece> {
        let whole = match self.parts.len() {
            1 => self.parts.swap_remove(0),
            _ => Batch::concat(&self.parts),
        };
        self.parts.clear();
        let max = self.grouping.send_batch_max_size;
        let batches = if max == 0 || whole.items() <= max { vec![whole] } else { whole.split(max) };
        batches.into_iter().filter_map(|batch| self.covered(batch)).collect()
    }

    /// Takes the spans that `batch` covers off the front.
    fn covered(&mut self, batch: Batch) -> Option<Piece> {
        let first = self.spans.front()?.0;
        let mut last = first;
        let mut items = batch.items();
        while let Some((position, held)) = self.spans.front_mut() {
            if items == 0 && *held > 0 {
                break;
            }
            last = *position;
            let taken = items.min(*held);
            (items, *held) = (items - taken, *held - taken);
            if *held > 0 {
                break;
            }
            self.spans.pop_front();
        }
        Some(Piece { batch, first, last })
    }
}

//! Reading from disk what is no longer in memory, one hand-out at a time.

use std::io;

use crate::log::format::{SEGMENT_HEADER, names, segment_name};
use crate::log::interest::Reads;
use crate::log::record::Record;
use crate::log::scan::{Scanner, Step, Want};
use crate::log::state::Room;
use crate::log::store::Store;
use crate::log::{Position, Shared};

/// Where one cursor is in the files.
#[derive(Debug, Default)]
pub(super) struct Reader {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    segment: Position,
    edition: u64,
    scanner: Scanner,
    /// The scanner goes on after this position.
    after: Position,
}

/// What was read for a cursor that had been handed everything up to `after`.
#[derive(Debug, Default)]
pub(super) struct Ready {
    after: Position,
    /// Of the segment it was read from, by its first position.
    edition: Option<(Position, u64)>,
    /// With the segment each is from.
    records: Vec<(Record, Position)>,
    /// Nothing else up to here is for this cursor.
    passed: Position,
}

/// A segment, as far as it may be read.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: Position,
    last: Position,
    readable: u64,
    edition: u64,
}

impl Shared {
    /// Blocks. Reads at most one segment, at most what the cursor asks for.
    pub(super) fn read_behind(
        &self,
        reader: &mut Reader,
        name: &str,
        after: Position,
        mut room: Room,
    ) -> io::Result<Ready> {
        let mut ready = Ready { after, edition: None, records: Vec::new(), passed: after };
        let Some(store) = self.store.as_deref() else { return Ok(ready) };
        let Some((reads, span)) = self.next_span(name, after) else {
            ready.passed = self.state().head;
            return Ok(ready);
        };
        ready.edition = Some((span.first, span.edition));
        let Some(open) = reader.at(self, store, span, after)? else {
            ready.passed = span.last;
            return Ok(ready);
        };
        let mut damage = None;
        loop {
            let (from, last) = (open.scanner.offset, open.after);
            match open.scanner.next(Want::Body)? {
                Step::End => {
                    ready.passed = span.last;
                    break;
                }
                Step::Bad { from, to } => damage = Some((damage.map_or(from, |(from, _)| from), to)),
                Step::Good { header, body, at } => {
                    if let Some((from, to)) = damage.take() {
                        self.tell_damage(store, span.first, from, to, header.position - last - 1);
                    }
                    let ours = names(&body[..usize::from(header.names_len)])
                        .is_some_and(|own| reads.wants(&own.pipelines, header.position))
                        && header.position > after
                        && header.items > 0;
                    let size = u64::from(header.body_len) - u64::from(header.names_len);
                    if ours && !room.takes(header.items as usize, size) {
                        open.scanner.seek(from.max(at), last);
                        break;
                    }
                    open.after = header.position;
                    match ours.then(|| header.record(body)) {
                        Some(Some(record)) => ready.records.push((record, span.first)),
                        Some(None) => self.tell_damage(store, span.first, at, open.scanner.offset, 1),
                        None => {}
                    }
                    ready.passed = header.position.max(after);
                }
            }
        }
        if let Some((from, to)) = damage {
            self.tell_damage(store, span.first, from, to, span.last.saturating_sub(open.after));
        }
        Ok(ready)
    }

    /// Hands out what was read, unless the cursor was moved past it meanwhile.
    pub(super) fn hand_out(&self, name: &str, ready: Ready) -> Vec<Record> {
        let mut state = self.state();
        let head = state.head;
        // Read from a file that was replaced meanwhile: it is read again.
        if ready.edition.is_some_and(|(segment, edition)| state.edition(segment).is_some_and(|now| now != edition)) {
            return Vec::new();
        }
        let Some(cursor) = state.cursors.get_mut(name).filter(|cursor| cursor.delivered() >= ready.after) else {
            return Vec::new();
        };
        let mut records = Vec::with_capacity(ready.records.len());
        for (record, segment) in ready.records {
            if record.position > cursor.delivered() {
                cursor.hand_out(&record, segment);
                records.push(record);
            }
        }
        cursor.passed(ready.passed);
        cursor.looked_through(head);
        records
    }

    fn next_span(&self, name: &str, after: Position) -> Option<(Reads, Span)> {
        let mut state = self.state();
        let segment = state.segments.iter().find(|segment| segment.last > after)?;
        let span =
            Span { first: segment.first, last: segment.last, readable: segment.readable, edition: segment.edition };
        let cursor = state.cursors.get_mut(name)?;
        cursor.unreadable_before(span.first);
        Some((cursor.reads.clone()?, span))
    }
}

impl Reader {
    /// `None`: the segment is unreadable, or gone.
    fn at(&mut self, shared: &Shared, store: &Store, span: Span, after: Position) -> io::Result<Option<&mut Open>> {
        let usable = |open: &Open| open.segment == span.first && open.edition == span.edition && open.after <= after;
        if !self.open.as_ref().is_some_and(usable) {
            self.open = None;
            let unreadable = || shared.tell_damage(store, span.first, 0, span.readable, span.last - span.first + 1);
            let file = match store.disk.open(&segment_name(span.first)) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if shared.state().segments.iter().any(|segment| segment.first == span.first) {
                        unreadable();
                    }
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            // Its name may be another file's by now, of which `span` knows nothing.
            if shared.state().edition(span.first).is_some_and(|edition| edition != span.edition) {
                return Ok(None);
            }
            let Some(mut scanner) = Scanner::open(file, Position::MAX)? else {
                unreadable();
                return Ok(None);
            };
            scanner.limit(span.readable);
            let before = skip(&mut scanner, after)?;
            self.open =
                Some(Open { segment: span.first, edition: span.edition, scanner, after: before.max(span.first - 1) });
        }
        if let Some(open) = &mut self.open {
            open.scanner.limit(span.readable);
        }
        Ok(self.open.as_mut())
    }
}

/// Goes to the first record after `after` by the headers alone; returns the position before it.
fn skip(scanner: &mut Scanner, after: Position) -> io::Result<Position> {
    let (mut offset, mut last) = (SEGMENT_HEADER, 0);
    loop {
        match scanner.next(Want::Names)? {
            Step::Good { header, .. } if header.position <= after => (offset, last) = (scanner.offset, header.position),
            Step::Bad { .. } => {}
            Step::Good { .. } | Step::End => break,
        }
    }
    let first = scanner.header.first - 1;
    scanner.seek(offset, last.max(first));
    Ok(last)
}

//! Appending: one thread writes all that waits with one vectored write and one fdatasync, then answers all.
//!
//! A failed fsync says nothing about what reached the disk, and a second one that succeeds says nothing either (the
//! kernel forgets). So the segment is closed as it was, its waiting appends are refused, and a new one begins.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::log::disk::DiskFile;
use crate::log::format::{
    ALIGN, MAX_BODY, MAX_NAMES, RecordHeader, SEGMENT_HEADER, SegmentHeader, encode_names, framed, nanos, segment_name,
    signal_number,
};
use crate::log::record::{Entry, Record};
use crate::log::state::Segment;
use crate::log::store::Store;
use crate::log::{AppendError, Position, Shared};

/// A group takes no more once it has this many bytes.
const GROUP_BYTES: u64 = 8 << 20;

/// One `append`, checksummed where it was called, waiting for the disk.
#[derive(Debug)]
pub(super) struct Waiting {
    entries: Vec<Prepared>,
    size: u64,
    /// By a relay, which needs room to make more.
    of_relay: bool,
    reply: oneshot::Sender<Result<Position, AppendError>>,
}

#[derive(Debug)]
pub(super) enum Work {
    Append(Waiting),
    /// Close the segment that is being written.
    Rotate(oneshot::Sender<io::Result<()>>),
}

#[derive(Debug)]
struct Prepared {
    record: Record,
    header: RecordHeader,
    names: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    /// `None`: the next group begins a new segment.
    open: Option<Open>,
    /// The last position given out.
    last: Position,
    /// Told once, until it works again.
    failing: Cell<bool>,
}

#[derive(Debug)]
struct Open {
    file: Box<dyn DiskFile>,
    first: Position,
    salt: u32,
    /// Durable.
    len: u64,
}

impl Shared {
    /// Checks and checksums outside the writer's thread.
    pub(super) fn prepare(
        &self,
        entries: Vec<Entry>,
        reply: oneshot::Sender<Result<Position, AppendError>>,
    ) -> Result<Waiting, AppendError> {
        let limit = (self.options.max_bytes / 4).min(MAX_BODY);
        let accepted_at = self.now();
        let mut prepared = Vec::with_capacity(entries.len());
        let mut size = 0;
        let (all, of_relay) = (entries.len(), entries.iter().any(|entry| entry.origin.is_some()));
        for (index, Entry { pipelines, batch, origin }) in entries.into_iter().enumerate() {
            let Some(names) = encode_names(&pipelines, origin.as_ref(), index + 1 < all) else {
                let reason = format!("pipeline ids longer than 255 bytes, or {MAX_NAMES} together, cannot be logged");
                return Err(AppendError::Rejected { reason });
            };
            let body = names.len() as u64 + batch.otlp().len() as u64;
            size += framed(body);
            if size > limit {
                return Err(AppendError::Rejected {
                    reason: format!(
                        "the request takes more than {limit} bytes, the most the log takes: send smaller requests"
                    ),
                });
            }
            let mut crc = crc32fast::Hasher::new();
            crc.update(&names);
            crc.update(batch.otlp());
            let header = RecordHeader {
                body_len: body as u32,
                body_crc: crc.finalize(),
                position: 0,
                accepted_at: nanos(accepted_at),
                items: u32::try_from(batch.items()).unwrap_or(u32::MAX),
                group: 0,
                names_len: names.len() as u16,
                signal: signal_number(batch.signal()),
            };
            prepared.push(Prepared { record: Record { position: 0, pipelines, accepted_at, batch }, header, names });
        }
        Ok(Waiting { entries: prepared, size, of_relay, reply })
    }
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Writer {
        let last = shared.state().head;
        Writer { shared, open: None, last, failing: Cell::new(false) }
    }

    /// Until every sender is gone.
    pub(super) fn run(mut self, queue: &std::sync::mpsc::Receiver<Work>) {
        while let Ok(first) = queue.recv() {
            let (mut size, mut group, mut rotate) = (0, Vec::new(), None);
            let mut next = Some(first);
            while let Some(work) = next {
                match work {
                    Work::Append(waiting) => {
                        size += waiting.size;
                        group.push(waiting);
                        next = if size < GROUP_BYTES { queue.try_recv().ok() } else { None };
                    }
                    Work::Rotate(reply) => {
                        rotate = Some(reply);
                        next = None;
                    }
                }
            }
            if !group.is_empty() {
                self.commit(group);
            }
            if let Some(reply) = rotate {
                let _ = reply.send(self.rotate());
            }
        }
    }

    /// Nothing more is written to a segment that holds records.
    pub(super) fn rotate(&mut self) -> io::Result<()> {
        let Some(store) = self.shared.store.clone() else { return Ok(()) };
        if self.shared.state().segments.back().is_some_and(|last| !last.holds.is_empty()) {
            self.open = None;
            self.open = Some(self.begin_segment(&store)?);
        }
        Ok(())
    }

    pub(super) fn commit(&mut self, mut group: Vec<Waiting>) {
        let outcome = self.room(&mut group).and_then(|()| self.write(&mut group));
        let mut group = group.into_iter().map(|waiting| (waiting.reply, waiting.entries));
        match outcome {
            Ok(end) => {
                let answers = self.publish(&mut group, end);
                answers.into_iter().for_each(|(reply, position)| drop(reply.send(Ok(position))));
            }
            Err(error) => group.for_each(|(reply, _)| drop(reply.send(Err(error.clone())))),
        }
    }

    /// Makes room for `group`. When the log is full, only what relays made may go on: it takes the place of what they read.
    fn room(&self, group: &mut Vec<Waiting>) -> Result<(), AppendError> {
        let Some(store) = &self.shared.store else { return Err(busy("the log has no disk".to_owned())) };
        let size = |group: &[Waiting]| group.iter().map(|waiting| waiting.size).sum::<u64>() + SEGMENT_HEADER;
        let options = &self.shared.options;
        let full = match self.shared.make_room(store, size(group), options.max_bytes) {
            Err(full) if group.iter().any(|waiting| waiting.of_relay) => full,
            outcome => return outcome,
        };
        for waiting in group.extract_if(.., |waiting| !waiting.of_relay) {
            let _ = waiting.reply.send(Err(full.clone()));
        }
        self.shared.make_room(store, size(group), options.max_bytes + options.relay_bytes())
    }

    /// Returns the segment's new length.
    fn write(&mut self, group: &mut [Waiting]) -> Result<u64, AppendError> {
        let Some(store) = self.shared.store.clone() else { return Err(busy("the log has no disk".to_owned())) };
        let size: u64 = group.iter().map(|waiting| waiting.size).sum();
        let full = |open: &Open| open.len > SEGMENT_HEADER && open.len + size > self.shared.segment_bytes();
        if self.open.as_ref().is_none_or(full) {
            self.open = None;
            self.open = Some(self.begin_segment(&store).map_err(|error| self.failed("begin a segment of", &error))?);
        }
        let Some(open) = &self.open else { return Err(busy("no segment is open".to_owned())) };
        let mut position = self.last;
        let mut headers = Vec::new();
        for entry in group.iter_mut().flat_map(|waiting| &mut waiting.entries) {
            position += 1;
            entry.record.position = position;
            entry.header.position = position;
            entry.header.group = u32::try_from(open.len).unwrap_or(u32::MAX);
            headers.push(entry.header.encode(open.salt));
        }
        let mut parts = Vec::with_capacity(headers.len() * 4);
        for (entry, header) in group.iter().flat_map(|waiting| &waiting.entries).zip(&headers) {
            const ZEROS: [u8; ALIGN as usize] = [0; ALIGN as usize];
            let padding = entry.header.size() - (header.len() as u64 + u64::from(entry.header.body_len));
            parts.push(IoSlice::new(header));
            parts.push(IoSlice::new(&entry.names));
            parts.push(IoSlice::new(entry.record.batch.otlp()));
            parts.push(IoSlice::new(&ZEROS[..padding as usize]));
        }
        if let Err(error) = open.file.append(&mut parts) {
            // As before, or not to be used again.
            if open.file.truncate(open.len).is_err() {
                self.poison(position);
            }
            return Err(self.failed("write to", &error));
        }
        let begun = Instant::now();
        if let Err(error) = open.file.sync() {
            self.poison(position);
            return Err(self.failed("fsync", &error));
        }
        let took = begun.elapsed();
        self.failing.set(false);
        let end = open.len + size;
        self.shared.stats.syncs.fetch_add(1, Relaxed);
        self.shared.stats.sync_nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        self.shared.instruments.group(headers.len(), size, took);
        Ok(end)
    }

    fn publish(
        &mut self,
        group: &mut dyn Iterator<Item = (oneshot::Sender<Result<Position, AppendError>>, Vec<Prepared>)>,
        end: u64,
    ) -> Vec<(oneshot::Sender<Result<Position, AppendError>>, Position)> {
        let Some(open) = &mut self.open else { return Vec::new() };
        open.len = end;
        let mut answers = Vec::new();
        let mut state = self.shared.state();
        for (reply, entries) in group {
            for Prepared { record, .. } in entries {
                self.last = record.position;
                self.shared.stats.appended(record.counts());
                state.append(record, open.first);
            }
            answers.push((reply, self.last));
        }
        if let Some(segment) = state.segments.back_mut() {
            segment.bytes = end;
            segment.readable = end;
        }
        state.trim_tail(true);
        state.tail.shrink_to(self.shared.options.tail_bytes);
        self.shared.measure(&state);
        drop(state);
        self.shared.head.send_replace(self.last);
        answers
    }

    fn begin_segment(&mut self, store: &Store) -> io::Result<Open> {
        let first = self.last + 1;
        let follows = self.shared.state().last_record();
        let salt = store.disk.random();
        let file = store.disk.create(&segment_name(first))?;
        file.append(&mut [IoSlice::new(&SegmentHeader { first, follows, salt }.encode())])?;
        file.sync()?;
        store.disk.sync_names()?;
        let segment = Segment {
            first,
            last: first - 1,
            bytes: SEGMENT_HEADER,
            readable: SEGMENT_HEADER,
            holds: Default::default(),
            oldest: None,
            edition: 0,
        };
        let mut state = self.shared.state();
        // One that stayed empty has the same name, and was replaced.
        if state.segments.back().is_some_and(|last| last.first == first) {
            state.segments.pop_back();
        }
        state.segments.push_back(segment);
        // Cursors without a backlog pass segments without a commit.
        self.shared.moved(&mut state);
        drop(state);
        Ok(Open { file, first, salt, len: SEGMENT_HEADER })
    }

    /// Closes the segment as it was before this group, whose positions are not used again.
    fn poison(&mut self, last: Position) {
        if let Some(open) = self.open.take() {
            let _ = open.file.truncate(open.len);
        }
        self.last = last;
    }

    fn failed(&self, what: &str, error: &io::Error) -> AppendError {
        self.shared.stats.sync_failures.fetch_add(1, Relaxed);
        if !self.failing.replace(true) {
            tracing::warn!(%error, "cannot {what} the log: senders are refused until it works; look at the disk");
        }
        busy(format!("cannot {what} the log: {error}"))
    }
}

impl Shared {
    /// Deletes, or lets cursors that may drop their oldest data, until `size` more bytes fit.
    fn make_room(&self, store: &Store, size: u64, max_bytes: u64) -> Result<(), AppendError> {
        loop {
            let mut state = self.state();
            let used: u64 = state.segments.iter().map(|segment| segment.bytes).sum();
            if used + size <= max_bytes {
                return Ok(());
            }
            let passed = state.take_passed();
            if !passed.is_empty() {
                drop(state);
                self.delete(store, &passed);
                continue;
            }
            let Some((first, last)) = state.oldest_closed() else { return Ok(()) };
            match state.give_up(last, |cursor| cursor.drop_segment(first, last)) {
                Ok(losses) => {
                    state.unsaved = true;
                    drop(state);
                    self.report(&losses);
                    self.wake_keeper();
                }
                Err(holder) => {
                    return Err(busy(format!(
                        "the log is full ({} MiB on disk) and waits for exporter `{}`",
                        self.options.max_bytes >> 20,
                        holder.cursor
                    )));
                }
            }
        }
    }
}

fn busy(reason: String) -> AppendError {
    AppendError::Busy { retry_after: Duration::from_secs(1), reason }
}

//! One segment through an edit, into a file aside.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};

use super::{Change, lean};
use crate::batch::Batch;
use crate::log::Position;
use crate::log::disk::{Disk, DiskFile};
use crate::log::format::{ALIGN, MAX_BODY, RECORD_HEADER, RecordHeader, SEGMENT_HEADER, SegmentHeader, signal_number};
use crate::log::record::{Counts, Record};
use crate::log::scan::{Scanner, Step, Want, read_full};
use crate::log::state::Segment;

/// Written at once.
const CHUNK: usize = 1 << 20;

pub(super) struct Copy<'a> {
    disk: &'a dyn Disk,
    name: &'a str,
    aside: &'a str,
    header: SegmentHeader,
    through: Position,
    in_tail_after: Position,
    out: Option<Out>,
    copied: Copied,
}

/// A file that is whole and fsynced under its name aside, and what it holds.
pub(super) struct Copied {
    pub segment: Segment,
    pub changes: Vec<Change>,
    /// What the tail is to hold instead.
    pub in_tail: Vec<(Position, Batch)>,
}

struct Out {
    file: Box<dyn DiskFile>,
    len: u64,
    pending: Vec<u8>,
}

impl<'a> Copy<'a> {
    pub fn new(
        disk: &'a dyn Disk,
        name: &'a str,
        aside: &'a str,
        header: &SegmentHeader,
        through: Position,
        in_tail_after: Position,
    ) -> Copy<'a> {
        let segment = Segment {
            first: header.first,
            last: header.first.saturating_sub(1),
            bytes: 0,
            readable: 0,
            holds: BTreeMap::new(),
            oldest: None,
            edition: 0,
        };
        let copied = Copied { segment, changes: Vec::new(), in_tail: Vec::new() };
        Copy { disk, name, aside, header: *header, through, in_tail_after, out: None, copied }
    }

    /// `None`: nothing is to change, and nothing was written. `damage` is told what cannot be read: from, to, records.
    pub fn run(
        mut self,
        scanner: &mut Scanner,
        edit: &dyn Fn(&Batch) -> Option<Batch>,
        damage: impl Fn(u64, u64, u64),
    ) -> io::Result<Option<Copied>> {
        let mut bad: Option<(u64, u64)> = None;
        loop {
            match scanner.next(Want::Body)? {
                Step::End => break,
                Step::Bad { from, to } => {
                    // Nobody can say what it holds.
                    self.begin(from)?;
                    bad = Some((bad.map_or(from, |(from, _)| from), to));
                }
                Step::Good { header, body, at } => {
                    let last = self.copied.segment.last;
                    if let Some((from, to)) = bad.take() {
                        damage(from, to, header.position - last - 1);
                    }
                    match header.record(body.clone()) {
                        Some(record) => self.record(header, &body, record, at, edit)?,
                        None => {
                            self.begin(at)?;
                            bad = Some((at, at + header.size()));
                        }
                    }
                }
            }
        }
        if let Some((from, to)) = bad {
            damage(from, to, 0);
        }
        let Some(mut out) = self.out else { return Ok(None) };
        out.flush()?;
        out.file.sync()?;
        (self.copied.segment.bytes, self.copied.segment.readable) = (out.len, out.len);
        Ok(Some(self.copied))
    }

    fn record(
        &mut self,
        mut header: RecordHeader,
        body: &[u8],
        record: Record,
        at: u64,
        edit: &dyn Fn(&Batch) -> Option<Batch>,
    ) -> io::Result<()> {
        let edited = if record.position <= self.through { edit(&record.batch) } else { None };
        let before = header.counts();
        match edited {
            None => {
                if let Some(out) = &mut self.out {
                    out.push(header, self.header.salt, &[body])?;
                }
            }
            Some(batch) => {
                self.begin(at)?;
                let batch = lean(&batch);
                let names = body.get(..usize::from(header.names_len)).unwrap_or_default();
                let (len, otlp) = (names.len() as u64 + batch.otlp().len() as u64, batch.otlp().clone());
                if len > MAX_BODY {
                    return Err(io::Error::other("a record of the log would be longer than a record may be"));
                }
                let mut crc = crc32fast::Hasher::new();
                crc.update(names);
                crc.update(&otlp);
                header.body_len = len as u32;
                header.body_crc = crc.finalize();
                header.items = u32::try_from(batch.items()).unwrap_or(u32::MAX);
                header.signal = signal_number(batch.signal());
                if let Some(out) = &mut self.out {
                    out.push(header, self.header.salt, &[names, &otlp])?;
                }
                let (position, pipelines) = (record.position, record.pipelines.clone());
                self.copied.changes.push(Change { position, pipelines, before, after: header.counts() });
                if position > self.in_tail_after {
                    self.copied.in_tail.push((position, batch));
                }
            }
        }
        let counts: Counts = header.counts();
        self.copied.segment.note(&record.pipelines, record.position, counts, record.accepted_at);
        Ok(())
    }

    /// The file aside, with what comes before `at` in the old one as it is.
    fn begin(&mut self, at: u64) -> io::Result<()> {
        if self.out.is_some() {
            return Ok(());
        }
        let mut out = Out { file: self.disk.create(self.aside)?, len: 0, pending: Vec::new() };
        out.pending.extend_from_slice(&self.header.encode());
        out.len = SEGMENT_HEADER;
        let old = self.disk.open(self.name)?;
        let mut from = SEGMENT_HEADER;
        while from < at {
            let mut chunk = vec![0; CHUNK.min((at - from) as usize)];
            if read_full(old.as_ref(), &mut chunk, from)? != chunk.len() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            from += chunk.len() as u64;
            out.len += chunk.len() as u64;
            out.pending.append(&mut chunk);
            out.flush()?;
        }
        self.out = Some(out);
        Ok(())
    }
}

impl Out {
    /// Each record is a group of its own: all of them were acknowledged, and none is a torn write.
    fn push(&mut self, mut header: RecordHeader, salt: u32, body: &[&[u8]]) -> io::Result<()> {
        header.group = u32::try_from(self.len).unwrap_or(u32::MAX);
        self.pending.extend_from_slice(&header.encode(salt));
        body.iter().for_each(|part| self.pending.extend_from_slice(part));
        let padding = header.size() - RECORD_HEADER as u64 - u64::from(header.body_len);
        debug_assert!(padding < ALIGN, "up to the next record");
        self.pending.resize(self.pending.len() + padding as usize, 0);
        self.len += header.size();
        if self.pending.len() >= CHUNK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.append(&mut [IoSlice::new(&self.pending)])?;
        self.pending.clear();
        Ok(())
    }
}

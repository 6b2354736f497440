//! Walks a segment's records in bounded memory, past damage to the next good record.

use std::io;

use bytes::Bytes;

use crate::log::Position;
use crate::log::disk::DiskFile;
use crate::log::format::{ALIGN, MAGIC, RECORD_HEADER, RecordHeader, SEGMENT_HEADER, SegmentHeader};

/// Read at once when bodies are wanted, and when looking for the next good header.
const CHUNK: u64 = 256 << 10;
/// Read at once when bodies are skipped.
const HOP: u64 = 4 << 10;
/// Longer bodies are read straight into their own memory.
const LARGE: u32 = 64 << 10;

#[derive(Debug)]
pub(super) struct Scanner {
    file: Box<dyn DiskFile>,
    pub(super) header: SegmentHeader,
    window: Vec<u8>,
    window_at: u64,
    /// Where the next record should be.
    pub(super) offset: u64,
    /// Nothing at or after this offset is looked at.
    end: u64,
    /// Good records have positions between these two, both left out.
    after: Position,
    before: Position,
}

#[derive(Debug)]
pub(super) enum Step {
    /// `body` only when asked for, and then it fits its checksum.
    Good {
        header: RecordHeader,
        body: Bytes,
        at: u64,
    },
    /// Bytes that are no record.
    Bad {
        from: u64,
        to: u64,
    },
    End,
}

/// How much of a body to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// Only the names; the checksum is not looked at.
    Names,
    Body,
}

impl Scanner {
    /// `None`: both copies of the header are damaged.
    pub(super) fn open(file: Box<dyn DiskFile>, before: Position) -> io::Result<Option<Scanner>> {
        let end = file.len()?;
        let mut header = [0; SEGMENT_HEADER as usize];
        let read = read_full(file.as_ref(), &mut header, 0)?;
        let whole = read == header.len();
        Ok(SegmentHeader::decode(&header).filter(|_| whole).map(|header| Scanner {
            file,
            header,
            window: Vec::new(),
            window_at: 0,
            offset: SEGMENT_HEADER,
            end,
            after: header.first.saturating_sub(1),
            before,
        }))
    }

    /// Nothing at or after `end` is read; it may grow.
    pub(super) fn limit(&mut self, end: u64) {
        self.end = end;
    }

    pub(super) fn rewind(&mut self) {
        self.seek(SEGMENT_HEADER, self.header.first.saturating_sub(1));
    }

    pub(super) fn seek(&mut self, offset: u64, after: Position) {
        self.offset = offset;
        self.after = after;
    }

    pub(super) fn next(&mut self, want: Want) -> io::Result<Step> {
        if self.offset >= self.end {
            return Ok(Step::End);
        }
        let at = self.offset;
        let Some(header) = self.header_at(at, want)? else { return self.resync(at) };
        self.offset = at + header.size();
        let body = match want {
            Want::Names => self.bytes_at(at + RECORD_HEADER as u64, u32::from(header.names_len), HOP)?,
            Want::Body => self.bytes_at(at + RECORD_HEADER as u64, header.body_len, CHUNK)?,
        };
        if want == Want::Body && crc32fast::hash(&body) != header.body_crc {
            return Ok(Step::Bad { from: at, to: self.offset });
        }
        self.after = header.position;
        Ok(Step::Good { header, body, at })
    }

    fn header_at(&mut self, at: u64, want: Want) -> io::Result<Option<RecordHeader>> {
        let most = if want == Want::Body { CHUNK } else { HOP };
        let salt = self.header.salt;
        let bytes = self.window(at, RECORD_HEADER as u64, most)?;
        let header = RecordHeader::decode(bytes, salt);
        Ok(header.filter(|header| self.plausible(at, header)))
    }

    fn plausible(&self, at: u64, header: &RecordHeader) -> bool {
        header.position > self.after && header.position < self.before && at + header.size() <= self.end
    }

    /// Looks for the next good header after `from`.
    fn resync(&mut self, from: u64) -> io::Result<Step> {
        let mut at = from + ALIGN;
        while at + RECORD_HEADER as u64 <= self.end {
            let salt = self.header.salt;
            let bytes = self.window(at, RECORD_HEADER as u64, CHUNK)?;
            let len = bytes.len();
            let found = (0..=len.saturating_sub(RECORD_HEADER)).step_by(ALIGN as usize).find_map(|start| {
                let candidate = bytes.get(start..)?;
                let header = candidate.starts_with(&MAGIC).then(|| RecordHeader::decode(candidate, salt))??;
                Some((start as u64, header))
            });
            match found {
                Some((start, header)) if self.plausible(at + start, &header) => {
                    self.offset = at + start;
                    return Ok(Step::Bad { from, to: self.offset });
                }
                Some((start, _)) => at += start + ALIGN,
                None => at += (len.saturating_sub(RECORD_HEADER) as u64 / ALIGN + 1) * ALIGN,
            }
        }
        self.offset = self.end;
        Ok(Step::Bad { from, to: self.end })
    }

    fn bytes_at(&mut self, at: u64, len: u32, most: u64) -> io::Result<Bytes> {
        if len < LARGE {
            let bytes = self.window(at, u64::from(len), most)?;
            return Ok(Bytes::copy_from_slice(&bytes[..bytes.len().min(len as usize)]));
        }
        // Its beginning came with the header.
        let have =
            at.checked_sub(self.window_at).and_then(|start| self.window.get(start as usize..)).unwrap_or_default();
        let mut body = Vec::with_capacity(len as usize);
        body.extend_from_slice(&have[..have.len().min(len as usize)]);
        let begun = body.len();
        body.resize(len as usize, 0);
        let read = read_full(self.file.as_ref(), &mut body[begun..], at + begun as u64)?;
        body.truncate(begun + read);
        Ok(body.into())
    }

    /// At least `len` bytes from `at` on, unless the end comes first, and more if they are at hand. If they must be
    /// read, `most` are.
    fn window(&mut self, at: u64, len: u64, most: u64) -> io::Result<&[u8]> {
        let have = self.window_at + self.window.len() as u64;
        if at < self.window_at || at + len > have {
            let size = most.max(len).min(self.end.saturating_sub(at));
            self.window.resize(size as usize, 0);
            let read = read_full(self.file.as_ref(), &mut self.window, at)?;
            self.window.truncate(read);
            self.window_at = at;
        }
        let start = ((at - self.window_at) as usize).min(self.window.len());
        Ok(&self.window[start..])
    }
}

pub(super) fn read_full(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

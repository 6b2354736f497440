//! Reading a request's body: bounded, reserved with `Admission` as it arrives, and not for ever.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use catchment_pipeline::component::Admission;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::sync::OwnedSemaphorePermit;

use super::answer::{Refusal, Why};
use super::refusals::Refusals;

/// A sender that is silent for this long in the middle of a request is given up.
const STALL: Duration = Duration::from_secs(30);
/// Reservations grow by this much at least: one semaphore operation for many small pieces.
const GRAIN: usize = 64 << 10;

#[derive(Clone)]
pub(super) struct Limits {
    /// Of a request, compressed and decompressed each.
    pub(super) max_bytes: usize,
    pub(super) admission: Arc<Admission>,
    pub(super) refusals: Arc<Refusals>,
}

impl Limits {
    /// Bytes of all requests in flight together.
    pub(super) fn in_flight(&self) -> usize {
        usize::try_from(self.admission.limit_bytes()).unwrap_or(usize::MAX)
    }

    pub(super) fn too_large(&self) -> Refusal {
        let message =
            format!("the request is larger than {} bytes, the limit here; send smaller batches", self.max_bytes);
        Refusal::new(Why::TooLarge, message)
    }
}

/// Bytes from which decompressing and parsing are done aside.
pub(super) const ASIDE: usize = 64 << 10;

/// Work of milliseconds keeps no other connection waiting: it leaves the threads that carry I/O.
pub(super) async fn aside<T: Send + 'static>(
    large: bool,
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    if !large {
        return work();
    }
    let stopped = |error: tokio::task::JoinError| Refusal::new(Why::Busy(Duration::from_secs(1)), error.to_string());
    tokio::task::spawn_blocking(work).await.map_err(stopped)?
}

/// Bytes reserved for one request, until it is dropped.
pub(super) struct Reserved {
    limits: Limits,
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Reserved {
    pub(super) fn new(limits: &Limits) -> Reserved {
        Reserved { limits: limits.clone(), permit: None, bytes: 0 }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Makes sure that `bytes` are reserved in all.
    pub(super) fn grow_to(&mut self, bytes: usize) -> Result<(), Refusal> {
        if bytes <= self.bytes {
            return Ok(());
        }
        let most = self.limits.in_flight();
        if bytes > most {
            // Coming again would not help: it does not fit even when nothing else is there.
            let message = format!(
                "the request takes {bytes} bytes on its way, and {most} may be in flight in all \
                 (service::admission::request_limit_mib); send smaller batches"
            );
            return Err(Refusal::new(Why::TooLarge, message));
        }
        let more = (bytes - self.bytes).next_multiple_of(GRAIN);
        let permit = self.limits.admission.admit(more).map_err(Refusal::admission)?;
        match &mut self.permit {
            Some(held) => held.merge(permit),
            None => self.permit = Some(permit),
        }
        self.bytes += more;
        Ok(())
    }
}

/// A body as it came, in pieces: what is large is not copied until it is known what for, what is small is gathered,
/// so that a body of tiny frames costs no more than its bytes.
#[derive(Default)]
pub(super) struct Pieces {
    pieces: VecDeque<Bytes>,
    gathered: Vec<u8>,
    len: usize,
}

/// Pieces below this are gathered.
const SMALL: usize = 4096;

impl Pieces {
    /// Reads a body to its end. `expected`: its length, where the sender said; refused before any of it is read.
    pub(super) async fn read<B>(mut body: B, expected: Option<u64>, reserved: &mut Reserved) -> Result<Pieces, Refusal>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let max = reserved.limits.max_bytes;
        if expected.is_some_and(|length| length > max as u64) {
            return Err(reserved.limits.too_large());
        }
        let mut read = Pieces::default();
        loop {
            let frame = match tokio::time::timeout(STALL, body.frame()).await {
                Ok(None) => {
                    read.settle();
                    return Ok(read);
                }
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => {
                    return Err(Refusal::new(Why::BrokenOff, format!("the request broke off: {error}")));
                }
                Err(_) => return Err(Refusal::new(Why::Slow, format!("nothing arrived for {STALL:?}"))),
            };
            let Ok(data) = frame.into_data() else { continue };
            if data.is_empty() {
                continue;
            }
            read.len += data.len();
            if read.len > max {
                return Err(reserved.limits.too_large());
            }
            reserved.grow_to(read.len)?;
            if data.len() < SMALL {
                read.gathered.extend_from_slice(&data);
            } else {
                read.settle();
                read.pieces.push_back(data);
            }
        }
    }

    fn settle(&mut self) {
        if !self.gathered.is_empty() {
            self.pieces.push_back(std::mem::take(&mut self.gathered).into());
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// As one buffer: no copy when it came as one piece.
    pub(super) fn into_bytes(mut self) -> Bytes {
        match self.pieces.len() {
            1 => self.pieces.pop_front().unwrap_or_default(),
            _ => {
                let mut whole = Vec::with_capacity(self.len);
                // By value: each piece is freed once it has been copied.
                self.pieces.into_iter().for_each(|piece| whole.extend_from_slice(&piece));
                whole.into()
            }
        }
    }

    /// The first `N` bytes, taken off.
    pub(super) fn split_array<const N: usize>(&mut self) -> Option<[u8; N]> {
        if self.len < N {
            return None;
        }
        let mut head = [0; N];
        std::io::Read::read_exact(self, &mut head).ok()?;
        Some(head)
    }
}

impl std::io::Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while let Some(piece) = self.pieces.front_mut() {
            if piece.is_empty() {
                self.pieces.pop_front();
                continue;
            }
            let taken = piece.len().min(out.len());
            piece.copy_to_slice(&mut out[..taken]);
            self.len -= taken;
            return Ok(taken);
        }
        Ok(0)
    }
}

//! One connection: what a client says, and what it is sent.
//!
//! Frames go out in pieces of [`PIECE`] bytes, straight from the bytes that all clients share. While one is under way
//! nothing is read: a client that does not read is not listened to either, and cut off after [`PATIENCE`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data as Opcode, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message as Raw};

use super::hub::Hub;
use super::mailbox::{Due, Mailbox};
use super::protocol::{self, MAX_MESSAGE, MAX_SUBSCRIPTIONS, Message, Subscribe};
use super::stream::Stream;
use super::subscribe;
use crate::problem::Problem;

/// What the library buffers of a connection is a few of these.
pub const PIECE: usize = 4 << 10;
const PING: Duration = Duration::from_secs(20);
const IDLE: Duration = Duration::from_secs(60);
/// For a piece to be taken.
const PATIENCE: Duration = Duration::from_secs(30);
const FAREWELL: Duration = Duration::from_secs(1);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Why a connection ends.
enum End {
    Gone,
    Close(CloseCode, &'static str),
}

impl From<Error> for End {
    fn from(error: Error) -> End {
        match error {
            Error::Capacity(CapacityError::MessageTooLong { .. }) => {
                End::Close(CloseCode::Size, "a message has at most 64 KiB")
            }
            Error::Utf8(_) => End::Close(CloseCode::Invalid, "text is UTF-8"),
            Error::Protocol(_) => End::Close(CloseCode::Protocol, "this is not WebSocket"),
            _ => End::Gone,
        }
    }
}

pub async fn serve(socket: Socket, hub: Arc<Hub>) {
    let mailbox = Arc::new(Mailbox::default());
    let streams = BTreeMap::new();
    let mut connection =
        Connection { socket, hub, mailbox, subscriptions: BTreeMap::new(), streams, status: Vec::new() };
    let end = connection.run().await;
    for (stream, _) in connection.streams.values() {
        stream.leave(&connection.mailbox);
    }
    if let End::Close(code, reason) = end {
        tracing::debug!(%code, reason, "a live connection is closed");
        let close = connection.socket.close(Some(CloseFrame { code, reason: reason.into() }));
        let _ = timeout(FAREWELL, close).await;
    }
}

struct Connection {
    socket: Socket,
    hub: Arc<Hub>,
    mailbox: Arc<Mailbox>,
    /// The client's id to the stream's.
    subscriptions: BTreeMap<u64, u64>,
    /// Each with the subscriptions that it is for.
    streams: BTreeMap<u64, (Arc<Stream>, Vec<u64>)>,
    /// Subscriptions of the pipeline's status.
    status: Vec<u64>,
}

impl Connection {
    async fn run(&mut self) -> End {
        match self.talk().await {
            Ok(()) => End::Gone,
            Err(end) => end,
        }
    }

    async fn talk(&mut self) -> Result<(), End> {
        self.text(protocol::hello(self.hub.data().log_id())).await?;
        self.flush().await?;
        let shutdown = self.hub.shutdown().clone();
        let mailbox = self.mailbox.clone();
        let mut ping = interval_at(Instant::now() + PING, PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        let mut status: Option<watch::Receiver<Bytes>> = None;
        loop {
            tokio::select! {
                // What was heard comes first: an answered ping may have waited while a frame was sent.
                biased;
                () = shutdown.cancelled() => return Err(End::Close(CloseCode::Away, "the server stops")),
                message = self.socket.next() => {
                    let Some(message) = message else { return Ok(()) };
                    heard = Instant::now();
                    if !self.hear(message?, &mut status).await? {
                        return Ok(());
                    }
                }
                () = mailbox.filled() => {
                    while let Some((stream, due)) = mailbox.take() {
                        self.deliver(stream, due).await?;
                    }
                }
                snapshot = changed(&mut status) => {
                    for id in self.status.clone() {
                        self.tell_status(id, snapshot.clone()).await?;
                    }
                }
                _ = ping.tick() => {
                    if heard.elapsed() >= IDLE {
                        return Err(End::Close(CloseCode::Policy, "nothing was heard for a minute"));
                    }
                    self.send(Raw::Ping(Bytes::new())).await?;
                }
            }
            self.flush().await?;
        }
    }

    /// `false`: the client says goodbye.
    async fn hear(&mut self, message: Raw, status: &mut Option<watch::Receiver<Bytes>>) -> Result<bool, End> {
        let text = match message {
            Raw::Text(text) => text,
            Raw::Binary(_) => return Err(End::Close(CloseCode::Unsupported, "messages are text")),
            Raw::Close(_) => {
                // The library has the answer ready.
                self.flush().await?;
                return Ok(false);
            }
            Raw::Ping(_) | Raw::Pong(_) | Raw::Frame(_) => return Ok(true),
        };
        match protocol::parse(&text) {
            Ok(Message::Subscribe(subscribe)) => self.subscribe(*subscribe, status).await?,
            Ok(Message::Unsubscribe(unsubscribe)) => self.unsubscribe(unsubscribe.id, status),
            Err(problem) => self.text(protocol::error(None, &problem)).await?,
        }
        Ok(true)
    }

    async fn subscribe(
        &mut self,
        subscribe: Subscribe,
        status: &mut Option<watch::Receiver<Bytes>>,
    ) -> Result<(), End> {
        let id = subscribe.id;
        let outcome = if self.subscriptions.contains_key(&id) || self.status.contains(&id) {
            Err(Problem::bad_request(format!("{id} is subscribed already; unsubscribe it, or take another id")))
        } else if self.subscriptions.len() + self.status.len() >= MAX_SUBSCRIPTIONS {
            Err(Problem::bad_request(format!("a connection has at most {MAX_SUBSCRIPTIONS} subscriptions")))
        } else if subscribe.status {
            self.status.push(id);
            let snapshot = status.get_or_insert_with(|| self.hub.status()).borrow().clone();
            return self.tell_status(id, snapshot).await;
        } else {
            self.watch(subscribe)
        };
        match outcome {
            Ok((stream, step)) => self.text(protocol::subscribed(id, stream, step)).await,
            Err(problem) => self.text(protocol::error(Some(id), &problem)).await,
        }
    }

    fn watch(&mut self, subscribe: Subscribe) -> Result<(u64, i64), Problem> {
        let id = subscribe.id;
        let wanted = subscribe::read(subscribe)?;
        let step = wanted.key.step;
        let stream = self.hub.subscribe(wanted.key, wanted.template, &self.mailbox, wanted.resume)?;
        let (_, ids) = self.streams.entry(stream.id).or_insert_with(|| (stream.clone(), Vec::new()));
        if !ids.is_empty() {
            // The others of this connection hold rows already, this one does not: all are sent everything.
            stream.leave(&self.mailbox);
            stream.watch(&self.mailbox, None, self.hub.data());
        }
        ids.push(id);
        self.subscriptions.insert(id, stream.id);
        Ok((stream.id, step))
    }

    fn unsubscribe(&mut self, id: u64, status: &mut Option<watch::Receiver<Bytes>>) {
        self.status.retain(|other| *other != id);
        if self.status.is_empty() {
            *status = None;
        }
        let Some(stream) = self.subscriptions.remove(&id) else { return };
        let Some((watched, ids)) = self.streams.get_mut(&stream) else { return };
        ids.retain(|other| *other != id);
        if ids.is_empty() {
            watched.leave(&self.mailbox);
            self.streams.remove(&stream);
        }
    }

    async fn deliver(&mut self, stream: u64, due: Due) -> Result<(), End> {
        let Some((stream, ids)) = self.streams.get(&stream) else { return Ok(()) };
        let (stream, ids) = (stream.clone(), ids.clone());
        let mut problem = if due.problem { stream.problem() } else { None };
        match due.rows.and_then(|missing| stream.frame(missing)) {
            Some(Ok(frame)) => self.pieces(Opcode::Binary, frame, true).await?,
            Some(Err(failed)) => problem = Some(failed),
            None => {}
        }
        if let Some(problem) = problem {
            for id in ids {
                self.text(protocol::error(Some(id), &problem)).await?;
            }
        }
        Ok(())
    }

    async fn tell_status(&mut self, id: u64, snapshot: Bytes) -> Result<(), End> {
        // Empty before the first one is made.
        if snapshot.is_empty() {
            return Ok(());
        }
        let (before, after) = protocol::around_status(id);
        self.pieces(Opcode::Text, before.into(), false).await?;
        self.pieces(Opcode::Continue, snapshot, false).await?;
        self.pieces(Opcode::Continue, after.into(), true).await
    }

    async fn text(&mut self, text: String) -> Result<(), End> {
        self.pieces(Opcode::Text, text.into(), true).await
    }

    /// One message, or a part of it.
    async fn pieces(&mut self, opcode: Opcode, mut bytes: Bytes, last: bool) -> Result<(), End> {
        let mut opcode = opcode;
        loop {
            let piece = bytes.split_to(bytes.len().min(PIECE));
            let is_last = bytes.is_empty();
            self.send(Raw::Frame(Frame::message(piece, OpCode::Data(opcode), is_last && last))).await?;
            if is_last {
                return Ok(());
            }
            opcode = Opcode::Continue;
        }
    }

    async fn send(&mut self, message: Raw) -> Result<(), End> {
        let sent = timeout(PATIENCE, self.socket.feed(message));
        taken(self.hub.shutdown().run_until_cancelled(sent).await)
    }

    async fn flush(&mut self) -> Result<(), End> {
        let sent = timeout(PATIENCE, self.socket.flush());
        taken(self.hub.shutdown().run_until_cancelled(sent).await)
    }
}

/// A client that takes nothing, and one that is in the middle of something when the server stops, is not told.
fn taken(sent: Option<Result<Result<(), Error>, Elapsed>>) -> Result<(), End> {
    match sent {
        Some(Ok(sent)) => Ok(sent?),
        Some(Err(_)) | None => Err(End::Gone),
    }
}

/// The next snapshot; never, when nobody asked for one.
async fn changed(status: &mut Option<watch::Receiver<Bytes>>) -> Bytes {
    if let Some(status) = status
        && status.changed().await.is_ok()
    {
        return status.borrow_and_update().clone();
    }
    std::future::pending().await
}

const _: () = assert!(MAX_MESSAGE == 64 << 10, "the close reason says so");

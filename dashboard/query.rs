//! `POST /api/v1/query`: one SQL statement, its answer streamed.
//!
//! An answer holds a turn (a permit) and the query's snapshot until it is sent, the client leaves or its time is up,
//! whichever comes first: a reader that stalls cannot hold them longer. At most [`AHEAD`] chunks of [`CHUNK_ROWS`]
//! rows are encoded ahead of the client.
//!
//! What fails before the first row has its own status. What fails later is seen in the body: JSON ends as a whole
//! document with `error`, NDJSON with an `{"error": ..}` line, and in every format but JSON the transfer breaks off
//! (HTTP/1.1: no last chunk; HTTP/2: RST_STREAM), which every client library reports.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use catchment_storage::{QueryLimits, RaisedBy};
use futures::{Stream, StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::Instrument as _;

use crate::App;
use crate::data::Rows;
use crate::format::{Answer, Format, Summary};
use crate::problem::Problem;
use crate::turns::{Client, Turn};

const CHUNK_ROWS: usize = 1024;
const AHEAD: usize = 2;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    sql: String,
    /// Rows; more are cut off. Without it, more than the server's `max_rows` is an error.
    limit: Option<u64>,
    /// Seconds.
    timeout: Option<f64>,
}

pub async fn query(State(app): State<Arc<App>>, client: Client, headers: HeaderMap, body: Body) -> Response {
    answer(&app, client, &headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(app: &App, client: Client, headers: &HeaderMap, body: Body) -> Result<Response, Problem> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let format = Format::negotiate(accept).ok_or_else(|| {
        let message =
            "answers are application/json, application/x-ndjson, text/csv or application/vnd.apache.arrow.stream";
        Problem::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", message)
    })?;
    let request = read_request(app, headers, body).await?;
    let lake = app.lake()?;
    let mut limits = app.settings.limits(lake.limits());
    let cap = limits.max_rows as u64;
    let asked = request.limit.filter(|limit| *limit <= cap);
    if let Some(seconds) = request.timeout {
        let asked = Duration::try_from_secs_f64(seconds);
        let asked = asked.map_err(|_| Problem::bad_request("`timeout` is a number of seconds, 0 or more"))?;
        if asked < limits.deadline {
            (limits.deadline, limits.raised_by.deadline) = (asked, "the request's `timeout`");
        }
    }
    let turn = app.turns.take(client).await?;
    let started = Instant::now();
    let deadline = started + limits.deadline;
    let late = late(&limits);
    let span = tracing::debug_span!(target: "catchment::query", "query", db.query.text = %request.sql, rows = tracing::field::Empty);

    let wanted = asked.unwrap_or(cap);
    let too_many = RaisedBy::advice(limits.raised_by.max_rows);
    // Rows are counted where they are sent: there a limit may cut instead of fail.
    limits.max_rows = usize::MAX;
    let first = async {
        let Rows { schema, mut stream, .. } = lake.query(&request.sql, limits.clone()).await?;
        let first = stream.try_next().await?;
        Ok::<_, Problem>((schema, first, stream))
    };
    let (schema, first, rest) =
        timeout_at(deadline, first.instrument(span.clone())).await.unwrap_or_else(|_| Err(late.clone()))?;
    let rows = futures::stream::iter(first.map(Ok)).chain(rest);

    let (chunks, body) = mpsc::channel(AHEAD);
    let sender =
        Sender { format, schema, wanted, cut: format == Format::Json || asked.is_some(), too_many, started, chunks };
    tokio::spawn(async move { sender.run(rows, deadline, late, turn).await }.instrument(span));
    let mut response = Response::new(Body::from_stream(received(body)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    Ok(response)
}

pub fn late(limits: &QueryLimits) -> Problem {
    let advice = RaisedBy::advice(limits.raised_by.deadline);
    Problem::timeout(format!("no answer within {:?}: {advice}", limits.deadline))
}

async fn read_request(app: &App, headers: &HeaderMap, body: Body) -> Result<Request, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // A page of another site can post text/plain or a form without asking; not JSON.
    if !content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        let message = "send the statement as application/json: {\"sql\": \"SELECT 1\"}";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
    }
    let limit = app.settings.max_request_body_size;
    let read = timeout(app.settings.read_header_timeout, axum::body::to_bytes(body, limit)).await;
    let body = match read {
        Ok(Ok(body)) => body,
        Ok(Err(error)) if is_too_long(&error) => {
            let message = format!("a request body has at most {limit} bytes");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message));
        }
        Ok(Err(error)) => return Err(Problem::bad_request(format!("the request's body broke off: {error}"))),
        Err(_) => {
            let message = "the request's body did not come in time";
            return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message));
        }
    };
    serde_json::from_slice(&body).map_err(|error| Problem::bad_request(format!("the body is not a query: {error}")))
}

fn is_too_long(error: &axum::Error) -> bool {
    use std::error::Error as _;
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// `None` in the channel's place of an end: the producer is gone without having ended the answer.
enum Chunk {
    Data(Bytes),
    End,
    Broken,
}

fn received(chunks: mpsc::Receiver<Chunk>) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    futures::stream::unfold(Some(chunks), |chunks| async move {
        let mut chunks = chunks?;
        match chunks.recv().await {
            Some(Chunk::Data(bytes)) => Some((Ok(bytes), Some(chunks))),
            Some(Chunk::End) => None,
            Some(Chunk::Broken) | None => {
                Some((Err(std::io::Error::other("the query failed while its answer was under way")), None))
            }
        }
    })
}

struct Sender {
    format: Format,
    schema: SchemaRef,
    wanted: u64,
    /// More rows than wanted are cut off; otherwise they are an error.
    cut: bool,
    /// What to do about more rows than wanted.
    too_many: String,
    started: Instant,
    chunks: mpsc::Sender<Chunk>,
}

impl Sender {
    async fn run(
        self,
        rows: impl Stream<Item = Result<RecordBatch, Problem>>,
        deadline: Instant,
        late: Problem,
        turn: Turn,
    ) {
        let mut progress = Progress::default();
        let sent = tokio::select! {
            biased;
            () = self.chunks.closed() => {
                tracing::debug!(rows = progress.rows, "the client left; its query was cancelled");
                return;
            }
            sent = timeout_at(deadline, self.send(rows, &mut progress)) => sent.unwrap_or(Err(late)),
        };
        drop(turn);
        tracing::Span::current().record("rows", progress.rows);
        let error = sent.err();
        if let Some(error) = &error {
            tracing::info!(rows = progress.rows, error = %error.message, "a query failed while its answer was under way");
        }
        let Some(mut answer) = progress.answer else { return };
        let summary = Summary {
            row_count: progress.rows,
            truncated: progress.truncated,
            elapsed_ms: (self.started.elapsed().as_secs_f64() * 1e6).round() / 1e3,
        };
        let Ok(tail) = answer.end(summary, error.as_ref()) else { return };
        let last = if error.is_some() && self.format != Format::Json { Chunk::Broken } else { Chunk::End };
        // The client has had its time; it may take as long again for the end, with nothing held but these bytes.
        let _ = self.chunks.send(Chunk::Data(tail.into())).await;
        let _ = self.chunks.send(last).await;
    }

    async fn send(
        &self,
        rows: impl Stream<Item = Result<RecordBatch, Problem>>,
        progress: &mut Progress,
    ) -> Result<(), Problem> {
        let encode =
            |error: arrow::error::ArrowError| Problem::internal(format!("the answer cannot be written: {error}"));
        let answer = progress.answer.insert(Answer::new(self.format, &self.schema).map_err(encode)?);
        self.chunk(answer.begin().map_err(encode)?).await;
        let mut rows = pin!(rows);
        while let Some(batch) = rows.try_next().await? {
            let left = usize::try_from(self.wanted - progress.rows).unwrap_or(usize::MAX);
            let taken = batch.num_rows().min(left);
            for start in (0..taken).step_by(CHUNK_ROWS) {
                let slice = batch.slice(start, CHUNK_ROWS.min(taken - start));
                let bytes = answer.rows(&slice).map_err(encode)?;
                progress.rows += slice.num_rows() as u64;
                self.chunk(bytes).await;
            }
            if batch.num_rows() > taken {
                progress.truncated = true;
                if self.cut {
                    return Ok(());
                }
                let message = format!("more than {} rows: add a LIMIT, send `limit`, {}", self.wanted, self.too_many);
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message));
            }
        }
        Ok(())
    }

    async fn chunk(&self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            // A client that is gone is noticed by `closed`.
            let _ = self.chunks.send(Chunk::Data(bytes.into())).await;
        }
    }
}

#[derive(Default)]
struct Progress {
    answer: Option<Answer>,
    rows: u64,
    truncated: bool,
}

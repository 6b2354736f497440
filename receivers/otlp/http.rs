//! OTLP/HTTP: protobuf and JSON, answered in kind.

use ::http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use ::http::{Method, Request, Response, StatusCode};
use bytes::Bytes;
use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::{Accepted, Encoding, Outlet};
use catchment_pipeline::otlp::answer::PartialSuccess;
use catchment_pipeline::otlp::json;
use http_body::Body;
use prost::Message;
use serde_json::json;

use super::answer::{Answer, Refusal, Why, response};
use super::body::{ASIDE, Limits, Pieces, Reserved, aside};
use super::cors::Cors;
use super::decompress::{asked, decompress, names};

pub(super) struct Settings {
    pub(super) limits: Limits,
    pub(super) paths: [(String, Signal); 3],
    pub(super) encodings: Vec<Encoding>,
    pub(super) cors: Option<Cors>,
    /// Of every answer.
    pub(super) headers: HeaderMap,
}

/// How a request is written, and its answer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Format {
    Protobuf,
    Json,
}

impl Format {
    fn of(headers: &HeaderMap) -> Option<Format> {
        let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let media_type = value.split(';').next().unwrap_or_default().trim();
        if media_type.eq_ignore_ascii_case("application/x-protobuf") {
            Some(Format::Protobuf)
        } else if media_type.eq_ignore_ascii_case("application/json") {
            Some(Format::Json)
        } else {
            None
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Format::Protobuf => "application/x-protobuf",
            Format::Json => "application/json",
        })
    }
}

pub(super) async fn answer<B>(request: Request<B>, settings: &Settings, outlet: &Outlet) -> Response<Answer>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut response = match &settings.cors {
        None => route(request, settings, outlet).await,
        Some(cors) => match cors.preflight(request.method(), request.headers()) {
            Some(preflight) => preflight,
            None => {
                let origin = request.headers().get(::http::header::ORIGIN).cloned();
                let mut response = route(request, settings, outlet).await;
                cors.mark(origin.as_ref(), response.headers_mut());
                response
            }
        },
    };
    for (name, value) in &settings.headers {
        // What an answer says of itself is not said otherwise.
        response.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    response
}

async fn route<B>(request: Request<B>, settings: &Settings, outlet: &Outlet) -> Response<Answer>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let Some((_, signal)) = settings.paths.iter().find(|(path, _)| path == request.uri().path()) else {
        let paths = settings.paths.each_ref().map(|(path, _)| path.as_str()).join(", ");
        return text(StatusCode::NOT_FOUND, format!("no such path; OTLP is taken at {paths}\n"));
    };
    if request.method() != Method::POST {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "OTLP is sent with POST\n".into());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let Some(format) = Format::of(request.headers()) else {
        let what = "Content-Type must be application/x-protobuf or application/json\n";
        return text(StatusCode::UNSUPPORTED_MEDIA_TYPE, what.into());
    };
    match take(*signal, format, request, settings, outlet).await {
        Ok(accepted) => taken(*signal, format, accepted),
        Err(refusal) => {
            settings.limits.refusals.note(&refusal);
            refused(format, &refusal, settings)
        }
    }
}

async fn take<B>(
    signal: Signal,
    format: Format,
    request: Request<B>,
    settings: &Settings,
    outlet: &Outlet,
) -> Result<Accepted, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let encoding = asked(request.headers().get(CONTENT_ENCODING), &settings.encodings)?;
    let mut reserved = Reserved::new(&settings.limits);
    let expected = request.body().size_hint().exact();
    let body = Pieces::read(request.into_body(), expected, &mut reserved).await?;
    let large = encoding.is_some() || format == Format::Json;
    let (batch, _reserved) = aside(large && body.len() > ASIDE, move || {
        let bytes = match encoding {
            Some(encoding) => decompress(encoding, body, &mut reserved)?,
            None => body.into_bytes(),
        };
        let bytes = match format {
            Format::Protobuf => bytes,
            Format::Json => {
                // The worst case; a request that may be that large waits until nothing else is in flight.
                let most = reserved.limits().in_flight().max(bytes.len());
                reserved.grow_to(bytes.len().saturating_mul(1 + json::GROWTH).min(most))?;
                json::parse(signal, &bytes).map_err(|error| Refusal::new(Why::Malformed, error.to_string()))?.into()
            }
        };
        let batch = Batch::from_otlp(signal, bytes).map_err(|error| Refusal::new(Why::Malformed, error.to_string()))?;
        Ok((batch, reserved))
    })
    .await?;
    outlet.send(batch).await.map_err(Refusal::pipeline)
}

fn taken(signal: Signal, format: Format, accepted: Accepted) -> Response<Answer> {
    let message = response(accepted);
    let data = match format {
        Format::Protobuf => message.encode_to_vec(),
        Format::Json => match message.partial_success {
            None => b"{}".to_vec(),
            Some(PartialSuccess { rejected, error_message }) => {
                let count = match signal {
                    Signal::Metrics => "rejectedDataPoints",
                    Signal::Logs | Signal::Alerts => "rejectedLogRecords",
                    Signal::Traces => "rejectedSpans",
                };
                // 64-bit integers are strings in OTLP/JSON.
                let partial = json!({ count: rejected.to_string(), "errorMessage": error_message });
                json!({ "partialSuccess": partial }).to_string().into_bytes()
            }
        },
    };
    let mut response = Response::new(Answer { data: Some(data.into()), trailers: None });
    response.headers_mut().insert(CONTENT_TYPE, format.content_type());
    response
}

fn refused(format: Format, refusal: &Refusal, settings: &Settings) -> Response<Answer> {
    let status = refusal.status();
    let data = match format {
        Format::Protobuf => status.encode_to_vec(),
        Format::Json => json!({"code": status.code, "message": status.message}).to_string().into_bytes(),
    };
    let mut response = Response::new(Answer { data: Some(data.into()), trailers: None });
    *response.status_mut() = match refusal.why {
        Why::Malformed | Why::BrokenOff | Why::Rejected => StatusCode::BAD_REQUEST,
        Why::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Why::UnknownEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Why::Slow => StatusCode::REQUEST_TIMEOUT,
        Why::Exhausted(_) => StatusCode::TOO_MANY_REQUESTS,
        Why::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, format.content_type());
    if let Some(wait) = refusal.retry_after() {
        // Whole seconds, rounded up: coming too early helps nobody.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, seconds.max(1).into());
    }
    if refusal.why == Why::UnknownEncoding
        && let Ok(names) = HeaderValue::from_str(&names(&settings.encodings))
    {
        headers.insert(ACCEPT_ENCODING, names);
    }
    response
}

fn text(status: StatusCode, what: String) -> Response<Answer> {
    let mut response = Response::new(Answer { data: Some(what.into()), trailers: None });
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

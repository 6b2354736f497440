use std::io::Write;

use catchment_pipeline::batch::Signal;
use catchment_pipeline::otlp::answer::RpcStatus;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

fn client() -> Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::new()
}

fn post(running: &Running, content_type: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
    client().post(format!("http://{}/v1/logs", running.http)).header("content-type", content_type).body(body)
}

const PROTOBUF: &str = "application/x-protobuf";

fn header(answer: &Response, name: &str) -> Option<String> {
    answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn protobuf_and_json_are_answered_in_kind() {
    let running = start(BOTH).await;
    let answer = post(&running, PROTOBUF, bytes_of("a")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "content-type").as_deref()), (200, Some(PROTOBUF)));
    assert_eq!(answer.bytes().await.unwrap().len(), 0, "an empty response message");
    let text = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [
        {"timeUnixNano": "7", "body": {"stringValue": "a"}, "unknown": null}]}]}]});
    let answer = post(&running, "application/json; charset=utf-8", text.to_string()).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "content-type").as_deref()), (200, Some("application/json")));
    assert_eq!(answer.text().await.unwrap(), "{}");
    let taken = running.taken();
    assert_eq!(taken[0], (Signal::Logs, bytes_of("a")));
    let decoded = taken.iter().map(|(_, bytes)| ExportLogsServiceRequest::decode(&bytes[..]).unwrap());
    assert!(decoded.into_iter().all(|request| request == logs("a")));
    running.assert_released();
    running.stop().await;
}

#[tokio::test]
async fn rejected_items_are_partial_success() {
    let running = start(BOTH).await;
    running.reject(2, "late");
    let answer = post(&running, PROTOBUF, bytes_of("a")).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let answer = ExportLogsServiceResponse::decode(answer.bytes().await.unwrap()).unwrap();
    let partial = answer.partial_success.unwrap();
    assert_eq!((partial.rejected_log_records, partial.error_message.as_str()), (2, "late"));
    for (signal, request, count) in [
        ("logs", "resourceLogs", "rejectedLogRecords"),
        ("metrics", "resourceMetrics", "rejectedDataPoints"),
        ("traces", "resourceSpans", "rejectedSpans"),
    ] {
        let post = client().post(format!("http://{}/v1/{signal}", running.http));
        let post = post.header("content-type", "application/json").body(json!({ request: [] }).to_string());
        let answer = post.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{signal}");
        let answer: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(answer, json!({ "partialSuccess": { count: "2", "errorMessage": "late" } }), "{signal}");
    }
    running.stop().await;
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn compressed(name: &str, bytes: &[u8]) -> Vec<u8> {
    let fast = flate2::Compression::fast();
    match name {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), fast);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "raw deflate" => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), fast);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "zlib" | "deflate" => zlib(bytes),
        "zstd" => zstd::encode_all(bytes, 1).unwrap(),
        "snappy" => snap::raw::Encoder::new().compress_vec(bytes).unwrap(),
        "x-snappy-framed" => {
            let mut encoder = snap::write::FrameEncoder::new(Vec::new());
            encoder.write_all(bytes).unwrap();
            encoder.into_inner().unwrap()
        }
        "lz4" => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        _ => panic!("{name}"),
    }
}

/// Header, and how the body is made: senders do not agree on what snappy and deflate mean.
const ENCODINGS: [(&str, &str); 9] = [
    ("gzip", "gzip"),
    ("zstd", "zstd"),
    ("zlib", "zlib"),
    ("deflate", "deflate"),
    ("deflate", "raw deflate"),
    ("snappy", "snappy"),
    ("snappy", "x-snappy-framed"),
    ("x-snappy-framed", "x-snappy-framed"),
    ("lz4", "lz4"),
];

#[tokio::test]
async fn content_encodings() {
    let running = start(BOTH).await;
    for size in [1, 100_000] {
        let bytes = bytes_of(&"ab".repeat(size));
        for (header, how) in ENCODINGS {
            let body = compressed(how, &bytes);
            let answer = post(&running, PROTOBUF, body).header("content-encoding", header).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 200, "{header} {how}: {:?}", answer.text().await);
            assert!(running.taken().last().is_some_and(|(_, taken)| *taken == bytes), "{header} {how}");
        }
    }
    let answer = post(&running, PROTOBUF, "x").header("content-encoding", "br").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 415);
    assert!(header(&answer, "accept-encoding").unwrap().contains("gzip, zstd"));
    running.assert_released();
    running.stop().await;
}

/// 8 MiB of zeros in a fraction of it: refused after 1 MiB has come out, and nothing stays reserved.
#[tokio::test]
async fn bombs() {
    let running = start("protocols: { http: { endpoint: 'localhost:0', max_request_body_size: 1048576 } }").await;
    let zeros = vec![0; 8 << 20];
    for (header, how) in ENCODINGS {
        let body = compressed(how, &zeros);
        let answer = post(&running, PROTOBUF, body).header("content-encoding", header).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 413, "{header} {how}");
    }
    running.assert_released();
    let answer = post(&running, PROTOBUF, vec![0; (1 << 20) + 1]).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 413);
    running.stop().await;
}

#[tokio::test]
async fn broken_compression_is_malformed() {
    let running = start(BOTH).await;
    for (header, how) in ENCODINGS {
        let whole = compressed(how, &bytes_of(&"ab".repeat(1000)));
        for body in [&whole[..whole.len() / 2], b"nonsense, not compressed at all"] {
            let answer =
                post(&running, PROTOBUF, body.to_vec()).header("content-encoding", header).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 400, "{header} {how} {}", body.len());
        }
    }
    running.assert_released();
    running.stop().await;
}

#[tokio::test]
async fn refusals() {
    let running = start(BOTH).await;
    let url = |path: &str| format!("http://{}{path}", running.http);
    let answer = client().get(url("/v1/logs")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "allow").as_deref()), (405, Some("POST")));
    assert_eq!(client().post(url("/v1/profiles")).send().await.unwrap().status().as_u16(), 404);
    assert_eq!(post(&running, "text/plain", "x").send().await.unwrap().status().as_u16(), 415);
    assert_eq!(client().post(url("/v1/logs")).send().await.unwrap().status().as_u16(), 415);

    let answer = post(&running, "application/json", "{\"resourceLogs\":5}").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "content-type").as_deref()), (400, Some("application/json")));
    let status: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(status["code"], json!(3));
    assert!(status["message"].as_str().unwrap().contains("line 1 column"), "{status}");

    running.refuse(Refused::Rejected { reason: "no pipeline carries logs".into() });
    let answer = post(&running, PROTOBUF, bytes_of("a")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "retry-after")), (400, None));
    let status = RpcStatus::decode(answer.bytes().await.unwrap()).unwrap();
    assert_eq!((status.code, status.message.as_str()), (3, "no pipeline carries logs"));

    running.refuse(Refused::Busy { retry_after: Duration::from_millis(2500), reason: "the log is full".into() });
    let answer = post(&running, PROTOBUF, bytes_of("a")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "retry-after").as_deref()), (503, Some("3")));
    running.assert_released();
    running.stop().await;
}

#[tokio::test]
async fn admission_refuses_before_holding() {
    let running = start_with(BOTH, 128 << 10).await;
    let held = running.admission.admit(64 << 10).unwrap();
    let answer = post(&running, PROTOBUF, vec![0; 100 << 10]).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "retry-after").as_deref()), (429, Some("1")));
    drop(held);
    // What does not fit even by itself is not asked to come again.
    let answer = post(&running, PROTOBUF, vec![0; 1 << 20]).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "retry-after")), (413, None));
    let status = RpcStatus::decode(answer.bytes().await.unwrap()).unwrap();
    assert!(status.message.contains("service::admission::request_limit_mib"), "{}", status.message);
    let answer = post(&running, PROTOBUF, bytes_of("small")).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    // A guess at what comes out of 30 KiB is more than there is; what comes out fits.
    let noise = bytes_of(
        &(0..40_000u32)
            .map(|n| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 27) as u8 % 26))
            .collect::<String>(),
    );
    let answer =
        post(&running, PROTOBUF, compressed("gzip", &noise)).header("content-encoding", "gzip").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200, "{}", answer.text().await.unwrap());
    assert_eq!(running.taken().len(), 2);
    running.stop().await;
}

/// A sender that goes away in the middle holds nothing, and is not said to send what is not OTLP.
#[tokio::test]
async fn a_sender_that_goes_away_holds_nothing() {
    let running = start(BOTH).await;
    let mut stream = tokio::net::TcpStream::connect(&running.http).await.unwrap();
    let head =
        "POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 200000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&[0; 100_000]).await.unwrap();
    while running.admission.admitted_bytes() == 0 {
        tokio::task::yield_now().await;
    }
    drop(stream);
    tokio::time::timeout(Duration::from_secs(10), async {
        while running.admission.admitted_bytes() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("what was reserved is let go");
    assert_eq!(running.taken(), []);
    running.stop().await;
}

#[tokio::test]
async fn cors() {
    let running = start(
        "protocols: { http: { endpoint: 'localhost:0', response_headers: { x-served-by: catchment, content-type: no }, \
         cors: { allowed_origins: ['https://*.example'], allowed_headers: ['*'], max_age: 60 } } }",
    )
    .await;
    let preflight = async |origin: &str| {
        let request = client().request(Method::OPTIONS, format!("http://{}/v1/logs", running.http));
        let request = request.header("origin", origin).header("access-control-request-method", "POST");
        request.header("access-control-request-headers", "content-type,x-a").send().await.unwrap()
    };
    let answer = preflight("https://app.example").await;
    assert_eq!(answer.status().as_u16(), 204);
    assert_eq!(header(&answer, "access-control-allow-origin").as_deref(), Some("https://app.example"));
    assert_eq!(header(&answer, "access-control-allow-methods").as_deref(), Some("POST"));
    assert_eq!(header(&answer, "access-control-allow-headers").as_deref(), Some("content-type,x-a"));
    assert_eq!(header(&answer, "access-control-allow-credentials").as_deref(), Some("true"));
    assert_eq!(header(&answer, "access-control-max-age").as_deref(), Some("60"));
    assert_eq!(header(&preflight("https://evil.test").await, "access-control-allow-origin"), None);
    let answer = post(&running, PROTOBUF, bytes_of("a")).header("origin", "https://app.example").send().await.unwrap();
    assert_eq!(header(&answer, "access-control-allow-origin").as_deref(), Some("https://app.example"));
    assert_eq!(header(&answer, "x-served-by").as_deref(), Some("catchment"));
    assert_eq!(header(&answer, "content-type").as_deref(), Some(PROTOBUF), "an answer's own headers stay");
    running.stop().await;
}

/// A sender that never finishes its head is let go, and idle connections do not hold up the shutdown.
#[tokio::test]
async fn slow_heads_and_idle_connections() {
    let running = start("protocols: { http: { endpoint: 'localhost:0', idle_timeout: 200ms } }").await;
    let mut slow = tokio::net::TcpStream::connect(&running.http).await.unwrap();
    slow.write_all(b"POST /v1/logs HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(5), slow.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "closed after the head's time");
    let mut silent = tokio::net::TcpStream::connect(&running.http).await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(5), silent.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "so is one that never begins");
    let _idle = tokio::net::TcpStream::connect(&running.http).await.unwrap();
    running.stop().await;
}

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Read;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use catchment_pipeline::component::Admission;

use super::*;

type Seen = Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>;
type Say = Arc<dyn Fn() -> Response + Send + Sync>;

async fn serve(say: impl Fn() -> Response + Send + Sync + 'static) -> (String, Seen) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen = Seen::default();
    let app = axum::Router::new().fallback(answer).with_state((Arc::new(say) as Say, seen.clone()));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, seen)
}

async fn answer(State((say, seen)): State<(Say, Seen)>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    seen.lock().unwrap().push((head.uri.path().to_owned(), head.headers, body));
    say()
}

fn say(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

fn read_one(yaml: &str) -> (Plan, Vec<String>) {
    let mut section = Section::parse(yaml);
    let plan = read(&mut section);
    let mistakes = section.mistakes();
    (plan, mistakes)
}

async fn exporter(yaml: &str) -> Arc<dyn Exporter> {
    let (plan, mistakes) = read_one(yaml);
    assert_eq!(mistakes, Vec::<String>::new());
    let admission = Arc::new(Admission::new(1 << 20));
    let context = Context { id: "otlp_http".into(), admission, ..Context::default() };
    plan.build(context).await.unwrap()
}

fn batch(signal: Signal) -> Batch {
    let text = match signal {
        Signal::Metrics => r#"{"resourceMetrics":[{"schemaUrl":"u"}]}"#,
        Signal::Logs | Signal::Alerts => r#"{"resourceLogs":[{"schemaUrl":"u"}]}"#,
        Signal::Traces => r#"{"resourceSpans":[{"schemaUrl":"u"}]}"#,
    };
    let bytes = json::parse(signal, text.as_bytes()).unwrap();
    Batch::from_otlp(signal, bytes.into()).unwrap()
}

async fn export_to(answer: impl Fn() -> Response + Send + Sync + 'static) -> Result<(), ExportError> {
    let (address, _) = serve(answer).await;
    exporter(&format!("{{ endpoint: 'http://{address}' }}")).await.export(&batch(Signal::Logs), 1).await
}

#[tokio::test]
async fn each_signal_to_its_address() {
    let (address, seen) = serve(|| say(200, &[], "")).await;
    let yaml = format!(
        "{{ endpoint: 'http://{address}/base/', logs_endpoint: 'http://{address}/in', compression: none, headers: {{ X-Token: abc }} }}"
    );
    let exporter = exporter(&yaml).await;
    for signal in Signal::ALL {
        exporter.export(&batch(signal), 1).await.unwrap();
    }
    let seen = seen.lock().unwrap();
    let paths = seen.iter().map(|(path, _, _)| path.as_str()).collect::<Vec<_>>();
    assert_eq!(paths, ["/base/v1/metrics", "/in", "/base/v1/traces", "/in"]);
    assert_eq!(&seen[0].2, batch(Signal::Metrics).otlp());
    assert_eq!(
        (&seen[0].1["content-type"], &seen[0].1["x-token"]),
        (&"application/x-protobuf".parse().unwrap(), &"abc".parse().unwrap())
    );
    assert!(!seen[0].1.contains_key("content-encoding"));
}

#[tokio::test]
async fn json_and_compressions() {
    for compression in ["gzip", "zstd", "zlib", "deflate", "snappy", "x-snappy-framed", "lz4"] {
        let (address, seen) = serve(|| say(200, &[], "")).await;
        let yaml = format!("{{ endpoint: 'http://{address}', encoding: json, compression: {compression} }}");
        exporter(&yaml).await.export(&batch(Signal::Logs), 1).await.unwrap();
        let (_, headers, body) = seen.lock().unwrap().pop().unwrap();
        assert_eq!(
            (&headers["content-type"], &headers["content-encoding"]),
            (&"application/json".parse().unwrap(), &compression.parse().unwrap())
        );
        let mut text = Vec::new();
        match compression {
            "gzip" => flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut text),
            "zstd" => zstd::stream::read::Decoder::new(&body[..]).unwrap().read_to_end(&mut text),
            "zlib" | "deflate" => flate2::read::ZlibDecoder::new(&body[..]).read_to_end(&mut text),
            "snappy" => Ok({
                text = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
                0
            }),
            "lz4" => lz4_flex::frame::FrameDecoder::new(&body[..]).read_to_end(&mut text),
            _ => snap::read::FrameDecoder::new(&body[..]).read_to_end(&mut text),
        }
        .unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), r#"{"resourceLogs":[{"schemaUrl":"u"}]}"#, "{compression}");
    }
}

#[tokio::test]
async fn answers() {
    match export_to(|| say(503, &[("retry-after", "7")], "full")).await {
        Err(ExportError::Transient { retry_after: Some(wait), reason }) => {
            assert_eq!((wait, reason.as_str()), (Duration::from_secs(7), "HTTP 503 Service Unavailable: full"));
        }
        other => panic!("{other:?}"),
    }
    match export_to(|| say(400, &[("content-type", "application/json")], r#"{"code":3,"message":"bad"}"#)).await {
        Err(ExportError::Permanent { reason }) => assert_eq!(reason, "HTTP 400 Bad Request: bad"),
        other => panic!("{other:?}"),
    }
    let partial = || say(200, &[("content-type", "application/x-protobuf")], b"\x0a\x07\x08\x04\x12\x03old".to_vec());
    assert!(matches!(export_to(partial).await, Err(ExportError::Partial { rejected: 4, .. })));
    let partial = r#"{"partialSuccess":{"rejectedLogRecords":"2"}}"#;
    let partial = move || say(200, &[("content-type", "application/json")], partial);
    assert!(matches!(export_to(partial).await, Err(ExportError::Partial { rejected: 2, .. })));
    let redirect = || say(307, &[("location", "http://elsewhere.test/")], "");
    assert!(matches!(export_to(redirect).await, Err(ExportError::Permanent { .. })));
    // An endless answer is read up to its bound.
    let endless = || {
        let zeros = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 4096])));
        say(500, &[], Body::from_stream(zeros))
    };
    assert!(matches!(export_to(endless).await, Err(ExportError::Permanent { reason }) if reason.len() < 1000));
}

#[tokio::test]
async fn a_dead_destination_is_transient() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let yaml = format!("{{ endpoint: 'http://{address}/?key=hunter2' }}");
    match exporter(&yaml).await.export(&batch(Signal::Logs), 1).await {
        Err(ExportError::Transient { reason, .. }) => assert!(!reason.contains("hunter2"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn plan() {
    let (plan, mistakes) = read_one("endpoint: http://a:4318");
    assert_eq!(mistakes, Vec::<String>::new());
    assert_eq!(
        (plan.compress.with, plan.json, plan.settings.timeout),
        (Some(Encoding::Gzip), false, Duration::from_secs(30))
    );
    let full = "{ metrics_endpoint: 'https://a', compression: gzip, compression_params: { level: 9 }, encoding: json, \
                max_idle_conns: 1, max_idle_conns_per_host: 2, max_conns_per_host: 3, idle_conn_timeout: 1s, disable_keep_alives: \
                false, http2_read_idle_timeout: 1s, http2_ping_timeout: 1s, force_attempt_http2: true, cookies: { enabled: false }, proxy_url: 'http://p:1', \
                read_buffer_size: 1, write_buffer_size: 1, timeout: 1s, tls: { insecure_skip_verify: true }, \
                retry_on_failure: { enabled: false }, sending_queue: { enabled: true }, headers: { a: b } }";
    let (plan, mistakes) = read_one(full);
    assert_eq!(mistakes, Vec::<String>::new());
    assert_eq!((plan.compress.level, plan.max_idle), (Some(9), 2));
    for (yaml, expect) in [
        ("{}", "endpoint"),
        ("endpoint: a:4318", "is not an http:// or https:// address"),
        ("{ endpoint: 'http://a', encoding: xml }", "xml"),
        ("{ endpoint: 'http://a', compression_params: { level: 10 } }", "10 is not a level"),
        ("{ endpoint: 'http://a', compresion: gzip }", "compresion"),
        ("{ endpoint: 'http://a', cookies: { enabled: true } }", "cookies are not kept"),
    ] {
        let (_, mistakes) = read_one(yaml);
        assert!(!mistakes.is_empty() && mistakes[0].contains(expect), "{yaml}: {mistakes:?}");
    }
}

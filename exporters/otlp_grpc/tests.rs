#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Read;
use std::sync::Mutex;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use catchment_pipeline::batch::Batch;
use catchment_pipeline::component::{Admission, Encoding, ExportError};
use http::HeaderMap;
use http_body_util::{BodyExt, Full};
use tonic::{Code, Status};

use super::*;

/// A server that says what it is told to, and keeps what it was sent.
#[derive(Clone)]
enum Say {
    Message(Vec<u8>),
    Status(Status),
    Http(u16),
    Nothing,
}

struct Server {
    address: String,
    seen: Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>,
}

async fn serve(say: Say) -> Server {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let app = axum::Router::new().fallback(answer).with_state((say, seen.clone()));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Server { address, seen }
}

type Seen = Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>;

async fn answer(State((say, seen)): State<(Say, Seen)>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    seen.lock().unwrap().push((head.uri.path().to_owned(), head.headers, body));
    match say {
        Say::Nothing => std::future::pending().await,
        Say::Http(status) => Response::builder().status(status).body(Body::empty()).unwrap(),
        Say::Status(status) => status.into_http(),
        Say::Message(message) => {
            let framed = [&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat();
            let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
            let body = Full::new(Bytes::from(framed)).with_trailers(async { Some(Ok(trailers)) });
            Response::builder().header("content-type", "application/grpc").body(Body::new(body)).unwrap()
        }
    }
}

fn context() -> Context {
    let admission = Arc::new(Admission::new(1 << 20));
    Context { id: "otlp_grpc".into(), admission, ..Context::default() }
}

async fn exporter(yaml: &str) -> Arc<dyn Exporter> {
    let mut section = Section::parse(yaml);
    let plan = read(&mut section);
    assert_eq!(section.mistakes(), Vec::<String>::new());
    plan.build(context()).await.unwrap()
}

/// Many bytes of one resource's schema URL.
fn batch(size: usize) -> Batch {
    let text = format!(r#"{{"resourceLogs":[{{"schemaUrl":"{}"}}]}}"#, "x".repeat(size));
    let bytes = catchment_pipeline::otlp::json::parse(Signal::Logs, text.as_bytes()).unwrap();
    Batch::from_otlp(Signal::Logs, bytes.into()).unwrap()
}

async fn export_to(say: Say) -> Result<(), ExportError> {
    let server = serve(say).await;
    let exporter = exporter(&format!("{{ endpoint: '{}', tls: {{ insecure: true }} }}", server.address)).await;
    exporter.export(&batch(10), 1).await
}

#[tokio::test]
async fn bytes_arrive_as_they_are() {
    for (compression, size) in [("none", 10), ("gzip", 10), ("gzip", 200_000), ("zstd", 100), ("snappy", 100_000)] {
        let server = serve(Say::Message(Vec::new())).await;
        let yaml = format!(
            "{{ endpoint: 'http://{}', compression: {compression}, headers: {{ X-Token: abc }} }}",
            server.address
        );
        let batch = batch(size);
        exporter(&yaml).await.export(&batch, 1).await.unwrap();
        let (path, headers, body) = server.seen.lock().unwrap().pop().unwrap();
        assert_eq!(path, "/opentelemetry.proto.collector.logs.v1.LogsService/Export");
        assert_eq!(
            (&headers["content-type"], &headers["te"], &headers["x-token"]),
            (&"application/grpc".parse().unwrap(), &"trailers".parse().unwrap(), &"abc".parse().unwrap())
        );
        assert_eq!(
            headers.get("grpc-encoding").map(|v| v.to_str().unwrap()),
            Some(compression).filter(|c| *c != "none")
        );
        assert!(headers["user-agent"].to_str().unwrap().starts_with("catchment/"));
        assert_eq!(
            (body[0] == 1, body.len() - 5),
            (compression != "none", u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize)
        );
        let mut message = Vec::new();
        match compression {
            "gzip" => flate2::read::GzDecoder::new(&body[5..]).read_to_end(&mut message),
            "zstd" => zstd::stream::read::Decoder::new(&body[5..]).unwrap().read_to_end(&mut message),
            "snappy" => snap::read::FrameDecoder::new(&body[5..]).read_to_end(&mut message),
            _ => (&body[5..]).read_to_end(&mut message),
        }
        .unwrap();
        assert_eq!(&message, batch.otlp(), "{compression}");
    }
}

#[tokio::test]
async fn answers() {
    let transient = |result| matches!(result, Err(ExportError::Transient { retry_after: None, .. }));
    assert!(transient(export_to(Say::Status(Status::new(Code::Unavailable, "later"))).await));
    assert!(transient(export_to(Say::Http(503)).await));
    assert!(matches!(export_to(Say::Http(404)).await, Err(ExportError::Permanent { .. })));
    assert!(matches!(
        export_to(Say::Status(Status::new(Code::InvalidArgument, "no"))).await,
        Err(ExportError::Permanent { .. })
    ));
    // ExportLogsServiceResponse { partial_success { rejected_log_records: 4, error_message: "old" } }
    let partial = b"\x0a\x07\x08\x04\x12\x03old".to_vec();
    match export_to(Say::Message(partial)).await {
        Err(ExportError::Partial { rejected: 4, reason }) => assert_eq!(reason, "old"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_dead_destination_is_transient_and_a_new_one_is_found() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let exporter = exporter(&format!("{{ endpoint: 'http://{address}' }}")).await;
    match exporter.export(&batch(10), 1).await {
        Err(ExportError::Transient { reason, .. }) => assert!(reason.to_lowercase().contains("refused"), "{reason}"),
        other => panic!("{other:?}"),
    }
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let seen = Seen::default();
    let app = axum::Router::new().fallback(answer).with_state((Say::Message(vec![]), seen.clone()));
    tokio::spawn(async move { axum::serve(listener, app).await });
    exporter.export(&batch(10), 1).await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), 1);
}

/// The engine's timeout drops the attempt; the next one is not hindered by it.
#[tokio::test]
async fn a_hanging_destination_can_be_given_up() {
    let server = serve(Say::Nothing).await;
    let exporter = exporter(&format!("{{ endpoint: 'http://{}' }}", server.address)).await;
    let short = Duration::from_millis(200);
    assert!(tokio::time::timeout(short, exporter.export(&batch(10), 1)).await.is_err());
    assert!(tokio::time::timeout(short, exporter.export(&batch(10), 1)).await.is_err());
    assert_eq!(server.seen.lock().unwrap().len(), 2);
}

#[test]
fn endpoints() {
    let check = |text: &str, secure, host: &str, port| {
        assert_eq!(endpoint(text), Ok((secure, host.to_owned(), port)), "{text}")
    };
    check("a.example:4317", None, "a.example", 4317);
    check("http://a.example:4317", Some(false), "a.example", 4317);
    check("https://a.example", Some(true), "a.example", 443);
    check("dns:///a.example:4317", None, "a.example", 4317);
    check("[::1]:4317", None, "::1", 4317);
    check("https://[::1]/", Some(true), "::1", 443);
    for wrong in ["a.example", "unix:///x", "a:b", ":1", "http://a:1/path"] {
        assert!(endpoint(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn plan() {
    let read_one = |yaml: &str| {
        let mut section = Section::parse(yaml);
        let plan = read(&mut section);
        (plan, section.mistakes())
    };
    let (plan, mistakes) = read_one("endpoint: a:1");
    assert_eq!(mistakes, Vec::<String>::new());
    assert_eq!((plan.compress.with, plan.settings.timeout), (Some(Encoding::Gzip), Duration::from_secs(5)));
    assert!(plan.tls.is_some(), "secure unless told otherwise");
    assert!(read_one("{ endpoint: a:1, tls: { insecure: true } }").0.tls.is_none());
    assert!(read_one("{ endpoint: 'http://a:1' }").0.tls.is_none());
    let (plan, _) = read_one("{ endpoint: a:1, headers: { authorization: Bearer hunter2 } }");
    assert!(!format!("{plan:?}").contains("hunter2"), "{plan:?}");
    let full = "{ endpoint: a:1, compression: zstd, balancer_name: round_robin, wait_for_ready: true, keepalive: { time: 10s, \
                timeout: 1s, permit_without_stream: true }, read_buffer_size: 1, write_buffer_size: 1, authority: b, timeout: 1s, \
                tls: { ca_file: a, cert_file: b, key_file: c, server_name_override: d, insecure_skip_verify: true }, \
                retry_on_failure: { enabled: true }, sending_queue: { enabled: true } }";
    assert_eq!(read_one(full).1, Vec::<String>::new());
    for (yaml, expect) in [
        ("{}", "endpoint"),
        ("endpoint: a", "has no port"),
        ("{ endpoint: a:1, compression: lz4 }", "lz4"),
        ("{ endpoint: a:1, headers: { 'a b': c } }", "gRPC metadata"),
        ("{ endpoint: a:1, endpiont: b }", "endpiont"),
    ] {
        let (_, mistakes) = read_one(yaml);
        assert!(mistakes.len() == 1 && mistakes[0].contains(expect), "{yaml}: {mistakes:?}");
    }
}

/// A server with a certificate for `collector.example`, signed by an authority of its own; and that authority's file.
async fn serve_tls(folder: &std::path::Path) -> (String, String) {
    use catchment_pipeline::component::tls::{Pem, ServerTls, TlsCommon};
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["collector.example".to_owned()]).unwrap();
    let cert = params.signed_by(&key, &ca).unwrap();
    let ca_file = folder.join("ca.pem");
    std::fs::write(&ca_file, ca.pem()).unwrap();
    let text = |text: String| Some(Pem::Text(Secret(text)));
    let common = TlsCommon { cert: text(cert.pem()), key: text(key.serialize_pem()), ..Default::default() };
    let tls = ServerTls { common, client_ca: None }.build(&["h2"]).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let app = axum::Router::new().fallback(answer).with_state((Say::Message(vec![]), Seen::default()));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(stream) = tokio_rustls::TlsAcceptor::from(tls.current()).accept(stream).await else { continue };
            let service = hyper_util::service::TowerToHyperService::new(app.clone());
            let server = hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new());
            let stream = hyper_util::rt::TokioIo::new(stream);
            tokio::spawn(
                async move { server.serve_connection(stream, service).await.map_err(|error| error.to_string()) },
            );
        }
    });
    (address, ca_file.display().to_string())
}

#[tokio::test]
async fn tls() {
    let folder = tempfile::tempdir().unwrap();
    let (address, ca_file) = serve_tls(folder.path()).await;
    let yaml = |tls: &str| format!("{{ endpoint: '{address}', tls: {{ {tls} }} }}");
    let right = yaml(&format!("ca_file: '{ca_file}', server_name_override: collector.example"));
    exporter(&right).await.export(&batch(10), 1).await.unwrap();
    exporter(&yaml("insecure_skip_verify: true")).await.export(&batch(10), 1).await.unwrap();
    let wrong_name = yaml(&format!("ca_file: '{ca_file}'"));
    match exporter(&wrong_name).await.export(&batch(10), 1).await {
        Err(ExportError::Transient { reason, .. }) => assert!(reason.contains("certificate"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

use std::io::Write;

use catchment_pipeline::batch::Signal;
use catchment_pipeline::otlp::answer::RpcStatus;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use super::*;

const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

async fn client(running: &Running) -> Grpc<Channel> {
    let channel = Channel::from_shared(format!("http://{}", running.grpc)).unwrap().connect().await.unwrap();
    Grpc::new(channel).max_encoding_message_size(usize::MAX)
}

async fn call<Q, A>(client: &mut Grpc<Channel>, path: &'static str, message: Q) -> Result<A, Status>
where
    Q: Message + Send + Sync + 'static,
    A: Message + Default + Send + Sync + 'static,
{
    client.ready().await.unwrap();
    let path = ::http::uri::PathAndQuery::from_static(path);
    client.unary(Request::new(message), path, ProstCodec::default()).await.map(|answer| answer.into_inner())
}

async fn export(client: &mut Grpc<Channel>, message: ExportLogsServiceRequest) -> Result<(), Status> {
    call::<_, ExportLogsServiceResponse>(client, LOGS, message)
        .await
        .map(|answer| assert_eq!(answer, Default::default()))
}

#[tokio::test]
async fn three_services_take_the_bytes_as_they_are() {
    let running = start(BOTH).await;
    let mut client = client(&running).await;
    export(&mut client, logs("a")).await.unwrap();
    let metrics = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    call::<_, ExportMetricsServiceResponse>(&mut client, metrics, ExportMetricsServiceRequest::default())
        .await
        .unwrap();
    let traces = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    call::<_, ExportTraceServiceResponse>(&mut client, traces, ExportTraceServiceRequest::default()).await.unwrap();
    let taken = running.taken();
    assert_eq!(taken, [(Signal::Logs, bytes_of("a")), (Signal::Metrics, vec![]), (Signal::Traces, vec![])]);
    running.assert_released();
    running.stop().await;
}

/// Read with the official messages, each signal with its own.
#[tokio::test]
async fn rejected_items_are_partial_success() {
    let running = start(BOTH).await;
    running.reject(2, "late");
    let mut client = client(&running).await;
    let logs: ExportLogsServiceResponse = call(&mut client, LOGS, logs("a")).await.unwrap();
    let logs = logs.partial_success.unwrap();
    assert_eq!((logs.rejected_log_records, logs.error_message.as_str()), (2, "late"));
    let metrics = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    let metrics: ExportMetricsServiceResponse =
        call(&mut client, metrics, ExportMetricsServiceRequest::default()).await.unwrap();
    let metrics = metrics.partial_success.unwrap();
    assert_eq!((metrics.rejected_data_points, metrics.error_message.as_str()), (2, "late"));
    let traces = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let traces: ExportTraceServiceResponse =
        call(&mut client, traces, ExportTraceServiceRequest::default()).await.unwrap();
    let traces = traces.partial_success.unwrap();
    assert_eq!((traces.rejected_spans, traces.error_message.as_str()), (2, "late"));
    running.stop().await;
}

#[tokio::test]
async fn compressions_of_tonic() {
    let running = start(BOTH).await;
    let large = "0123456789".repeat(20_000);
    for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Zstd, CompressionEncoding::Deflate] {
        let mut client = client(&running).await.send_compressed(encoding);
        export(&mut client, logs(&large)).await.unwrap();
    }
    assert_eq!(running.taken(), vec![(Signal::Logs, bytes_of(&large)); 3]);
    running.assert_released();
    running.stop().await;
}

#[tokio::test]
async fn refusals() {
    let running = start("protocols: { grpc: { endpoint: 'localhost:0', max_recv_msg_size_mib: 1 } }").await;
    let mut client = client(&running).await;
    let too_large = export(&mut client, logs(&"x".repeat(2 << 20))).await.unwrap_err();
    assert_eq!((too_large.code(), !too_large.details().is_empty()), (Code::ResourceExhausted, true));
    assert!(too_large.message().contains("larger than"), "{too_large}");
    assert_eq!(retry_delay(&too_large), None, "not to be sent again");
    // A bomb: 2 KiB that become 2 MiB.
    let mut bomb = client.clone().send_compressed(CompressionEncoding::Gzip);
    let bomb = export(&mut bomb, logs(&"x".repeat(2 << 20))).await.unwrap_err();
    assert_eq!(bomb.code(), Code::ResourceExhausted);

    running.refuse(Refused::Rejected { reason: "no pipeline carries logs".into() });
    let rejected = export(&mut client, logs("a")).await.unwrap_err();
    assert_eq!((rejected.code(), rejected.message()), (Code::InvalidArgument, "no pipeline carries logs"));

    running.refuse(Refused::Busy { retry_after: Duration::from_millis(2500), reason: "the log is full".into() });
    let busy = export(&mut client, logs("a")).await.unwrap_err();
    assert_eq!((busy.code(), busy.message()), (Code::Unavailable, "the log is full"));
    assert_eq!(retry_delay(&busy), Some(Duration::from_millis(2500)));

    let unknown = call::<_, ExportLogsServiceResponse>(&mut client, "/a.B/C", logs("a")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::Unimplemented);
    assert_eq!(running.taken(), []);
    running.assert_released();
    running.stop().await;
}

fn retry_delay(status: &Status) -> Option<Duration> {
    RpcStatus::decode(status.details()).unwrap().retry_after()
}

#[tokio::test]
async fn admission_refuses_before_holding() {
    let running = start_with(BOTH, 128 << 10).await;
    let mut client = client(&running).await;
    let held = running.admission.admit(64 << 10).unwrap();
    let refused = export(&mut client, logs(&"x".repeat(100 << 10))).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(retry_delay(&refused), Some(Duration::from_secs(1)));
    drop(held);
    let never = export(&mut client, logs(&"x".repeat(1 << 20))).await.unwrap_err();
    assert_eq!((never.code(), retry_delay(&never)), (Code::ResourceExhausted, None), "it does not fit by itself");
    export(&mut client, logs("small")).await.unwrap();
    running.stop().await;
}

/// What no well-behaved client sends, over plain HTTP/2.
#[tokio::test]
async fn malformed_calls() {
    let running = start(BOTH).await;
    rustls::crypto::ring::default_provider().install_default().ok();
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let send = async |content_type: &str, encoding: &str, body: Vec<u8>| {
        let request = client.post(format!("http://{}{LOGS}", running.grpc)).header("content-type", content_type);
        let answer = request.header("grpc-encoding", encoding).body(body).send().await.unwrap();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        (answer.status().as_u16(), header("grpc-status"), header("grpc-accept-encoding"))
    };
    let refused = |code: Code| (200, Some((code as i32).to_string()), None);
    let grpc = "application/grpc";
    assert_eq!(send("application/json", "identity", vec![]).await.0, 415);
    assert_eq!(send(grpc, "identity", vec![]).await, refused(Code::InvalidArgument));
    assert_eq!(send(grpc, "identity", vec![0, 0, 0, 0, 9]).await, refused(Code::InvalidArgument));
    assert_eq!(send(grpc, "identity", vec![0, 0, 0, 0, 0, 0]).await, refused(Code::InvalidArgument));
    assert_eq!(send(grpc, "identity", vec![1, 0, 0, 0, 0]).await, refused(Code::InvalidArgument));
    assert_eq!(send(grpc, "gzip", vec![1, 0, 0, 0, 1, 9]).await, refused(Code::InvalidArgument));
    let (_, code, accepted) = send(grpc, "br", vec![0, 0, 0, 0, 0]).await;
    assert_eq!((code.as_deref(), accepted.as_deref()), (Some("12"), Some("gzip, zstd, deflate, snappy")));
    // Snappy is not tonic's: framed, as Go's gRPC sends it.
    let mut framed = snap::write::FrameEncoder::new(Vec::new());
    framed.write_all(&bytes_of("snappy")).unwrap();
    let framed = framed.into_inner().unwrap();
    let message = [&[1][..], &(framed.len() as u32).to_be_bytes(), &framed].concat();
    let answer = send("application/grpc+proto", "snappy", message).await;
    assert_eq!(answer.0, 200);
    assert_eq!(running.taken(), [(Signal::Logs, bytes_of("snappy"))]);
    running.stop().await;
}

#[tokio::test]
async fn shutdown_answers_what_is_in_flight() {
    let running = start(BOTH).await;
    let gate = running.pipeline.gate.write().await;
    let mut client = client(&running).await;
    let mut call = tokio::spawn(async move { export(&mut client, logs("last")).await });
    // The batch is at the gate once its bytes are no longer admissible.
    while running.admission.admit(ADMITTED).is_ok() {
        tokio::task::yield_now().await;
    }
    running.shutdown.cancel();
    let early = tokio::time::timeout(Duration::from_millis(50), &mut call).await;
    assert!(early.is_err(), "not answered before the pipeline has taken it");
    drop(gate);
    call.await.unwrap().unwrap();
    assert_eq!(running.taken().len(), 1);
    running.stop().await;
}

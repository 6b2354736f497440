//! An OTLP destination that takes everything, or is told not to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::{
    logs::v1::{
        self as logs,
        logs_service_server::{LogsService, LogsServiceServer},
    },
    metrics::v1::{
        self as metrics,
        metrics_service_server::{MetricsService, MetricsServiceServer},
    },
    trace::v1::{
        self as trace,
        trace_service_server::{TraceService, TraceServiceServer},
    },
};
use tokio::net::TcpListener;
use tonic::{Request, Response};

macro_rules! compressed {
    ($service:expr) => {
        $service
            .accept_compressed(tonic::codec::CompressionEncoding::Gzip)
            .accept_compressed(tonic::codec::CompressionEncoding::Zstd)
    };
}
#[derive(Clone)]
pub struct Sink {
    pub http: SocketAddr,
    pub grpc: SocketAddr,
    /// Answers "unavailable" while it is set.
    pub refuses: Arc<AtomicBool>,
}

#[derive(Clone)]
struct Refuses(Arc<AtomicBool>);

impl Refuses {
    fn check(&self) -> Result<(), tonic::Status> {
        if self.0.load(Ordering::SeqCst) { Err(tonic::Status::unavailable("told to")) } else { Ok(()) }
    }
}

impl Sink {
    pub async fn start() -> Sink {
        let refuses = Arc::new(AtomicBool::new(false));
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = Sink { http: http.local_addr().unwrap(), grpc: grpc.local_addr().unwrap(), refuses };
        let router = Router::new().route("/v1/{signal}", post(take)).with_state(Refuses(sink.refuses.clone()));
        tokio::spawn(async move { axum::serve(http, router).await.unwrap() });
        let own = Refuses(sink.refuses.clone());
        let server = tonic::transport::Server::builder()
            .add_service(compressed!(LogsServiceServer::new(own.clone())))
            .add_service(compressed!(MetricsServiceServer::new(own.clone())))
            .add_service(compressed!(TraceServiceServer::new(own)));
        let incoming = tonic::transport::server::TcpIncoming::from(grpc);
        tokio::spawn(async move { server.serve_with_incoming(incoming).await.unwrap() });
        sink
    }
}

async fn take(State(refuses): State<Refuses>) -> StatusCode {
    if refuses.check().is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

#[tonic::async_trait]
impl LogsService for Refuses {
    async fn export(
        &self,
        _: Request<logs::ExportLogsServiceRequest>,
    ) -> Result<Response<logs::ExportLogsServiceResponse>, tonic::Status> {
        self.check().map(|()| Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Refuses {
    async fn export(
        &self,
        _: Request<metrics::ExportMetricsServiceRequest>,
    ) -> Result<Response<metrics::ExportMetricsServiceResponse>, tonic::Status> {
        self.check().map(|()| Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl TraceService for Refuses {
    async fn export(
        &self,
        _: Request<trace::ExportTraceServiceRequest>,
    ) -> Result<Response<trace::ExportTraceServiceResponse>, tonic::Status> {
        self.check().map(|()| Response::new(Default::default()))
    }
}

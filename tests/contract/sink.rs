//! A destination that takes everything, over OTLP, HTTP and SMTP, or is told not to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
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
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
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
    pub smtp: SocketAddr,
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
        let smtp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let [a, b, c] = [&http, &grpc, &smtp].map(|listener| listener.local_addr().unwrap());
        let sink = Sink { http: a, grpc: b, smtp: c, refuses };
        let router = Router::new().fallback(take).with_state(Refuses(sink.refuses.clone()));
        tokio::spawn(async move { axum::serve(http, router).await.unwrap() });
        let own = Refuses(sink.refuses.clone());
        let mail = own.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = smtp.accept().await {
                tokio::spawn(take_mail(stream, mail.clone()));
            }
        });
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

async fn take_mail(stream: TcpStream, refuses: Refuses) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let greeting: &[u8] = if refuses.check().is_ok() { b"220 sink\r\n" } else { b"421 told to\r\n" };
    stream.write_all(greeting).await?;
    let (mut line, mut in_data) = (String::new(), false);
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let answer: &[u8] = match (in_data, line.as_str()) {
            (true, ".\r\n") => b"250 taken\r\n",
            (true, _) => continue,
            (false, "DATA\r\n") => b"354 go on\r\n",
            (false, _) => b"250 sink\r\n",
        };
        in_data = answer.starts_with(b"354");
        stream.write_all(answer).await?;
    }
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

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! The server over real sockets, with a lake that does what a test tells it.

mod documented;
mod serving;
mod tls;

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use async_trait::async_trait;
use catchment_pipeline::engine::status as engine;
use catchment_storage::{Changed, LakeStats, MetricInfo, QueryLimits, SeriesFilter, SeriesInfo, TableStats, Tables};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

use super::*;

type Stream = BoxStream<'static, Result<RecordBatch, Problem>>;

/// Answers `rows <n>` and whatever the statements below are; anything else is bad SQL.
#[derive(Default)]
pub(crate) struct Fake {
    /// `stall` sends one row, then waits for ever, `silent` sends none; dropping them is told here.
    dropped: Mutex<Option<oneshot::Sender<()>>>,
    begun: tokio::sync::Notify,
}

fn numbers(from: i64, n: i64) -> RecordBatch {
    let text = (from..from + n).map(|n| format!("row {n}")).collect::<Vec<_>>();
    let columns = [
        ("n", Arc::new((from..from + n).collect::<Int64Array>()) as ArrayRef),
        ("text", Arc::new(StringArray::from(text))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

struct Told(Option<oneshot::Sender<()>>);

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.take().map(|told| told.send(()));
    }
}

#[async_trait]
impl Data for Fake {
    fn limits(&self) -> QueryLimits {
        QueryLimits::default()
    }

    async fn query(&self, sql: &str, _: QueryLimits) -> Result<Rows, Problem> {
        let failed = || Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "out of memory"));
        let told = Told(self.dropped.lock().unwrap().take());
        self.begun.notify_one();
        let stream: Stream = match sql.split_once(' ').unwrap_or((sql, "")) {
            ("rows", n) => {
                let n: i64 = n.parse().unwrap();
                stream::iter((0..n).step_by(5000).map(move |at| Ok(numbers(at, (n - at).min(5000))))).boxed()
            }
            ("fail-late", _) => stream::iter([Ok(numbers(0, 3)), failed()]).boxed(),
            ("fail-early", _) => stream::iter([failed()]).boxed(),
            ("panic", _) => {
                stream::iter([0, 1]).map(|n| if n == 0 { Ok(numbers(0, 1)) } else { panic!("on purpose") }).boxed()
            }
            ("stall", _) => stream::iter([Ok(numbers(0, 1))])
                .chain(stream::pending())
                .inspect(move |_| {
                    let _ = &told;
                })
                .boxed(),
            ("silent", _) => stream::pending()
                .inspect(move |_: &Result<RecordBatch, Problem>| {
                    let _ = &told;
                })
                .boxed(),
            ("endless", _) => stream::repeat_with(|| Ok(numbers(0, 5000)))
                .inspect(move |_| {
                    let _ = &told;
                })
                .boxed(),
            _ => {
                let problem = Problem::new(StatusCode::BAD_REQUEST, "bad_sql", "what is this?");
                return Err(Problem { position: Some((1, 1)), ..problem });
            }
        };
        Ok(Rows { schema: numbers(0, 0).schema(), position: 0, reads: Tables::NONE, stream })
    }

    async fn select(&self, _: &Select<'_>, _: QueryLimits) -> Result<Rows, Problem> {
        unreachable!("live queries have a stand-in of their own")
    }

    fn changes(&self) -> watch::Receiver<u64> {
        watch::Sender::new(0).subscribe()
    }

    fn changed_since(&self, _: u64, _: Tables, _: std::ops::Range<i64>) -> Changed {
        Changed::Nothing
    }

    fn log_id(&self) -> &str {
        "log"
    }

    fn metrics(&self) -> Vec<MetricInfo> {
        let metric = |name: &str, attributes: &[&str]| MetricInfo {
            name: name.into(),
            kind: "sum".into(),
            unit: "s".into(),
            description: "<b>".into(),
            series: 3,
            attributes: attributes.iter().map(ToString::to_string).collect(),
        };
        vec![metric("system.cpu.time", &["cpu", "state"]), metric("system.disk.io", &["device"])]
    }

    async fn series(&self, filter: &SeriesFilter, limit: usize) -> Result<Vec<SeriesInfo>, Problem> {
        let series = |n: i64| SeriesInfo {
            metric: filter.metric.clone().unwrap_or("system.cpu.time".into()),
            series_id: i64::MIN + n,
            resource_id: 1,
            attributes: r#"{"cpu":"cpu0","n":1}"#.into(),
            resource_attributes: "{}".into(),
        };
        Ok((0..5).map(series).take(limit).collect())
    }

    async fn label_values(&self, _: Option<&str>, key: &str, limit: usize) -> Result<Vec<String>, Problem> {
        Ok(["a", "b", key].iter().map(ToString::to_string).take(limit).collect())
    }

    fn stats(&self) -> LakeStats {
        let metrics = TableStats {
            name: "metrics",
            hot_rows: 1200,
            file_rows: 34_000_000,
            files: 12,
            file_bytes: 41_000_000,
            hot_bytes: 9,
        };
        LakeStats {
            tables: vec![metrics],
            durable: 7,
            appended: 9,
            last_flush: Some(SystemTime::now()),
            last_flush_duration: Some(Duration::from_millis(120)),
            last_flush_error: None,
            ..LakeStats::default()
        }
    }
}

pub(crate) fn snapshot() -> Snapshot {
    let failure = || Some(engine::Failure { at_unix_ms: 999_000, message: "<script>alert(1)</script>".into() });
    Snapshot {
        started_unix_ms: 1_000,
        now_unix_ms: 1_000_000,
        ready: true,
        memory: engine::Memory { resident_bytes: 88 << 20, ..Default::default() },
        pipelines: vec![engine::Pipeline {
            id: "metrics/<i>".into(),
            signal: "metrics",
            receivers: vec!["otlp".into()],
            processors: vec!["memory_limiter".into(), "batch".into()],
            exporters: vec!["parquet".into()],
        }],
        receivers: vec![engine::Receiver {
            id: "otlp".into(),
            kind: "otlp".into(),
            state: engine::State::Running,
            pipelines: vec!["metrics/<i>".into()],
            addresses: vec![engine::Address { protocol: "grpc", address: "127.0.0.1:4317".into() }],
            accepted_items: 123_456,
            accepted_per_second: 1234.5,
            refused_items: 0,
            refused_by_reason: Default::default(),
            last_error: None,
        }],
        processors: vec![engine::Processor {
            id: "batch".into(),
            kind: "batch".into(),
            pipeline: "metrics/<i>".into(),
            incoming_items: 1,
            outgoing_items: 1,
            refused_items: 0,
            taken_out_items: [("<i>", 1)].into(),
            put_in_items: Default::default(),
            held_items: 0,
            backlog: None,
            last_error: failure(),
        }],
        connectors: vec![],
        exporters: vec![engine::Exporter {
            id: "parquet".into(),
            kind: "parquet".into(),
            state: engine::State::Retrying,
            pipelines: vec!["metrics/<i>".into()],
            exported_items: 123_000,
            exported_per_second: 1200.0,
            lost_items: 5,
            retries: 2,
            in_flight_items: 0,
            in_flight_bytes: 0,
            backlog: engine::Backlog { committed: 3, records: 4, items: 456, bytes: 70_000, oldest_age_seconds: 61.5 },
            last_error: failure(),
        }],
        log: engine::Log {
            durable: true,
            path: Some("data/log".into()),
            bytes: 1 << 20,
            limit_bytes: 1 << 30,
            ..Default::default()
        },
        reload: Some(engine::Reload { at_unix_ms: 5, applied: false, message: "no".into() }),
    }
}

pub(crate) struct Running {
    pub(crate) url: String,
    address: SocketAddr,
    pub(crate) client: reqwest::Client,
    pub(crate) desk: Arc<Desk>,
    shutdown: CancellationToken,
    done: tokio::task::JoinHandle<()>,
}

pub(crate) fn settings() -> Settings {
    Settings { endpoint: "127.0.0.1:0".into(), ..Settings::default() }
}

pub(crate) async fn start(settings: Settings, lake: Option<Arc<Fake>>, snapshot: Snapshot) -> Running {
    // The client wants one, also where nothing is encrypted; another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let lake = lake.map(|lake| lake as Arc<dyn Data>);
    let desk = Arc::<Desk>::default();
    let sources = Sources { status: Arc::new(move || snapshot.clone()), lake, alerts: desk.clone() };
    let dashboard = Dashboard::bind(settings, sources).await.unwrap();
    let address = dashboard.address();
    let shutdown = CancellationToken::new();
    let done = tokio::spawn(dashboard.run(shutdown.clone()));
    Running { url: format!("http://{address}"), address, client: reqwest::Client::new(), desk, shutdown, done }
}

async fn started() -> Running {
    start(settings(), Some(Arc::default()), snapshot()).await
}

impl Running {
    pub(crate) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    fn post(&self, body: &Value) -> reqwest::RequestBuilder {
        let post = self.client.post(format!("{}/api/v1/query", self.url));
        post.header("content-type", "application/json").body(body.to_string())
    }

    async fn ask(&self, body: Value, accept: &str) -> reqwest::Response {
        self.post(&body).header("accept", accept).send().await.unwrap()
    }
}

pub(crate) async fn json_of(response: reqwest::Response) -> Value {
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

//! SIGHUP on the whole binary: what changed is restarted, what did not runs on, what is wrong changes nothing, and what was
//! acknowledged is there throughout.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use harness::sink::Sink;
use harness::{ANY_TIME, Catchment, PATIENCE, client, load};
use serde_json::Value;
use tokio::sync::watch;

/// A file that is written anew, and the process that reads it.
struct Bench {
    catchment: Catchment,
    file: PathBuf,
    _folder: tempfile::TempDir,
    lake: PathBuf,
    /// What it has logged.
    said: Vec<Value>,
}

/// What differs from one configuration to the next.
struct Config {
    lake: &'static str,
    extensions: String,
    listed: &'static str,
    telemetry: String,
    exporters: &'static str,
}

const PLAIN: &str = "{ metrics: { level: none } }";

impl Config {
    fn plain() -> Config {
        Config {
            lake: "",
            extensions: "health_check: { endpoint: 'localhost:0' }".to_owned(),
            listed: "lake, dashboard, health_check",
            telemetry: PLAIN.to_owned(),
            exporters: "parquet",
        }
    }

    fn write(&self, file: &Path, lake: &Path) {
        let Config { lake: more, extensions, listed, telemetry, exporters } = self;
        let text = format!(
            "
extensions:
  lake: {{ path: {}, {ANY_TIME}, {more} }}
  dashboard: {{ endpoint: localhost:0 }}
  {extensions}
receivers:
  otlp: {{ protocols: {{ http: {{ endpoint: localhost:0 }} }} }}
exporters:
  parquet: {{}}
  debug: {{}}
service:
  extensions: [{listed}]
  telemetry: {telemetry}
  pipelines: {{ metrics: {{ receivers: [otlp], exporters: [{exporters}] }} }}
",
            lake.display()
        );
        std::fs::write(file, text).unwrap();
    }
}

impl Bench {
    fn start(config: &Config) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let (file, lake) = (folder.path().join("catchment.yaml"), folder.path().join("lake"));
        config.write(&file, &lake);
        Bench { catchment: Catchment::start_file(&file), file, _folder: folder, lake, said: Vec::new() }
    }

    /// Reads `config`, and says whether it was applied and what was said of it.
    async fn reload(&mut self, config: &Config) -> (bool, String) {
        config.write(&self.file, &self.lake);
        self.read_again().await
    }

    async fn read_again(&mut self) -> (bool, String) {
        let before = self.catchment.get("/api/v1/pipeline").await["reload"]["at_unix_ms"].clone();
        self.catchment.signal("HUP");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reload = self.catchment.get("/api/v1/pipeline").await["reload"].clone();
            if reload["at_unix_ms"] != before {
                self.said.extend(self.catchment.logged());
                return (reload["applied"] == Value::Bool(true), reload["message"].as_str().unwrap().to_owned());
            }
            assert!(Instant::now() < deadline, "no reload: {:?}", self.catchment.logged());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn status_of(url: String) -> Option<u16> {
    Some(client().get(url).send().await.ok()?.status().as_u16())
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_restarted_started_and_stopped() {
    let mut bench = Bench::start(&Config::plain());
    let health = bench.catchment.url("health_check");
    let dashboard = bench.catchment.address("dashboard");
    assert_eq!(status_of(health.clone()).await, Some(200));

    let (applied, message) = bench.reload(&Config::plain()).await;
    assert_eq!((applied, message.as_str()), (true, "nothing to restart"));

    // Another path on the same endpoint: the socket stays, and with it the port that the system chose.
    let moved = "health_check: { endpoint: 'localhost:0', path: /live }".to_owned();
    let (applied, message) = bench.reload(&Config { extensions: moved, ..Config::plain() }).await;
    assert_eq!((applied, message.as_str()), (true, "restarted health_check"));
    assert_eq!(status_of(format!("{health}/live")).await, Some(200));
    assert_eq!(status_of(health.clone()).await, Some(404));
    assert_eq!(bench.catchment.address("dashboard"), dashboard);

    // Another address on the same port, which one socket at a time can have.
    let port = bench.catchment.address("health_check").port();
    let anywhere = format!("health_check: {{ endpoint: '0.0.0.0:{port}' }}");
    let (applied, message) = bench.reload(&Config { extensions: anywhere, ..Config::plain() }).await;
    assert_eq!((applied, message.as_str()), (true, "restarted health_check"));
    assert_eq!(bench.catchment.address("health_check").to_string(), format!("0.0.0.0:{port}"));
    assert_eq!(status_of(health.clone()).await, Some(200));

    let second = "health_check/second: { endpoint: 'localhost:0' }".to_owned();
    let listed = "lake, dashboard, health_check/second";
    let (applied, message) = bench.reload(&Config { extensions: second, listed, ..Config::plain() }).await;
    assert_eq!((applied, message.as_str()), (true, "started health_check/second; stopped health_check"));
    assert_eq!(status_of(bench.catchment.url("health_check/second")).await, Some(200));
    assert_eq!(status_of(health).await, None, "nobody listens there any more");
    assert_eq!(bench.catchment.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn own_metrics_are_served_where_the_configuration_says() {
    let serves = |port: u16| {
        format!(
            "{{ metrics: {{ readers: [{{ pull: {{ exporter: {{ prometheus: {{ host: localhost, port: {port} }} }} }} }}] }} }}"
        )
    };
    let mut bench = Bench::start(&Config { telemetry: serves(0), ..Config::plain() });
    let before = bench.catchment.url("own metrics");
    assert_eq!(status_of(format!("{before}/metrics")).await, Some(200));
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (applied, message) = bench.reload(&Config { telemetry: serves(port), ..Config::plain() }).await;
    assert_eq!((applied, message.as_str()), (true, "started own metrics; stopped own metrics"));
    assert_eq!(status_of(format!("http://127.0.0.1:{port}/metrics")).await, Some(200));
    assert_eq!(status_of(format!("{before}/metrics")).await, None);
    let (applied, message) = bench.reload(&Config::plain()).await;
    assert!(applied && message.contains("stopped own metrics"), "{message}");
    assert!(message.contains("not without a restart: service::telemetry::metrics::level"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_cannot_be_carried_out_changes_nothing() {
    let mut bench = Bench::start(&Config::plain());
    let health = bench.catchment.url("health_check");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = format!("health_check: {{ endpoint: '{}' }}", taken.local_addr().unwrap());
    // The exporter would be started, were it not for the port.
    let config = Config { extensions: there, exporters: "parquet, debug", ..Config::plain() };
    let (applied, message) = bench.reload(&config).await;
    assert!(!applied && message.contains("cannot start health_check: cannot listen on"), "{message}");
    assert_eq!(status_of(health.clone()).await, Some(200));
    let running = bench.catchment.get("/api/v1/pipeline").await;
    assert_eq!(running["exporters"].as_array().unwrap().len(), 1, "{running}");

    let unread = "health_check: { path: no-slash }".to_owned();
    let (applied, message) = bench.reload(&Config { extensions: unread, ..Config::plain() }).await;
    assert_eq!((applied, message.as_str()), (false, "There is 1 mistake in the configuration. The running one stays."));

    // A component that cannot be built, beside servers that could: those stay as they were, too.
    let elsewhere = "health_check: { path: /live }\n  dashboard/second: { endpoint: 'localhost:0' }".to_owned();
    let file = bench.file.clone();
    let config = Config { extensions: elsewhere, listed: "lake, dashboard, dashboard/second", ..Config::plain() };
    config.write(&file, &bench.lake);
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace(
        "http: { endpoint: localhost:0 }",
        &format!("http: {{ endpoint: '{}' }}", taken.local_addr().unwrap()),
    );
    std::fs::write(&file, text).unwrap();
    let (applied, message) = bench.read_again().await;
    assert!(!applied && message.contains("cannot start receiver `otlp`"), "{message}");
    assert_eq!(status_of(health).await, Some(200));
    assert_eq!(
        status_of(format!("{}/v1/metrics", bench.catchment.url("otlp/http"))).await,
        None,
        "restarted on another port"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_lake_and_the_log_level_apply_and_the_rest_is_named() {
    let mut bench = Bench::start(&Config { lake: "flush_interval: 1h", ..Config::plain() });
    let url = format!("{}/v1/metrics", bench.catchment.url("otlp/http"));
    let post = || client().post(&url).header("content-type", "application/x-protobuf").body(load::metrics(1, 10));
    assert_eq!(post().send().await.unwrap().status(), 200);
    let config = Config {
        lake: "flush_interval: 1s, maintenance: { vacuum_after: 2h }, promoted: { team: string }, log: { max_size: 64MiB }",
        telemetry: "{ metrics: { level: none }, logs: { level: debug }, resource: { service.name: me } }".to_owned(),
        ..Config::plain()
    };
    let (applied, message) = bench.reload(&config).await;
    let fixed = "not without a restart: the log's max_size, the lake's promoted columns, service::telemetry::resource";
    assert!(applied && message.contains("the lake flushes as told now") && message.ends_with(fixed), "{message}");
    assert!(message.contains("the lake is kept in order as told now"), "{message}");
    let deadline = Instant::now() + PATIENCE;
    while bench.catchment.get("/api/v1/lake").await["durable_position"] == 0 {
        assert!(Instant::now() < deadline, "not flushed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (applied, _) = bench.reload(&Config { exporters: "parquet, debug", ..config }).await;
    assert!(applied);
    // Said at debug level only.
    let caught_up = |entry: &Value| entry["fields"]["message"] == "caught up with what the log held at the start";
    while !bench.said.iter().any(caught_up) {
        let entry = bench.catchment.next_log();
        bench.said.push(entry);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_go_where_the_configuration_says() {
    let mut bench = Bench::start(&Config::plain());
    let mut sink = Sink::start().await;
    let telemetry = format!(
        "{{ metrics: {{ level: none }}, traces: {{ processors: [{{ batch: {{ schedule_delay: 10, exporter: {{ otlp: \
           {{ protocol: http/protobuf, endpoint: 'http://{}' }} }} }} }}] }} }}",
        sink.address
    );
    let (applied, message) = bench.reload(&Config { telemetry, ..Config::plain() }).await;
    assert_eq!((applied, message.as_str()), (true, "nothing to restart; own telemetry goes elsewhere"));
    let url = format!("{}/v1/metrics", bench.catchment.url("otlp/http"));
    let post = client().post(&url).header("content-type", "application/x-protobuf").body(load::metrics(1, 10));
    assert_eq!(post.send().await.unwrap().status(), 200);
    sink.next_to("/v1/traces").await;

    let (applied, _) = bench.reload(&Config::plain()).await;
    assert!(applied);
    assert_eq!(bench.catchment.stop(), Some(0));
}

/// Requests flow all the while; each that was acknowledged is there once afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_over_reloads() {
    const POINTS: usize = 20;
    let mut bench = Bench::start(&Config::plain());
    let url = format!("{}/v1/metrics", bench.catchment.url("otlp/http"));
    let done = Arc::new(AtomicBool::new(false));
    let (acknowledge, mut acknowledged) = watch::channel(0);
    let sender = tokio::spawn({
        let done = done.clone();
        async move {
            let client = client();
            for seq in 1.. {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                let post = client.post(&url).header("content-type", "application/x-protobuf");
                let answer = post.body(load::metrics(seq, POINTS)).send().await.unwrap();
                assert_eq!(answer.status(), 200);
                acknowledge.send_replace(seq);
            }
        }
    });
    for round in 0..6 {
        let exporters = if round % 2 == 0 { "parquet, debug" } else { "parquet" };
        let extensions = format!("health_check: {{ endpoint: 'localhost:0', path: /round-{round} }}");
        let before = *acknowledged.borrow();
        let (applied, message) = bench.reload(&Config { exporters, extensions, ..Config::plain() }).await;
        assert!(applied && message.contains("restarted health_check"), "{message}");
        acknowledged.wait_for(|seq| *seq >= before + 3).await.expect("the sender was turned away");
    }
    done.store(true, Ordering::Relaxed);
    sender.await.unwrap();
    let sent = *acknowledged.borrow();
    let all = "SELECT count(DISTINCT attributes->>'seq'), count(*) FROM metrics";
    let expected = vec![vec![Value::from(sent), Value::from(sent * POINTS as i64)]];
    bench.catchment.sql_until(all, |rows| rows == expected).await;
    assert_eq!(bench.catchment.stop(), Some(0));
}

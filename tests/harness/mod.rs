//! A real `catchment` process on ports of its own, and the OTLP a test sends to it.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod grpc;
pub mod load;
pub mod sink;

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Long enough for a debug binary on a busy machine; only a hang reaches it.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Catchment {
    child: Child,
    /// Of its "listening" and "serving" messages, e.g. `otlp/grpc`, `dashboard`.
    pub addresses: HashMap<String, SocketAddr>,
    logs: mpsc::Receiver<Value>,
}

impl Catchment {
    /// Runs `config` and returns when it says it is ready.
    pub fn start(config: &str) -> Catchment {
        Catchment::start_with(&binary(), config)
    }

    /// Runs the configuration in `file`, which may change and be read again.
    pub fn start_file(file: &Path) -> Catchment {
        Catchment::spawn(Path::new(env!("CARGO_BIN_EXE_catchment")), &file.display().to_string())
    }

    pub fn start_with(binary: &Path, config: &str) -> Catchment {
        Catchment::spawn(binary, &format!("yaml:{config}"))
    }

    fn spawn(binary: &Path, config: &str) -> Catchment {
        let mut child = Command::new(binary)
            .args(["run", "--config", config, "--set", "service.telemetry.logs.encoding=json"])
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (tx, logs) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let entry = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if tx.send(entry).is_err() {
                    break;
                }
            }
        });
        let mut catchment = Catchment { child, addresses: HashMap::new(), logs };
        catchment.wait_for("ready");
        catchment
    }

    /// Reads its log until one comes that begins with `message`, noting addresses on the way.
    pub fn wait_for(&mut self, message: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(entry) = self.logs.recv_timeout(left) else {
                panic!("no {message:?} from catchment; it said:\n{}", seen.join("\n"));
            };
            self.note_address(&entry["fields"]);
            if entry["fields"]["message"].as_str().is_some_and(|said| said.starts_with(message)) {
                return entry;
            }
            seen.push(entry.to_string());
        }
    }

    /// The next entry of its log, once it has come.
    pub fn next_log(&mut self) -> Value {
        let entry = self.logs.recv_timeout(PATIENCE).expect("nothing more from catchment");
        self.note_address(&entry["fields"]);
        entry
    }

    fn note_address(&mut self, fields: &Value) {
        if fields["message"] == "listening"
            && let (Some(receiver), Some(protocol), Some(address)) =
                (fields["receiver"].as_str(), fields["protocol"].as_str(), fields["address"].as_str())
        {
            self.addresses.insert(format!("{receiver}/{protocol}"), address.parse().unwrap());
        }
        if fields["message"] == "serving"
            && let (Some(extension), Some(url)) = (fields["extension"].as_str(), fields["url"].as_str())
        {
            let address = url.trim_start_matches("http://").trim_end_matches('/');
            self.addresses.insert(extension.to_owned(), address.parse().unwrap());
        }
    }

    /// All it has logged since the last look.
    pub fn logged(&mut self) -> Vec<Value> {
        let entries: Vec<Value> = self.logs.try_iter().collect();
        entries.iter().for_each(|entry| self.note_address(&entry["fields"]));
        entries
    }

    pub fn address(&self, name: &str) -> SocketAddr {
        *self.addresses.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.addresses))
    }

    pub fn url(&self, name: &str) -> String {
        format!("http://{}", self.address(name))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// JSON from the dashboard's server.
    pub async fn get(&self, path: &str) -> Value {
        client().get(format!("{}{path}", self.url("dashboard"))).send().await.unwrap().json().await.unwrap()
    }

    /// SQL over HTTP: one JSON array a row.
    pub async fn sql(&self, sql: &str) -> Vec<Vec<Value>> {
        let url = format!("{}/api/v1/query", self.url("dashboard"));
        let response = client().post(url).json(&serde_json::json!({ "sql": sql })).send().await.unwrap();
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert!(status.is_success(), "{sql}: {status} {body}");
        serde_json::from_value(body["rows"].clone()).unwrap_or_else(|e| panic!("{e}: {body}"))
    }

    /// Asks `sql` until `done` likes the rows.
    pub async fn sql_until(&self, sql: &str, done: impl Fn(&[Vec<Value>]) -> bool) -> Vec<Vec<Value>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let rows = self.sql(sql).await;
            if done(&rows) {
                return rows;
            }
            assert!(Instant::now() < deadline, "{sql} still gives {rows:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGKILL, and the body is buried.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().unwrap().success());
    }

    /// SIGTERM, and its exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.signal("TERM");
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("catchment did not stop within {PATIENCE:?}");
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> u64 {
        resident(self.pid())
    }
}

impl Drop for Catchment {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The one that was built with the test, or CATCHMENT_BIN: benches can measure what is shipped.
pub fn binary() -> PathBuf {
    std::env::var_os("CATCHMENT_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_catchment").into()).into()
}

pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap()
}

/// Resident memory of a process in bytes.
pub fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// User and system time a process has used, in seconds.
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    let ticks = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0 // USER_HZ is 100 on every Linux architecture Rust supports
}

/// Of a lake: data whose times a test knows is of some other day.
pub const ANY_TIME: &str = "accept: { late: 0 }, retention: { metrics: forever, histograms: forever, \
                            exp_histograms: forever, summaries: forever, logs: forever, spans: forever }";

/// A pipeline for all signals into a lake under `dir` that takes any time, every port the system's choice.
pub fn lake_config(dir: &Path, more: &str) -> String {
    format!(
        "
extensions:
  lake: {{ path: {}, {ANY_TIME} }}
  dashboard: {{ endpoint: localhost:0 }}
receivers:
  otlp: {{ protocols: {{ grpc: {{ endpoint: localhost:0 }}, http: {{ endpoint: localhost:0 }} }} }}
exporters:
  parquet: {{}}
{more}
service:
  extensions: [lake, dashboard]
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines:
    metrics: {{ receivers: [otlp], exporters: [parquet] }}
    logs: {{ receivers: [otlp], exporters: [parquet] }}
    traces: {{ receivers: [otlp], exporters: [parquet] }}
",
        dir.display()
    )
}

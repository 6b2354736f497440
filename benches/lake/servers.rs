//! Prometheus and VictoriaMetrics, fed over OTLP/HTTP and asked over their query API.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use serde_json::Value;

use crate::questions::Promql;

pub struct Server {
    pub name: &'static str,
    child: Child,
    address: SocketAddr,
    folder: PathBuf,
    client: reqwest::Client,
}

impl Server {
    /// Resource attributes become labels, as the lake has them in every row; it scrapes nothing itself.
    pub async fn prometheus(binary: &Path, folder: &Path) -> Server {
        std::fs::create_dir_all(folder).unwrap();
        let config = folder.join("prometheus.yml");
        std::fs::write(&config, "otlp: { promote_all_resource_attributes: true }\n").unwrap();
        let mut command = Command::new(binary);
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .args(["--web.enable-otlp-receiver", "--web.enable-admin-api"]);
        Server::start("Prometheus", command, "--web.listen-address=", folder, "/-/ready").await
    }

    /// Metrics get the names that Prometheus gives them.
    pub async fn victoriametrics(binary: &Path, folder: &Path) -> Server {
        let mut command = Command::new(binary);
        command.arg(format!("-storageDataPath={}", folder.join("data").display())).args([
            "-retentionPeriod=100y",
            "-opentelemetry.usePrometheusNaming",
            "-search.maxUniqueTimeseries=1000000",
        ]);
        Server::start("VictoriaMetrics", command, "-httpListenAddr=", folder, "/health").await
    }

    async fn start(name: &'static str, mut command: Command, listen: &str, folder: &Path, ready: &str) -> Server {
        std::fs::create_dir_all(folder).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let command = command.arg(format!("{listen}{address}")).stdout(Stdio::null()).stderr(log);
        let client = super::harness::client();
        let server = Server { name, child: command.spawn().unwrap(), address, folder: folder.to_owned(), client };
        let deadline = Instant::now() + Duration::from_secs(120);
        while !server.client.get(server.url(ready)).send().await.is_ok_and(|answer| answer.status().is_success()) {
            assert!(Instant::now() < deadline, "{name} is not ready; {}/log says why", folder.display());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        server
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn is_prometheus(&self) -> bool {
        self.name == "Prometheus"
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An OTLP request; its points are taken when this returns.
    pub async fn push(&self, body: Bytes) {
        let path = if self.is_prometheus() { "/api/v1/otlp/v1/metrics" } else { "/opentelemetry/v1/metrics" };
        let request = self.client.post(self.url(path)).header("Content-Type", "application/x-protobuf").body(body);
        let answer = request.send().await.unwrap();
        let status = answer.status();
        assert!(status.is_success(), "{}: {status} {}", self.name, answer.text().await.unwrap());
    }

    async fn post(&self, path: &str) -> String {
        let answer = self.client.post(self.url(path)).timeout(Duration::from_secs(1800)).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{}: {path}: {status} {text}", self.name);
        text
    }

    /// Bytes on disk once all is in the form in which it stays.
    ///
    /// Prometheus: the blocks of a snapshot, for which it compacts what its head still holds (no write-ahead log).
    /// VictoriaMetrics: `data` and `indexdb`, after a forced merge.
    pub async fn settled_bytes(&self) -> u64 {
        if self.is_prometheus() {
            let answer: Value = serde_json::from_str(&self.post("/api/v1/admin/tsdb/snapshot").await).unwrap();
            let snapshots = self.folder.join("data/snapshots");
            let bytes = folder_bytes(&snapshots.join(answer["data"]["name"].as_str().unwrap()));
            std::fs::remove_dir_all(snapshots).unwrap();
            return bytes;
        }
        self.post("/internal/force_flush").await;
        self.post("/internal/force_merge").await;
        let mut before = 0;
        loop {
            tokio::time::sleep(Duration::from_secs(10)).await;
            let metrics = self.client.get(self.url("/metrics")).send().await.unwrap().text().await.unwrap();
            let active = metrics.lines().filter(|line| line.starts_with("vm_active_merges"));
            let merging = active.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() > 0.0;
            let now = folder_bytes(&self.folder.join("data/data")) + folder_bytes(&self.folder.join("data/indexdb"));
            if now == before && !merging {
                return now;
            }
            before = now;
        }
    }

    /// How long the answer took, and the answer.
    pub async fn ask(&self, question: &Promql) -> (Duration, Bytes) {
        let mut form = vec![("query", question.query.clone()), ("nocache", "1".to_owned())];
        let path = match question.step {
            Some(step) => {
                form.extend([
                    ("start", question.from.to_string()),
                    ("end", question.to.to_string()),
                    ("step", step.to_string()),
                ]);
                "/api/v1/query_range"
            }
            None => {
                form.push(("time", question.to.to_string()));
                "/api/v1/query"
            }
        };
        let form = form.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect::<Vec<_>>().join("&");
        let request =
            self.client.post(self.url(path)).header("Content-Type", "application/x-www-form-urlencoded").body(form);
        let started = Instant::now();
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let body = answer.bytes().await.unwrap();
        let took = started.elapsed();
        assert!(status.is_success(), "{}: {}: {status} {:?}", self.name, question.query, body);
        (took, body)
    }
}

impl Drop for Server {
    /// Asked to end: what it holds in memory reaches the disk.
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.pid().to_string()).status();
        let _ = self.child.wait();
    }
}

/// Samples in an answer.
pub fn samples(body: &[u8]) -> usize {
    let answer: Value = serde_json::from_slice(body).unwrap();
    let series = answer["data"]["result"].as_array().unwrap();
    series.iter().map(|series| series["values"].as_array().map_or(1, Vec::len)).sum()
}

pub fn folder_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => folder_bytes(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    });
    bytes.sum()
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

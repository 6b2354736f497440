//! The `dashboard` extension's keys.

use std::time::Duration;

use catchment_pipeline::component::tls::ServerTls;
use catchment_pipeline::config::{ByteSize, Section};
use catchment_storage::QueryLimits;

/// The extension's name in YAML, and what `catchment components` says of it.
pub const KIND: &str = "dashboard";
pub const SUMMARY: &str = "HTTP server: SQL, metrics, series, pipeline status, health and a page that shows them";

/// ```yaml
/// dashboard:
///   endpoint: localhost:8080            # port 0 takes any free one
///   boards: ./boards                    # a folder of board files, beside the built-in ones; see docs/boards.md
///   max_concurrent_queries: 4           # more wait in line, one line per client address, served in turn
///   max_queued_queries: 32              # more are answered with 429
///   queue_timeout: 5s                   # waited this long for a turn: 429
///   query_timeout: 30s                  # a query's whole time, its answer's transfer included; a request may ask for less
///   max_query_memory: 256MiB            # of one query; past it, it spills to disk or fails
///   max_rows: 1000000                   # of one answer; these three are the lake's (`query`), and can only be less here
///   max_request_body_size: 1MiB
///   max_connections: 1024
///   max_live_connections: 1024          # pages that are kept up to date (WebSockets), beside max_connections
///   max_live_streams: 256               # different queries that they watch
///   max_live_evaluations: 2             # of those at a time, beside max_concurrent_queries
///   read_header_timeout: 10s            # for a request's headers, and again for its body
///   allowed_origins: []                 # other sites whose pages may use the API, e.g. https://grafana.example.com
///   tls: { cert_file: c.pem, key_file: k.pem }  # as the receivers' `tls`; without, HTTP in the clear
///   allowed_hosts: []                   # names the server is reached by, beside localhost and IP addresses
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub endpoint: String,
    /// Read when the server starts, not when it is planned.
    pub boards: Option<String>,
    pub max_concurrent_queries: usize,
    pub max_queued_queries: usize,
    pub queue_timeout: Duration,
    /// These three: what the lake gives, where nothing less is said.
    pub query_timeout: Option<Duration>,
    pub max_query_memory: Option<usize>,
    pub max_rows: Option<u64>,
    pub max_request_body_size: usize,
    pub max_connections: usize,
    pub max_live_connections: usize,
    pub max_live_streams: usize,
    pub max_live_evaluations: usize,
    pub read_header_timeout: Duration,
    pub tls: Option<ServerTls>,
    pub allowed_origins: Vec<String>,
    pub allowed_hosts: Vec<String>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            endpoint: "localhost:8080".into(),
            boards: None,
            max_concurrent_queries: 4,
            max_queued_queries: 32,
            queue_timeout: Duration::from_secs(5),
            query_timeout: None,
            max_query_memory: None,
            max_rows: None,
            max_request_body_size: 1 << 20,
            max_connections: 1024,
            max_live_connections: 1024,
            max_live_streams: 256,
            max_live_evaluations: 2,
            read_header_timeout: Duration::from_secs(10),
            tls: None,
            allowed_origins: Vec::new(),
            allowed_hosts: Vec::new(),
        }
    }
}

impl Settings {
    /// Opens nothing; every mistake goes into the section.
    pub fn plan(section: &mut Section) -> Settings {
        let default = Settings::default();
        let settings = Settings {
            endpoint: section.or("endpoint", default.endpoint),
            boards: section.get("boards"),
            max_concurrent_queries: section.or("max_concurrent_queries", default.max_concurrent_queries),
            max_queued_queries: section.or("max_queued_queries", default.max_queued_queries),
            queue_timeout: section.or("queue_timeout", default.queue_timeout),
            query_timeout: section.get("query_timeout"),
            max_query_memory: size(section, "max_query_memory"),
            max_rows: section.get("max_rows"),
            max_request_body_size: size(section, "max_request_body_size").unwrap_or(default.max_request_body_size),
            max_connections: section.or("max_connections", default.max_connections),
            max_live_connections: section.or("max_live_connections", default.max_live_connections),
            max_live_streams: section.or("max_live_streams", default.max_live_streams),
            max_live_evaluations: section.or("max_live_evaluations", default.max_live_evaluations),
            read_header_timeout: section.or("read_header_timeout", default.read_header_timeout),
            tls: ServerTls::read(section),
            allowed_origins: section.or("allowed_origins", default.allowed_origins),
            allowed_hosts: section.or("allowed_hosts", default.allowed_hosts),
        };
        check_endpoint(section, &settings.endpoint);
        let at_least_one = [
            ("max_concurrent_queries", settings.max_concurrent_queries == 0),
            ("max_query_memory", settings.max_query_memory == Some(0)),
            ("max_rows", settings.max_rows == Some(0)),
            ("max_request_body_size", settings.max_request_body_size == 0),
            ("max_connections", settings.max_connections == 0),
            ("max_live_connections", settings.max_live_connections == 0),
            ("max_live_streams", settings.max_live_streams == 0),
            ("max_live_evaluations", settings.max_live_evaluations == 0),
        ];
        for (key, _) in at_least_one.iter().filter(|(_, zero)| *zero) {
            section.mistake(key, "0 would let nothing through", "write 1 or more, or leave the key out");
        }
        for (key, zero) in [
            ("query_timeout", settings.query_timeout == Some(Duration::ZERO)),
            ("read_header_timeout", settings.read_header_timeout.is_zero()),
        ] {
            if zero {
                section.mistake(key, "no time at all", "write a duration, e.g. 30s");
            }
        }
        for origin in &settings.allowed_origins {
            let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            if rest.is_none_or(|host| host.is_empty() || host.contains(['/', '*', '@'])) {
                let what = format!("`{origin}` is not an origin");
                section.mistake("allowed_origins", what, "write scheme, host and port only: https://host:port");
            }
        }
        for host in &settings.allowed_hosts {
            if host.is_empty() || host.contains(['/', ':', '*', '@']) {
                let what = format!("`{host}` is not a host name");
                section.mistake("allowed_hosts", what, "write the bare name, without scheme and port");
            }
        }
        settings
    }

    /// What a query over HTTP may use.
    pub(crate) fn limits(&self, lake: QueryLimits) -> QueryLimits {
        let mut limits = lake;
        if let Some(time) = self.query_timeout.filter(|time| *time < limits.deadline) {
            (limits.deadline, limits.raised_by.deadline) = (time, "`query_timeout` of the dashboard");
        }
        if let Some(memory) = self.max_query_memory.filter(|memory| *memory < limits.memory) {
            (limits.memory, limits.raised_by.memory) = (memory, "`max_query_memory` of the dashboard");
        }
        let rows = self.max_rows.map(|rows| usize::try_from(rows).unwrap_or(usize::MAX));
        if let Some(rows) = rows.filter(|rows| *rows < limits.max_rows) {
            (limits.max_rows, limits.raised_by.max_rows) = (rows, "`max_rows` of the dashboard");
        }
        limits
    }
}

fn size(section: &mut Section, key: &str) -> Option<usize> {
    section.get::<ByteSize>(key).map(|size| usize::try_from(size.0).unwrap_or(usize::MAX))
}

pub(crate) fn check_endpoint(section: &Section, endpoint: &str) {
    let port = endpoint.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
    if !matches!(port, Some(Ok(_))) {
        section.mistake("endpoint", format!("`{endpoint}` is not host:port"), "write e.g. localhost:8080");
    }
}

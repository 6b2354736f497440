//! `exporter: { otlp: ... }`: where telemetry about the process itself is pushed to, in the keys of OpenTelemetry's
//! declarative configuration. Times are milliseconds there.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::read::Secret;
use crate::config::section::Section;

#[derive(Clone, Debug, PartialEq)]
pub struct OtlpTarget {
    pub protocol: Protocol,
    /// A URL, its scheme saying whether there is TLS; a path is there only for HTTP, and is then the signal's own.
    pub endpoint: String,
    pub headers: BTreeMap<String, Secret>,
    pub gzip: bool,
    /// Of one attempt.
    pub timeout: Duration,
    pub ca_file: Option<String>,
    pub cert_file: Option<String>,
    pub key_file: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Grpc,
    HttpProtobuf,
    HttpJson,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Temporality {
    #[default]
    Cumulative,
    Delta,
    LowMemory,
}

/// `section` is what stands around `exporter`.
pub(super) fn exporter_of(section: &mut Section) -> Option<Section> {
    let Some(mut exporter) = section.section("exporter") else {
        section.mistake("", "it has no exporter", "write exporter: { otlp: { protocol: grpc, endpoint: host:4317 } }");
        return None;
    };
    let otlp = exporter.section("otlp");
    if otlp.is_none() {
        let mend = "write otlp: { protocol: grpc, endpoint: host:4317 }";
        exporter.mistake("", "there is no exporter here that telemetry about the process itself can go to", mend);
    }
    otlp
}

impl OtlpTarget {
    pub(super) fn read(otlp: &mut Section) -> Option<OtlpTarget> {
        let protocols =
            [("grpc", Protocol::Grpc), ("http/protobuf", Protocol::HttpProtobuf), ("http/json", Protocol::HttpJson)];
        let protocol = otlp.choice("protocol", &protocols).unwrap_or(Protocol::Grpc);
        let insecure = otlp.or("insecure", false);
        let gzip = otlp.choice("compression", &[("none", false), ("gzip", true)]).unwrap_or(false);
        let timeout = otlp.or("timeout", 10_000);
        if timeout == 0 {
            otlp.mistake("timeout", "no attempt succeeds in no time", "write milliseconds, e.g. 10000");
        }
        let (cert_file, key_file) = (otlp.get("client_certificate"), otlp.get("client_key"));
        if cert_file.is_some() != key_file.is_some() {
            otlp.mistake("", "client_certificate and client_key go together", "write both, or neither");
        }
        let (headers, ca_file) = (headers(otlp), otlp.get("certificate"));
        let endpoint = otlp.required::<String>("endpoint")?;
        let endpoint = match (endpoint.contains("://"), protocol, insecure) {
            (true, ..) => endpoint,
            (false, Protocol::Grpc, true) => format!("http://{endpoint}"),
            (false, Protocol::Grpc, false) => format!("https://{endpoint}"),
            (false, ..) => {
                otlp.mistake("endpoint", format!("`{endpoint}` is not a URL"), "write http://host:4318");
                return None;
            }
        };
        if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
            otlp.mistake("endpoint", format!("`{endpoint}` is not spoken to here"), "write http:// or https://");
        }
        let timeout = Duration::from_millis(timeout);
        Some(OtlpTarget { protocol, endpoint, headers, gzip, timeout, ca_file, cert_file, key_file })
    }
}

pub(super) fn temporality(otlp: &mut Section) -> Temporality {
    let aggregation = otlp.get::<String>("default_histogram_aggregation");
    if aggregation.is_some_and(|name| name != "explicit_bucket_histogram") {
        let what = "histograms about the process itself have explicit buckets";
        otlp.mistake("default_histogram_aggregation", what, "write explicit_bucket_histogram, or leave it out");
    }
    let choices = [
        ("cumulative", Temporality::Cumulative),
        ("delta", Temporality::Delta),
        ("low_memory", Temporality::LowMemory),
        ("lowmemory", Temporality::LowMemory),
    ];
    otlp.choice("temporality_preference", &choices).unwrap_or_default()
}

/// A mapping, or the newer list of `{ name, value }`; and `headers_list: a=b,c=d`, which those win over.
fn headers(otlp: &mut Section) -> BTreeMap<String, Secret> {
    let mut headers = BTreeMap::new();
    if let Some(Secret(list)) = otlp.get::<Secret>("headers_list") {
        for pair in list.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some((name, value)) => {
                    headers.insert(name.trim().to_owned(), Secret(value.trim().to_owned()));
                }
                None => otlp.mistake("headers_list", "a header has no value", "write name=value,name=value"),
            }
        }
    }
    let is_list = otlp.value("headers").is_some_and(|node| node.entries().is_empty() && !node.is_null());
    if is_list {
        for mut header in otlp.list("headers") {
            let (name, value) = (header.required("name"), header.required("value"));
            headers.extend(name.zip(value));
        }
    } else {
        headers.extend(otlp.or::<BTreeMap<String, Secret>>("headers", BTreeMap::new()));
    }
    headers
}

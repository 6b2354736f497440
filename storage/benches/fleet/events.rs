//! Logs and spans of pods.

use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeBinaryArray, Int32Array, StringArray};
use catchment_pipeline::batch::{Rows, Table};

use super::INTERVAL;
use super::data::{rows, text, times};
use super::values::Random;

const ROUTES: [&str; 6] =
    ["/api/v1/orders/{id}", "/api/v1/orders", "/api/v1/carts/{id}", "/api/v1/search", "/healthz", "/api/v1/payments"];
const NAMES: [&str; 4] = ["GET", "SELECT shop.orders", "POST", "publish orders"];

/// Requests of the interval that ends at `end`: `each` a pod on the average, every one with a span, and with a log record.
pub fn events(random: &mut Random, pods: &[&str], end: i64, each: f64) -> (Rows, Rows) {
    let n = (pods.len() as f64 * each) as usize;
    let mut requests = (0..n).map(|_| Request::new(random, pods, end)).collect::<Vec<_>>();
    requests.sort_by_key(|request| request.end);
    let of = |get: &dyn Fn(&Request) -> String| text(&requests.iter().map(get).collect::<Vec<_>>());
    let ids = |get: &dyn Fn(&Request) -> Vec<u8>| -> ArrayRef {
        Arc::new(FixedSizeBinaryArray::try_from_iter(requests.iter().map(get)).unwrap())
    };
    let trace = ids(&|request| [request.id.to_be_bytes(), request.pair.to_be_bytes()].concat());
    let span = ids(&|request| (request.id ^ request.pair).to_be_bytes().to_vec());
    let resources = text(&requests.iter().map(|request| pods[request.pod]).collect::<Vec<_>>());
    let ends = times(requests.iter().map(|request| request.end).collect());
    let severe = |request: &Request| request.status >= 500;
    let bodies = requests.iter().map(|request| {
        let Request { status, route, id, .. } = request;
        Some(format!(
            "{} {} answered {status} in {} us, order {}",
            request.method(),
            ROUTES[*route],
            request.took / 1000,
            id % 1_000_000
        ))
    });
    let logs = rows(
        Table::Logs,
        n,
        &[
            ("resource_attributes", resources.clone()),
            ("time_unix_nano", ends.clone()),
            ("observed_time_unix_nano", times(requests.iter().map(|request| request.end + 250_000_000).collect())),
            (
                "severity_number",
                Arc::new(requests.iter().map(|r| if severe(r) { 17 } else { 9 }).collect::<Int32Array>()),
            ),
            ("severity_text", of(&|r| if severe(r) { "ERROR" } else { "INFO" }.to_owned())),
            ("body", Arc::new(bodies.collect::<StringArray>())),
            (
                "attributes",
                of(&|r| format!(r#"{{"http.response.status_code":{},"http.route":"{}"}}"#, r.status, ROUTES[r.route])),
            ),
            ("trace_id", trace.clone()),
            ("span_id", span.clone()),
        ],
    );
    let spans = rows(
        Table::Spans,
        n,
        &[
            ("resource_attributes", resources),
            ("trace_id", trace),
            ("span_id", span),
            ("name", of(&|r| format!("{} {}", NAMES[r.route % 4], ROUTES[r.route]))),
            ("kind", Arc::new(Int32Array::from(vec![2; n]))),
            ("start_time_unix_nano", times(requests.iter().map(|request| request.end - request.took).collect())),
            ("end_time_unix_nano", ends),
            (
                "attributes",
                of(&|r| {
                    format!(
                        r#"{{"client.address":"10.{}.{}.{}","http.request.method":"{}","http.response.status_code":{},"http.route":"{}"}}"#,
                        r.id % 4,
                        r.id / 7 % 250,
                        r.id / 11 % 250,
                        r.method(),
                        r.status,
                        ROUTES[r.route]
                    )
                }),
            ),
            ("status_code", Arc::new(requests.iter().map(|r| if severe(r) { 2 } else { 0 }).collect::<Int32Array>())),
        ],
    );
    (Rows::new([(Table::Logs, logs)]), Rows::new([(Table::Spans, spans)]))
}

struct Request {
    pod: usize,
    route: usize,
    status: u16,
    id: u64,
    pair: u64,
    end: i64,
    /// Nanoseconds.
    took: i64,
}

impl Request {
    fn new(random: &mut Random, pods: &[&str], end: i64) -> Request {
        Request {
            pod: random.below(pods.len() as u64) as usize,
            route: random.below(ROUTES.len() as u64) as usize,
            status: [200, 200, 200, 200, 201, 404, 200, 200, 200, 500][random.below(10) as usize],
            id: random.bits(),
            pair: random.bits(),
            end: end - random.below(INTERVAL as u64) as i64,
            took: (2e6 * (1.2 * random.normal()).exp()) as i64,
        }
    }

    fn method(&self) -> &'static str {
        if self.route % 3 == 1 { "POST" } else { "GET" }
    }
}

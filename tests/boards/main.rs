//! The built-in boards on the real binary: each panel of each answers with rows, and where the data is known with the right
//! figures.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod data;
#[path = "../harness/mod.rs"]
mod harness;
mod page;

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use data::{BASE, FAILURES, FROM, GIB, MIB, SECONDS};
use harness::{Catchment, client, lake_config};
use page::{Page, Rows, get, series};
use serde_json::{Value, json};

struct Fed {
    catchment: Catchment,
    page: Page,
    _dir: tempfile::TempDir,
}

/// A Catchment that holds the known data, and a page that looks at its ten minutes.
async fn fed() -> Fed {
    let dir = tempfile::tempdir().unwrap();
    let catchment = Catchment::start(&lake_config(dir.path(), ""));
    for (signal, body) in [("metrics", data::metrics()), ("traces", data::traces()), ("logs", data::logs())] {
        let url = format!("{}/v1/{signal}", catchment.url("otlp/http"));
        let answer = client().post(url).json(&body).send().await.unwrap();
        let status = answer.status();
        let said = answer.text().await.unwrap();
        assert!(status.is_success() && !said.contains("partialSuccess\":{\"rejected"), "{signal}: {status} {said}");
    }
    let time = |at: u64| humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(FROM + at)).to_string();
    let page = Page::open(catchment.address("dashboard"), json!({"from": time(0), "to": time(SECONDS)})).await;
    Fed { catchment, page, _dir: dir }
}

impl Fed {
    /// Rows of one panel, by its section's and its own title.
    async fn rows(&mut self, board: &str, section: &str, title: &str, vars: &Value) -> Rows {
        let board = get(&self.catchment, &format!("/api/v1/boards/{board}")).await;
        let section = board["sections"].as_array().unwrap().iter().find(|one| one["title"] == section).unwrap();
        let panel = section["panels"].as_array().unwrap().iter().find(|panel| panel["title"] == title).unwrap();
        self.page.ask(&panel["query"], vars).await.unwrap_or_else(|error| panic!("{title}: {error}"))
    }

    async fn series(&mut self, board: &str, section: &str, title: &str, vars: &Value) -> BTreeMap<String, Vec<f64>> {
        series(&self.rows(board, section, title, vars).await)
    }
}

/// Every value of the series is about what is expected, and there are enough of them.
fn always(series: &BTreeMap<String, Vec<f64>>, name: &str, expect: f64, least: usize) {
    let values = series.get(name).unwrap_or_else(|| panic!("no {name:?} in {:?}", series.keys()));
    assert!(values.len() >= least, "{name}: {} values", values.len());
    for value in values {
        assert!((value - expect).abs() <= 1e-6 * expect.abs().max(1.0), "{name}: {value}, not {expect}: {values:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_answers_with_rows() {
    let mut fed = fed().await;
    let mut panels = 0;
    for board in ["host", "hosts", "services"] {
        let board = get(&fed.catchment, &format!("/api/v1/boards/{board}")).await;
        let vars = fed.page.variables(&board).await;
        panels += all_answer(&mut fed.page, &board, &vars).await;
    }
    assert!(panels > 40, "{panels}");
}

async fn all_answer(page: &mut Page, board: &Value, vars: &Value) -> usize {
    let mut panels = 0;
    for panel in board["sections"].as_array().unwrap().iter().flat_map(|section| section["panels"].as_array().unwrap())
    {
        let named = format!("{}: {}", board["title"], panel["title"]);
        let rows = page.ask(&panel["query"], vars).await.unwrap_or_else(|error| panic!("{named}: {error}"));
        assert!(!rows.is_empty(), "{named} has no rows");
        // What a table says of a column, a link or a series' name is said of a column that is there.
        let columns = rows.iter().flat_map(|row| row.keys()).collect::<Vec<_>>();
        let units = panel["columns"].as_object().into_iter().flat_map(|columns| columns.keys());
        let links = panel["links"].as_array().into_iter().flatten().map(|link| link["column"].as_str().unwrap());
        let names =
            panel["series"].as_str().unwrap_or_default().split('{').skip(1).map(|part| part.split('}').next().unwrap());
        for name in units.map(String::as_str).chain(links).chain(names) {
            assert!(columns.iter().any(|column| *column == name), "{named} has no column {name}: {columns:?}");
        }
        panels += 1;
    }
    panels
}

#[tokio::test(flavor = "multi_thread")]
async fn catchments_own_board_answers_with_rows() {
    let dir = tempfile::tempdir().unwrap();
    let config = lake_config(dir.path(), "")
        .replace("\nreceivers:", "\nreceivers:\n  internal_telemetry: { collection_interval: 100ms }")
        .replace("metrics: { receivers: [otlp]", "metrics: { receivers: [otlp, internal_telemetry]")
        .replace("telemetry: { metrics: { level: none } }", "telemetry: { metrics: { address: localhost:0 } }");
    let catchment = Catchment::start(&config);
    let twice = "SELECT count(*) FROM histograms WHERE metric_name = 'catchment.log.sync.duration'";
    catchment.sql_until(twice, |rows| rows[0][0].as_i64() >= Some(2)).await;
    let mut page = Page::open(catchment.address("dashboard"), json!({"last": "15m"})).await;
    let board = get(&catchment, "/api/v1/boards/catchment").await;
    let vars = page.variables(&board).await;
    assert!(all_answer(&mut page, &board, &vars).await > 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hosts_figures_are_right_also_over_its_restart() {
    let mut fed = fed().await;
    let h1 = json!({"host": "h1"});
    let cpu = fed.series("host", "CPU", "CPU by state", &h1).await;
    for (state, share) in [("user", 0.25), ("system", 0.1), ("wait", 0.05)] {
        always(&cpu, state, share, 58);
    }
    assert!(!cpu.contains_key("idle"));
    always(&fed.series("host", "CPU", "Busy by core", &h1).await, "cpu1", 0.35, 58);
    always(&fed.series("host", "Now", "CPU", &h1).await, "", 0.35, 58);
    always(&fed.series("host", "Now", "Memory", &h1).await, "", 0.5, 60);
    always(&fed.series("host", "Now", "Load", &h1).await, "", 1.5, 60);
    always(&fed.series("host", "Now", "Fullest disk", &h1).await, "", 60.0 / 90.0, 60);

    let disks = fed.series("host", "Disks", "Throughput", &h1).await;
    assert_eq!(disks.keys().collect::<Vec<_>>(), ["sda read", "sda write"], "no partition, no loop device");
    always(&disks, "sda write", 2.0 * MIB, 58);
    always(&fed.series("host", "Disks", "Busy", &h1).await, "sda", 0.2, 58);
    always(&fed.series("host", "Disks", "Time of an operation", &h1).await, "sda read", 0.005, 58);
    let network = fed.series("host", "Network", "Throughput", &h1).await;
    assert_eq!(network.keys().collect::<Vec<_>>(), ["eth0 receive", "eth0 transmit"], "no loopback");
    always(&network, "eth0 receive", 1000.0, 58);
    always(&fed.series("host", "Memory", "Swap", &h1).await, "used", 0.0, 60);

    let programs = fed.series("host", "Processes", "CPU by program", &h1).await;
    always(&programs, "busy", 0.5, 58);
    let top = fed.rows("host", "Processes", "Top processes", &h1).await;
    assert_eq!(
        (&top[0]["program"], &top[0]["pid"], top[0]["memory"].as_f64()),
        (&json!("busy"), &json!("7"), Some(2.0 * GIB))
    );
    assert!((top[0]["cores"].as_f64().unwrap() - 0.5).abs() < 1e-6, "{top:?}");
    let mounts = fed.rows("host", "Disks", "File systems", &h1).await;
    assert_eq!((mounts.len(), &mounts[0]["mounted"], mounts[0]["inodes"].as_f64()), (1, &json!("/"), Some(0.25)));
}

/// A point a minute, and a step of two seconds: no spikes, no missing first point.
#[tokio::test(flavor = "multi_thread")]
async fn an_interval_longer_than_the_step_changes_no_rate() {
    let mut fed = fed().await;
    let h2 = json!({"host": "h2"});
    always(&fed.series("host", "CPU", "CPU by state", &h2).await, "user", 0.5, 9);
    always(&fed.series("host", "Network", "Throughput", &h2).await, "eth0 receive", 500.0, 9);
    let hosts = fed.rows("hosts", "Hosts", "Hosts", &json!({})).await;
    let of = |host: &str| hosts.iter().find(|row| row["host"] == host).unwrap().clone();
    assert!((of("h2")["cpu"].as_f64().unwrap() - 0.5).abs() < 1e-6, "{hosts:?}");
    assert!((of("h1")["cpu"].as_f64().unwrap() - 0.35).abs() < 1e-6, "{hosts:?}");
    assert_eq!(of("h2")["memory"].as_f64(), Some(0.25));
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_counted_once_and_from_what_they_send() {
    let mut fed = fed().await;
    let board = get(&fed.catchment, "/api/v1/boards/services").await;
    let vars = fed.page.variables(&board).await;
    assert_eq!(vars["service"], json!(["front", "mail", "old", "pay"]));

    let rates = fed.series("services", "Requests", "Requests", &vars).await;
    always(&rates, "pay", 4.0, 58);
    always(&rates, "old", 10.0, 58);
    always(&rates, "mail", 2.0, 60);
    let (healthy, failing) = rates["front"].split_at(FAILURES as usize / 10 - 1);
    assert!(healthy.iter().all(|rate| (rate - 10.0).abs() < 1e-6), "{healthy:?}");
    assert!(failing.iter().all(|rate| (rate - 10.5).abs() < 1e-6), "{failing:?}");

    let failures = fed.series("services", "Requests", "Failures", &vars).await;
    always(&failures, "pay", 0.0, 58);
    always(&failures, "mail", 0.1, 60);
    // The first failure is the first point of its series: it counts.
    let first = failures["front"].iter().position(|share| *share > 0.0).unwrap();
    assert!(
        failures["front"][first..].iter().all(|share| (share - 0.5 / 10.5).abs() < 1e-6),
        "{:?}",
        failures["front"]
    );
    assert_eq!(failures["front"].len() - first, (SECONDS - FAILURES) as usize / 10 - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn durations_are_right_within_their_buckets() {
    let mut fed = fed().await;
    let board = get(&fed.catchment, "/api/v1/boards/services").await;
    let vars = fed.page.variables(&board).await;
    let p95 = fed.series("services", "Duration", "95th percentile", &vars).await;
    // As Prometheus interpolates in the bucket from 0.1 s to 0.25 s, which holds the upper half.
    always(&p95, "old", 0.1 + 0.15 * 45.0 / 50.0, 58);
    // True is 0.19 s; an exponential bucket is off by its width at most.
    for value in &p95["pay"] {
        assert!((0.19 / BASE..0.19 * BASE).contains(value), "{value}");
    }
    always(&p95, "mail", 0.03, 60);
    // Upper bounds are powers of the root of two: 30 ms, 70 ms and 90 ms lie in three buckets.
    let heat = series(&fed.rows("services", "Duration", "How long requests took", &vars).await);
    assert_eq!(heat.len(), 3, "{:?}", heat.keys());
    always(&heat, "0.03125", 20.0, 60);
    always(&heat, "0.125", 10.0, 60);

    let services = fed.rows("services", "Services", "Services", &vars).await;
    let of = |service: &str| services.iter().find(|row| row["service"] == service).unwrap().clone();
    assert_eq!((&of("mail")["source"], &of("pay")["source"]), (&json!("spans"), &json!("metrics")));
    assert!((of("old")["p50"].as_f64().unwrap() - 0.1).abs() < 1e-6, "{services:?}");
    let calls = fed.rows("services", "Behind it", "Who calls whom", &vars).await;
    assert_eq!((calls.len(), &calls[0]["caller"], &calls[0]["called"]), (1, &json!("front"), &json!("pay")));
    let failed = fed.rows("services", "Behind it", "Latest failures", &vars).await;
    assert_eq!((failed.len(), &failed[0]["error"]), (50, &json!("refused")));
}

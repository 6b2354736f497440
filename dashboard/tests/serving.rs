//! Answers, limits, errors and cancellation.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn answers_in_every_form() {
    let server = started().await;
    let answer = json_of(server.ask(json!({"sql": "rows 12000"}), "application/json").await).await;
    assert_eq!(answer["row_count"], 12_000);
    assert_eq!(answer["truncated"], false);
    assert_eq!(answer["rows"].as_array().unwrap().len(), 12_000);
    assert_eq!(answer["rows"][11_999], json!([11_999, "row 11999"]));
    assert_eq!(answer["columns"], json!([{"name": "n", "type": "int64"}, {"name": "text", "type": "string"}]));

    let csv = server.ask(json!({"sql": "rows 2"}), "text/csv").await.text().await.unwrap();
    assert_eq!(csv, "n,text\n0,row 0\n1,row 1\n");
    let lines = server.ask(json!({"sql": "rows 1"}), "application/x-ndjson").await.text().await.unwrap();
    assert_eq!(lines, "{\"n\":0,\"text\":\"row 0\"}\n");

    let arrow = server.ask(json!({"sql": "rows 12000"}), "application/vnd.apache.arrow.stream").await;
    assert_eq!(arrow.headers()["content-type"], "application/vnd.apache.arrow.stream");
    let bytes = arrow.bytes().await.unwrap();
    let reader = arrow::ipc::reader::StreamReader::try_new(bytes.as_ref(), None).unwrap();
    assert_eq!(reader.map(|rows| rows.unwrap().num_rows()).sum::<usize>(), 12_000);
}

#[tokio::test]
async fn a_limit_cuts_and_the_servers_own_cap_is_never_silent() {
    let settings = Settings { max_rows: Some(6_000), ..settings() };
    let server = start(settings, Some(Arc::default()), snapshot()).await;
    let cut = json_of(server.ask(json!({"sql": "rows 7000", "limit": 5500}), "*/*").await).await;
    assert_eq!((&cut["row_count"], &cut["truncated"]), (&json!(5500), &json!(true)));
    let whole = json_of(server.ask(json!({"sql": "rows 5500", "limit": 5500}), "*/*").await).await;
    assert_eq!((&whole["row_count"], &whole["truncated"]), (&json!(5500), &json!(false)));
    let none = json_of(server.ask(json!({"sql": "rows 1", "limit": 0}), "*/*").await).await;
    assert_eq!((&none["row_count"], &none["truncated"]), (&json!(0), &json!(true)));

    let capped = json_of(server.ask(json!({"sql": "rows 7000"}), "application/json").await).await;
    assert_eq!((&capped["row_count"], &capped["truncated"]), (&json!(6000), &json!(true)));
    let cut = server.ask(json!({"sql": "rows 7000", "limit": 2}), "text/csv").await.text().await.unwrap();
    assert_eq!(cut, "n,text\n0,row 0\n1,row 1\n");
    let capped = server.ask(json!({"sql": "rows 7000"}), "text/csv").await;
    assert!(capped.bytes().await.is_err(), "a cut transfer");
}

#[tokio::test]
async fn errors_have_their_status_before_the_first_row_and_are_seen_after_it() {
    let server = started().await;
    let bad = server.ask(json!({"sql": "nonsense"}), "*/*").await;
    assert_eq!(bad.status(), 400);
    let expected =
        json!({"error": {"kind": "bad_sql", "message": "what is this?", "position": {"line": 1, "column": 1}}});
    assert_eq!(json_of(bad).await, expected);
    assert_eq!(server.ask(json!({"sql": "fail-early"}), "text/csv").await.status(), 413);

    let late = server.ask(json!({"sql": "fail-late"}), "application/json").await;
    assert_eq!(late.status(), 200);
    let late = json_of(late).await;
    assert_eq!(late["rows"].as_array().unwrap().len(), 3);
    assert_eq!(late["error"], json!({"kind": "too_large", "message": "out of memory"}));

    for accept in ["text/csv", "application/x-ndjson", "application/vnd.apache.arrow.stream"] {
        let late = server.ask(json!({"sql": "fail-late"}), accept).await;
        assert_eq!(late.status(), 200);
        assert!(late.bytes().await.is_err(), "{accept}: the transfer breaks off");
    }
    // What came before the break is there, the reason included.
    let mut late = server.ask(json!({"sql": "fail-late"}), "application/x-ndjson").await;
    let mut text = Vec::new();
    while let Ok(Some(chunk)) = late.chunk().await {
        text.extend_from_slice(&chunk);
    }
    let text = String::from_utf8(text).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["error"]["kind"], "too_large", "{text}");
}

#[tokio::test]
async fn a_panic_while_answering_is_not_an_end() {
    let server = started().await;
    let broken = server.ask(json!({"sql": "panic"}), "application/json").await;
    assert!(broken.bytes().await.is_err());
    assert_eq!(server.get("/healthz").send().await.unwrap().status(), 200);
}

/// Leaves once the answer has begun, or, when none will, once the query runs.
async fn cancelled_when_the_client_leaves(sql: &str, accept: &str) {
    let (told, dropped) = oneshot::channel();
    let lake = Arc::new(Fake { dropped: Mutex::new(Some(told)), ..Fake::default() });
    let server = start(settings(), Some(lake.clone()), snapshot()).await;
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    let body = json!({ "sql": sql }).to_string();
    let head = format!(
        "POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    if sql == "silent" {
        timeout(SOON, lake.begun.notified()).await.expect("the query runs");
    } else {
        let mut first = [0; 12];
        connection.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
    }
    drop(connection);
    timeout(SOON, dropped).await.expect("the query is cancelled").unwrap();
}

#[tokio::test]
async fn a_query_ends_with_its_client() {
    for accept in ["application/json", "application/x-ndjson", "text/csv", "application/vnd.apache.arrow.stream"] {
        cancelled_when_the_client_leaves("stall", accept).await;
        cancelled_when_the_client_leaves("endless", accept).await;
        cancelled_when_the_client_leaves("silent", accept).await;
    }
}

#[tokio::test]
async fn a_query_ends_with_its_time_even_when_the_client_does_not_read() {
    let (told, dropped) = oneshot::channel();
    let lake = Arc::new(Fake { dropped: Mutex::new(Some(told)), ..Fake::default() });
    let server = start(settings(), Some(lake), snapshot()).await;
    let unread = server.ask(json!({"sql": "endless", "timeout": 0.2}), "*/*").await;
    timeout(SOON, dropped).await.expect("the query is cancelled").unwrap();
    drop(unread);
    let answer = json_of(server.ask(json!({"sql": "stall", "timeout": 0.1}), "*/*").await).await;
    assert_eq!(answer["error"]["kind"], "timeout");
    assert_eq!(answer["row_count"], 1);
}

#[tokio::test]
async fn too_many_queries_wait_in_line_and_then_are_turned_away() {
    let patience = Duration::from_millis(100);
    let settings = Settings { max_concurrent_queries: 1, max_queued_queries: 1, queue_timeout: patience, ..settings() };
    let server = start(settings, Some(Arc::default()), snapshot()).await;
    let first = server.ask(json!({"sql": "stall"}), "*/*").await;
    let queued = server.ask(json!({"sql": "rows 1"}), "*/*");
    let waited = queued.await;
    assert_eq!(waited.status(), 429);
    assert_eq!(waited.headers()["retry-after"], "1");
    let (a, b) = tokio::join!(server.ask(json!({"sql": "rows 1"}), "*/*"), server.get("/api/v1/series").send());
    assert_eq!(
        (a.status().as_u16(), b.unwrap().status().as_u16()),
        (429, 429),
        "one waits in vain, one is not let in line"
    );
    drop(first);
    let mut status = 429;
    for _ in 0..50 {
        status = server.ask(json!({"sql": "rows 1"}), "*/*").await.status().as_u16();
        if status == 200 {
            break;
        }
    }
    assert_eq!(status, 200, "the turn is given back");
}

#[tokio::test]
async fn requests_are_checked() {
    let server = start(Settings { max_request_body_size: 100, ..settings() }, Some(Arc::default()), snapshot()).await;
    let status = async |request: reqwest::RequestBuilder| {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, json_of(response).await["error"]["kind"].as_str().unwrap().to_owned())
    };
    let ok = || json!({"sql": "rows 1"});
    let post = |body: &str| server.client.post(format!("{}/api/v1/query", server.url)).body(body.to_owned());
    let body = ok().to_string();
    assert_eq!(status(post(&body)).await, (415, "unsupported_media_type".into()));
    assert_eq!(status(post(&body).header("content-type", "text/plain")).await, (415, "unsupported_media_type".into()));
    assert_eq!(status(server.post(&json!({"query": "x"}))).await, (400, "bad_request".into()));
    assert_eq!(status(server.post(&json!({"sql": "x", "limit": -1}))).await, (400, "bad_request".into()));
    assert_eq!(status(server.post(&json!({"sql": "x", "timeout": -1}))).await, (400, "bad_request".into()));
    assert_eq!(status(server.post(&json!({"sql": "x".repeat(200)}))).await, (413, "too_large".into()));
    assert_eq!(status(server.post(&ok()).header("accept", "image/png")).await, (406, "not_acceptable".into()));
    assert_eq!(status(server.post(&ok()).header("host", "evil.example")).await, (403, "forbidden_host".into()));
    assert_eq!(
        status(server.post(&ok()).header("origin", "http://evil.example")).await,
        (403, "forbidden_origin".into())
    );
    assert_eq!(status(server.get("/api/v1/series?limit=0")).await, (400, "bad_request".into()));
    assert_eq!(status(server.get("/api/v1/series?match=x")).await, (400, "bad_request".into()));
    assert_eq!(status(server.get("/api/v1/series?metrics=x")).await, (400, "bad_request".into()));
    assert_eq!(status(server.get("/api/v1/none")).await, (404, "not_found".into()));
    assert_eq!(status(server.get("/api/v1/query")).await, (405, "method_not_allowed".into()));
    assert_eq!(server.get("/healthz").header("host", "probe.internal").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_allowed_origin_gets_cors_and_others_do_not() {
    let origins = vec!["https://app.example.com".to_owned()];
    let server = start(Settings { allowed_origins: origins, ..settings() }, Some(Arc::default()), snapshot()).await;
    let preflight = |origin: &'static str| {
        let url = format!("{}/api/v1/query", server.url);
        server.client.request(reqwest::Method::OPTIONS, url).header("origin", origin).send()
    };
    let yes = preflight("https://app.example.com").await.unwrap();
    assert_eq!(yes.status(), 204);
    assert_eq!(yes.headers()["access-control-allow-origin"], "https://app.example.com");
    let no = preflight("https://app.example.com.evil.example").await.unwrap();
    assert_eq!(no.status(), 403);
    assert!(!no.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn a_header_that_does_not_come_ends_the_connection() {
    let settings = Settings { read_header_timeout: Duration::from_millis(100), ..settings() };
    let server = start(settings, None, snapshot()).await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: local").await.unwrap();
    let mut rest = Vec::new();
    timeout(SOON, slow.read_to_end(&mut rest)).await.expect("cut off").unwrap();

    let mut silent = TcpStream::connect(server.address).await.unwrap();
    timeout(SOON, silent.read_to_end(&mut rest)).await.expect("cut off too").unwrap();

    let mut slow = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{";
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    timeout(SOON, slow.read_exact(&mut status)).await.expect("answered").unwrap();
    assert_eq!(&status, b"HTTP/1.1 408");
}

#[tokio::test]
async fn the_app_is_served_packed_and_cached() {
    let server = started().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = |path: &str| client.get(format!("{}{path}", server.url));
    for path in ["/", "/boards/host", "/explore", "/logs", "/traces", "/traces/00ff", "/pipelines", "/alerts"] {
        let page = get(path).send().await.unwrap();
        assert_eq!(page.status(), 200, "{path}");
        let headers = page.headers().clone();
        assert_eq!(headers["content-type"], "text/html; charset=utf-8");
        assert_eq!(headers["cache-control"], "no-cache");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(page.text().await.unwrap().contains("<div id=\"app\">"), "{path}");
        let again = get(path).header("if-none-match", &headers["etag"]).send().await.unwrap();
        assert_eq!(again.status(), 304);
    }
    let index = get("/").send().await.unwrap().text().await.unwrap();
    let script = index.split('"').find(|part| part.starts_with("/assets/index-") && part.ends_with(".js")).unwrap();
    let plain = get(script).send().await.unwrap();
    assert_eq!(plain.headers()["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!(plain.headers()["content-type"], "text/javascript; charset=utf-8");
    assert!(!plain.headers().contains_key("content-encoding"));
    let tag = plain.headers()["etag"].clone();
    let plain = plain.bytes().await.unwrap();
    for (accept, encoding) in [("gzip, deflate, br", "br"), ("gzip", "gzip")] {
        let packed = get(script).header("accept-encoding", accept).send().await.unwrap();
        assert_eq!(packed.headers()["content-encoding"], encoding);
        let varies = packed.headers().get_all("vary").iter().any(|vary| vary == "Accept-Encoding");
        assert!(varies && packed.headers()["etag"] != tag, "each encoding has its own tag");
        assert!(packed.bytes().await.unwrap().len() < plain.len() / 2);
    }
    for none in ["/assets/none.js", "/assets/../index.html", "/assets/%2e%2e%2findex.html", "/index.html", "/live"] {
        assert_eq!(get(none).send().await.unwrap().status(), 404, "{none}");
    }
}

#[tokio::test]
async fn without_a_lake_the_rest_works() {
    let mut stopping = snapshot();
    stopping.ready = false;
    let server = start(settings(), None, stopping).await;
    assert_eq!(server.ask(json!({"sql": "rows 1"}), "*/*").await.status(), 503);
    assert_eq!(server.get("/api/v1/metrics").send().await.unwrap().status(), 503);
    assert_eq!(server.get("/readyz").send().await.unwrap().status(), 503);
    assert_eq!(server.get("/healthz").send().await.unwrap().status(), 200);
    assert_eq!(server.get("/").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn shutdown_finishes_what_is_under_way() {
    let server = started().await;
    let answer = server.ask(json!({"sql": "rows 200000"}), "text/csv").await;
    server.shutdown.cancel();
    let text = answer.text().await.unwrap();
    assert_eq!(text.lines().count(), 200_001);
    timeout(SOON, server.done).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn health_check_answers_as_the_collector_does() {
    let mut section = catchment_pipeline::config::Section::parse("endpoint: 127.0.0.1:0");
    let settings = health_check::Settings::plan(&mut section);
    let settings = health_check::Settings { endpoint: "127.0.0.1:0".into(), ..settings };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ready = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let status = {
        let ready = ready.clone();
        move || Snapshot { ready: ready.load(std::sync::atomic::Ordering::SeqCst), ..snapshot() }
    };
    let check = health_check::HealthCheck::bind(&settings, Arc::new(status)).await.unwrap();
    let url = format!("http://{}/", check.address());
    tokio::spawn(check.run(CancellationToken::new()));
    let up = reqwest::get(&url).await.unwrap();
    assert_eq!(up.status(), 200);
    let expected = json!({"status": "Server available", "upSince": "1970-01-01T00:00:01.000Z", "uptime": "999.000s"});
    assert_eq!(json_of(up).await, expected);
    ready.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(reqwest::get(&url).await.unwrap().status(), 503);
}

#[test]
fn the_dashboard_gives_what_the_lake_gives_or_less() {
    let lake = QueryLimits { memory: 100 << 20, ..QueryLimits::default() };
    assert_eq!(Settings::default().limits(lake.clone()), lake);
    let more = Settings { max_query_memory: Some(1 << 30), query_timeout: Some(2 * lake.deadline), ..settings() };
    assert_eq!(more.limits(lake.clone()), lake);
    let less = Settings { max_rows: Some(5), query_timeout: Some(Duration::from_secs(1)), ..settings() };
    let limits = less.limits(lake.clone());
    assert_eq!((limits.max_rows, limits.deadline, limits.memory), (5, Duration::from_secs(1), 100 << 20));
    assert_eq!(limits.raised_by.max_rows, "`max_rows` of the dashboard");
    assert_eq!(limits.raised_by.memory, lake.raised_by.memory);
}

#[test]
fn settings_name_their_mistakes() {
    let check = |yaml: &str, expect: &str| {
        let mut section = catchment_pipeline::config::Section::parse(yaml);
        Settings::plan(&mut section);
        let mistakes = section.mistakes().join("\n");
        assert!(mistakes.contains(expect) && !mistakes.is_empty(), "{yaml}: {mistakes}");
    };
    check("endpoint: localhost", "host:port");
    check("max_rows: 0", "max_rows");
    check("query_timeout: 0s", "query_timeout");
    check("allowed_origins: [example.com]", "https://host:port");
    check("allowed_hosts: ['example.com:80']", "without scheme and port");
    let mut section = catchment_pipeline::config::Section::parse("{}");
    assert_eq!(Settings::plan(&mut section), Settings::default());
    assert_eq!(section.mistakes(), Vec::<String>::new());
}

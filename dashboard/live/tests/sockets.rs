//! Over real sockets: the handshake, what is said, and what ends a connection.

use std::net::SocketAddr;

use futures::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::*;
use crate::Dashboard;

const SOON: Duration = Duration::from_secs(20);

struct Server {
    address: SocketAddr,
    lake: Arc<FakeLake>,
    shutdown: CancellationToken,
    done: JoinHandle<()>,
}

async fn start(settings: Settings) -> Server {
    let lake = Arc::new(FakeLake::default());
    let settings = Settings { endpoint: "127.0.0.1:0".into(), ..settings };
    let snapshot = crate::tests::snapshot();
    let sources =
        Sources { status: Arc::new(move || snapshot.clone()), lake: Some(lake.clone()), alerts: Arc::default() };
    let dashboard = Dashboard::bind(settings, sources).await.unwrap();
    let (address, shutdown) = (dashboard.address(), CancellationToken::new());
    let done = tokio::spawn(dashboard.run(shutdown.clone()));
    Server { address, lake, shutdown, done }
}

async fn started() -> Server {
    start(Settings::default()).await
}

type Socket = WebSocketStream<TcpStream>;

impl Server {
    async fn connect(&self, headers: &[(&'static str, &str)]) -> Result<(Socket, Response), Error> {
        let mut request = format!("ws://{}/api/v1/live", self.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        client_async(request, TcpStream::connect(self.address).await.unwrap()).await
    }

    async fn refused(&self, headers: &[(&'static str, &str)]) -> u16 {
        match self.connect(headers).await {
            Err(Error::Http(response)) => response.status().as_u16(),
            other => panic!("{other:?}"),
        }
    }

    async fn page(&self) -> Page {
        let (socket, _) = self.connect(&[]).await.unwrap();
        let mut page = Page { socket };
        assert_eq!(page.json().await, json!({"op": "hello", "version": env!("CARGO_PKG_VERSION"), "log": "log"}));
        page
    }
}

struct Page {
    socket: Socket,
}

impl Page {
    async fn say(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next that is no ping.
    async fn next(&mut self) -> Message {
        loop {
            match timeout(SOON, self.socket.next()).await.expect("a message").expect("still open").unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }

    async fn json(&mut self) -> Value {
        match self.next().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    async fn frame(&mut self) -> (Value, Vec<Point>) {
        match self.next().await {
            Message::Binary(frame) => decode(&frame),
            other => panic!("{other:?}"),
        }
    }

    async fn closed(&mut self) -> CloseCode {
        match self.next().await {
            Message::Close(Some(close)) => close.code,
            other => panic!("{other:?}"),
        }
    }
}

fn subscribe(id: u64, sql: &str) -> Value {
    let range = json!({"from": "2026-11-23T23:00:00Z", "to": "2026-11-24T01:00:00Z"});
    json!({"op": "subscribe", "id": id, "query": {"sql": sql}, "range": range, "width": 1000})
}

#[tokio::test]
async fn an_evaluation_ends_with_its_subscription_or_connection() {
    for unsubscribes in [true, false] {
        let server = started().await;
        server.lake.state().takes = Duration::from_secs(3600);
        let (mut begun, mut cancelled) = (server.lake.begun.subscribe(), server.lake.cancelled.subscribe());
        let mut page = server.page().await;
        page.say(subscribe(1, "raw $range")).await;
        timeout(SOON, begun.wait_for(|begun| *begun == 1)).await.expect("it runs").unwrap();
        match unsubscribes {
            true => page.say(json!({"op": "unsubscribe", "id": 1})).await,
            false => drop(page),
        }
        timeout(SOON, cancelled.wait_for(|cancelled| *cancelled == 1)).await.expect("it is cancelled").unwrap();
    }
}

#[tokio::test]
async fn who_may_connect() {
    let server = started().await;
    for origin in ["http://evil.example", "null", "http://localhost:1"] {
        assert_eq!(server.refused(&[("origin", origin)]).await, 403, "{origin}");
    }
    assert_eq!(server.refused(&[("host", "evil.example")]).await, 403);
    assert_eq!(server.refused(&[("sec-fetch-site", "cross-site")]).await, 403);
    assert_eq!(server.refused(&[("sec-websocket-version", "8")]).await, 426);
    assert_eq!(server.refused(&[("sec-websocket-key", "short")]).await, 400);
    assert_eq!(server.refused(&[("upgrade", "h2c")]).await, 426);
    let own = format!("http://{}", server.address);
    assert!(server.connect(&[("origin", &own)]).await.is_ok());
}

#[tokio::test]
async fn a_query_is_kept_up_to_date() {
    let server = started().await;
    server.lake.append(&[(START - 25_000, "a", 1.0)]);
    let mut page = server.page().await;
    page.say(subscribe(7, "sum $range $step")).await;
    let subscribed = page.json().await;
    assert_eq!(subscribed, json!({"op": "subscribed", "id": 7, "stream": subscribed["stream"], "step_ms": 10_000}));
    let (head, rows) = page.frame().await;
    assert_eq!(head["stream"], subscribed["stream"]);
    assert_eq!(rows, [(START - 30_000, "a".to_owned(), Some(1.0))]);
    server.lake.append(&[(START - 24_000, "b", 2.0)]);
    let (head, rows) = page.frame().await;
    assert_eq!((rows.len(), &head["replace_from"], &head["position"]), (2, &(START - 30_000).into(), &"2".into()));

    // An equal one of the same page: the same stream, whose rows come whole for both.
    page.say(subscribe(8, "sum $range $step")).await;
    assert_eq!(page.json().await["stream"], subscribed["stream"]);
    assert_eq!(page.frame().await.0["replace_from"], Value::Null);
    page.say(json!({"op": "unsubscribe", "id": 7})).await;
    page.say(subscribe(7, "raw $range")).await;
    assert_ne!(page.json().await["stream"], subscribed["stream"]);
    page.frame().await;
    server.lake.append(&[(START - 1_000, "b", 2.0)]);
    let streams = [page.frame().await.0["stream"].clone(), page.frame().await.0["stream"].clone()];
    assert!(streams.contains(&subscribed["stream"]) && streams[0] != streams[1], "{streams:?}");
}

#[tokio::test]
async fn a_frame_of_many_pieces_is_one_message() {
    let server = started().await;
    let rows = (0..20_000).map(|n| (START - 3_600_000 + n * 300, "a", n as f64)).collect::<Vec<_>>();
    server.lake.append(&rows);
    let mut page = server.page().await;
    let mut wide = subscribe(1, "raw $range");
    wide["width"] = json!(4000);
    page.say(wide).await;
    assert_eq!(page.json().await["step_ms"], 2000);
    let (_, rows) = page.frame().await;
    assert_eq!(rows.len(), 2 * 3000, "two of each two seconds");
}

#[tokio::test]
async fn mistakes_are_answered_and_end_nothing() {
    let server = started().await;
    let mut page = server.page().await;
    let mut wrong = async |message: Value, kind: &str, id: Option<u64>| {
        page.say(message.clone()).await;
        let answer = page.json().await;
        assert_eq!((&answer["op"], &answer["error"]["kind"]), (&json!("error"), &json!(kind)), "{message} {answer}");
        assert_eq!(answer.get("id").and_then(Value::as_u64), id, "{message} {answer}");
        answer
    };
    wrong(json!({"op": "dance"}), "bad_request", None).await;
    wrong(json!({"op": "subscribe", "id": 1}), "bad_request", Some(1)).await;
    let mut unknown = subscribe(2, "SELECT 1,\n $host");
    assert_eq!(wrong(unknown.clone(), "bad_sql", Some(2)).await["error"]["position"], json!({"line": 2, "column": 2}));
    unknown["query"]["vars"] = json!({"host": ["a", "b"]});
    unknown["query"]["sql"] = json!("SELECT 1 WHERE x = $host");
    wrong(unknown, "bad_sql", Some(2)).await;
    wrong(subscribe(3, "SELECT 'open"), "bad_sql", Some(3)).await;
    for (key, value) in [("lookback", "x"), ("min_step", "-1s"), ("lookback", "1y")] {
        let mut message = subscribe(3, "raw $range");
        message["query"][key] = json!(value);
        wrong(message, "bad_request", Some(3)).await;
    }
    let mut message = subscribe(3, "raw $range");
    message["limit"] = json!(0);
    wrong(message, "bad_request", Some(3)).await;
    page.say(subscribe(4, "raw $range")).await;
    assert_eq!(page.json().await["op"], "subscribed");
    page.frame().await;
    page.say(subscribe(4, "raw $range")).await;
    assert_eq!(page.json().await["error"]["kind"], "bad_request");
    for id in 5..5 + 255 {
        page.say(json!({"op": "subscribe", "id": id, "status": true})).await;
    }
    page.say(subscribe(1000, "sum $range")).await;
    loop {
        let answer = page.json().await;
        if answer["op"] == "error" {
            assert_eq!(answer["id"], 1000);
            break;
        }
        assert_eq!(answer["op"], "status");
    }
}

#[tokio::test]
async fn what_is_no_message_ends_the_connection() {
    let server = started().await;
    let mut page = server.page().await;
    page.socket.send(Message::binary(b"x".to_vec())).await.unwrap();
    assert_eq!(page.closed().await, CloseCode::Unsupported);
    let mut page = server.page().await;
    let _ = page.socket.send(Message::text("x".repeat((64 << 10) + 1))).await;
    assert_eq!(page.closed().await, CloseCode::Size);
    let mut page = server.page().await;
    page.say(subscribe(1, &format!("raw $range --{}", "x".repeat(60 << 10)))).await;
    assert_eq!(page.json().await["op"], "subscribed", "just below");
    page.socket.close(None).await.unwrap();
    assert!(matches!(page.next().await, Message::Binary(_) | Message::Close(_)));
}

#[tokio::test]
async fn the_pipelines_status_when_it_changes() {
    let server = started().await;
    let mut page = server.page().await;
    page.say(json!({"op": "subscribe", "id": 3, "status": true})).await;
    let status = page.json().await;
    assert_eq!((&status["op"], &status["id"]), (&json!("status"), &json!(3)));
    let expect = serde_json::to_value(crate::tests::snapshot()).unwrap();
    assert_eq!(status["snapshot"], expect);
    page.say(json!({"op": "subscribe", "id": 4, "status": true})).await;
    assert_eq!(page.json().await["snapshot"], expect, "a second one is told at once");
}

#[tokio::test]
async fn connections_are_bounded() {
    let server = start(Settings { max_live_connections: 1, ..Settings::default() }).await;
    let page = server.page().await;
    assert_eq!(server.refused(&[]).await, 503);
    drop(page);
    let mut connected = server.connect(&[]).await;
    for _ in 0..200 {
        if connected.is_ok() {
            return;
        }
        sleep(Duration::from_millis(10)).await;
        connected = server.connect(&[]).await;
    }
    panic!("the place is given back");
}

#[tokio::test(start_paused = true)]
async fn one_who_says_nothing_is_let_go() {
    let server = started().await;
    // Not read from, it answers no ping.
    let mut silent = server.page().await;
    let (mut talkative, began) = (server.page().await, Instant::now());
    while began.elapsed() < Duration::from_secs(150) {
        // Reading answers the pings.
        let _ = timeout(Duration::from_secs(5), talkative.socket.next()).await;
    }
    // Two pings wait for it, whose answers reach nobody; then the end.
    let ends = |next: &Option<Result<Message, Error>>| !matches!(next, Some(Ok(Message::Ping(_))));
    let mut next = silent.socket.next().await;
    while !ends(&next) {
        next = silent.socket.next().await;
    }
    match next {
        Some(Ok(Message::Close(Some(close)))) => assert_eq!(close.code, CloseCode::Policy),
        other => assert!(matches!(other, Some(Err(_)) | None), "{other:?}"),
    }
    talkative.say(json!({"op": "unsubscribe", "id": 1})).await;
    talkative.say(json!({})).await;
    assert_eq!(talkative.json().await["op"], "error", "still there");
}

#[tokio::test]
async fn the_server_says_goodbye() {
    let server = started().await;
    let mut page = server.page().await;
    page.say(subscribe(1, "raw $range")).await;
    page.json().await;
    page.frame().await;
    server.shutdown.cancel();
    assert_eq!(page.closed().await, CloseCode::Away);
    timeout(SOON, server.done).await.expect("it ends").unwrap();
    assert_eq!(Arc::strong_count(&server.lake), 1, "nobody holds the lake");
}

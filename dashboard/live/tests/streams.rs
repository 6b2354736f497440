//! One thing at a time.

use super::super::window;
use super::*;
use crate::problem::Problem;

fn series() -> Key {
    key("sum $range $step", Mode::Series)
}

#[tokio::test(start_paused = true)]
async fn a_result_then_only_what_changed() {
    let world = World::new();
    world.lake.append(&[(START - 55_000, "a", 1.0), (START - 5_000, "a", 2.0), (START - 4_000, "a", 3.0)]);
    let mut client = world.client(&series());
    settle().await;
    assert!(client.take());
    // The window began at -60 s when it was asked for.
    assert_eq!(client.values(), [(-60_000, 1.0), (-10_000, 5.0)]);
    assert_eq!(client.held.head["replace_from"], Value::Null);

    world.lake.append(&[(world.now(), "a", 4.0)]);
    settle().await;
    assert!(client.take());
    assert_eq!(client.held.head["replace_from"], START + 30_000, "one bucket is sent");
    assert_eq!(client.values(), [(-10_000, 5.0), (30_000, 4.0)], "what is older than a minute is dropped");
    assert_eq!(world.lake.evaluations(), 2);
    let tail = world.lake.state().asked[1].0;
    assert_eq!((tail.from, tail.to), ((START + 10_000) * 1000, (START + 40_000) * 1000), "from where the window ended");

    settle().await;
    assert!(!client.take(), "nothing changed, nothing is sent");
    assert_eq!(world.lake.evaluations(), 2);
}

/// As a page does that asks every so often.
#[tokio::test(start_paused = true)]
async fn who_takes_what_is_held_and_leaves_finds_the_newer_later() {
    let world = World::new();
    world.lake.append(&[(START - 5_000, "a", 2.0)]);
    let first = world.client(&series());
    sleep(Duration::from_secs(1)).await;
    first.leave();
    world.lake.state().takes = Duration::from_secs(1);
    world.lake.append(&[(world.now(), "a", 4.0)]);
    let second = world.client(&series());
    sleep(Duration::from_millis(50)).await;
    second.leave();
    sleep(Duration::from_secs(3)).await;
    let mut third = world.client(&series());
    assert!(third.take());
    assert_eq!(third.values().last().map(|(_, value)| *value), Some(4.0));
}

#[tokio::test(start_paused = true)]
async fn an_evaluation_ends_with_the_last_who_watches() {
    let world = World::new();
    world.lake.append(&[(START - 5_000, "a", 2.0)]);
    world.lake.state().takes = Duration::from_secs(3600);
    let (first, second) = (world.client(&series()), world.client(&series()));
    sleep(Duration::from_secs(1)).await;
    first.leave();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(*world.lake.cancelled.borrow(), 0, "somebody still waits for it");
    second.leave();
    sleep(Duration::from_millis(5001)).await;
    assert_eq!(*world.lake.cancelled.borrow(), 1);
    // What was not looked at then is looked at when somebody comes.
    world.lake.state().takes = Duration::ZERO;
    let mut third = world.client(&series());
    sleep(Duration::from_secs(1)).await;
    assert!(third.take());
    assert_eq!(third.values(), [(-10_000, 2.0)]);
    // And so it is with what came after a first result.
    world.lake.state().takes = Duration::from_secs(3600);
    world.lake.append(&[(world.now(), "a", 4.0)]);
    sleep(Duration::from_secs(1)).await;
    third.leave();
    sleep(Duration::from_millis(5001)).await;
    assert_eq!(*world.lake.cancelled.borrow(), 2);
    world.lake.state().takes = Duration::ZERO;
    let mut fourth = world.client(&series());
    sleep(Duration::from_secs(1)).await;
    assert!(fourth.take());
    assert_eq!(fourth.values().last().map(|(_, value)| *value), Some(4.0));
}

#[tokio::test(start_paused = true)]
async fn late_rows_are_right() {
    let world = World::new();
    world.lake.append(&[(START - 25_000, "a", 1.0), (START - 1_000, "a", 2.0)]);
    let mut client = world.client(&series());
    settle().await;
    client.take();
    world.lake.append(&[(START - 24_000, "a", 10.0), (START - 12_000, "a", 5.0)]);
    settle().await;
    assert!(client.take());
    assert_eq!(client.values(), [(-30_000, 11.0), (-20_000, 5.0), (-10_000, 2.0)]);
    // Older than the window, by now: not even asked for.
    world.lake.append(&[(START - 90_000, "a", 7.0)]);
    settle().await;
    assert!(!client.take());
    assert_eq!(world.lake.evaluations(), 2);
}

#[tokio::test(start_paused = true)]
async fn rows_of_the_future_come_when_their_time_does() {
    let world = World::new();
    let mut client = world.client(&series());
    settle().await;
    client.take();
    world.lake.append(&[(world.now() + 60_000, "a", 1.0)]);
    settle().await;
    assert!(!client.take());
    settle().await;
    settle().await;
    world.lake.append(&[(world.now(), "a", 2.0)]);
    settle().await;
    client.take();
    assert_eq!(client.values(), [(90_000, 1.0), (120_000, 2.0)]);
}

#[tokio::test(start_paused = true)]
async fn lookback_is_read_and_not_sent() {
    let world = World::new();
    let key = Key { lookback: 20_000, ..key("delta $range $step", Mode::Series) };
    world.lake.append(&[(START - 65_000, "a", 1.0), (START - 55_000, "a", 4.0), (START - 45_000, "a", 6.0)]);
    let mut client = world.client(&key);
    settle().await;
    client.take();
    assert_eq!(client.values(), [(-60_000, 3.0), (-50_000, 2.0)], "the first has its predecessor");
    world.lake.append(&[(START - 38_000, "a", 5.0), (START - 31_000, "a", 5.0), (START - 29_000, "a", 7.0)]);
    settle().await;
    client.take();
    assert_eq!(client.values(), [(-30_000, 2.0)]);
    world.lake.append(&[(START - 2_000, "a", 6.5), (START + 5_000, "a", 8.0)]);
    sleep(Duration::from_secs(1)).await;
    client.take();
    assert_eq!(client.values(), [(0, 1.5)]);
    // A row of before the window changes the first row in it.
    world.lake.append(&[(START - 1_000, "a", 7.5)]);
    sleep(Duration::from_secs(1)).await;
    client.take();
    assert_eq!(client.values(), [(0, 0.5)]);
}

#[tokio::test(start_paused = true)]
async fn equal_subscriptions_share_evaluations_and_bytes() {
    let world = World::new();
    let mut clients = (0..20).map(|_| world.client(&series())).collect::<Vec<_>>();
    settle().await;
    for n in 0..5 {
        world.lake.append(&[(world.now(), "a", f64::from(n))]);
        settle().await;
    }
    assert_eq!(world.lake.evaluations(), 6);
    let stream = &clients[0].stream;
    assert!(clients.iter().all(|client| Arc::ptr_eq(stream, &client.stream)));
    let frames =
        clients.iter().map(|client| client.stream.frame(super::super::mailbox::Missing::All).unwrap().unwrap());
    let pointers = frames.map(|frame| frame.as_ptr()).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(pointers.len(), 1, "encoded once, and not copied");
    clients.iter_mut().for_each(|client| assert!(client.take()));
    let other = Key { step: 20_000, ..series() };
    let other = world.client(&other);
    assert!(!Arc::ptr_eq(&other.stream, &clients[0].stream));
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_is_sent_the_latest_state_once() {
    let world = World::new();
    let (mut slow, mut quick) = (world.client(&series()), world.client(&series()));
    settle().await;
    slow.take();
    for n in 0..10 {
        world.lake.append(&[(world.now(), "a", f64::from(n))]);
        sleep(Duration::from_secs(1)).await;
        assert!(quick.take());
    }
    world.lake.append(&[(START - 1000, "a", 100.0)]);
    settle().await;
    quick.take();
    let frames = slow.held.frames;
    slow.take();
    assert_eq!(slow.held.frames, frames + 1);
    assert_eq!(slow.held.rows, quick.held.rows);
    assert_eq!(slow.held.head["replace_from"], START - 10_000);
}

#[tokio::test(start_paused = true)]
async fn evaluations_start_at_once_and_keep_a_pause() {
    let world = World::new();
    world.lake.state().takes = Duration::from_millis(250);
    let mut client = world.client(&series());
    sleep(Duration::from_millis(300)).await;
    assert!(client.take());
    // 4 x 250 ms after the first: not before 1250 ms.
    world.lake.append(&[(world.now(), "a", 1.0)]);
    sleep(Duration::from_millis(900)).await;
    assert_eq!(world.lake.evaluations(), 1);
    world.lake.append(&[(world.now(), "a", 1.0)]);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(world.lake.evaluations(), 2, "both appends in one");
    settle().await;
    world.lake.append(&[(world.now(), "a", 1.0)]);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(world.lake.evaluations(), 3, "at once after a pause");
}

#[tokio::test(start_paused = true)]
async fn evaluations_wait_for_a_turn() {
    let world = World::with(&Settings { max_live_evaluations: 1, ..Settings::default() });
    world.lake.state().takes = Duration::from_secs(1);
    let clients = ["sum 1", "sum 2", "sum 3"].map(|sql| world.client(&key(sql, Mode::Series)));
    sleep(Duration::from_millis(1500)).await;
    assert_eq!(world.lake.evaluations(), 2, "one is done, one runs, one waits");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(world.lake.evaluations(), 3);
    drop(clients);
}

#[tokio::test(start_paused = true)]
async fn a_client_comes_back_and_is_sent_what_it_missed() {
    let world = World::new();
    world.lake.append(&[(START - 25_000, "a", 1.0), (START - 5_000, "a", 2.0)]);
    let mut client = world.client(&series());
    settle().await;
    client.take();
    client.leave();
    world.lake.append(&[(START - 4_000, "a", 10.0), (world.now(), "a", 3.0)]);
    let mut back = world.resuming(&series(), Some(client.resume()));
    back.held = client.held.clone();
    settle().await;
    assert!(back.take());
    assert_eq!(back.held.head["replace_from"], START - 10_000);
    assert_eq!(back.values(), [(-30_000, 1.0), (-10_000, 12.0), (30_000, 3.0)]);

    // As after a restart: the stream is new, and what it knows begins later.
    let restarted = World { lake: world.lake.clone(), ..World::new() };
    let sources =
        Sources { status: Arc::new(crate::tests::snapshot), lake: Some(world.lake.clone()), alerts: Arc::default() };
    let now = world.now();
    let clock = Box::new(move || now + 1000);
    let hub = Hub::with_clock(&Settings::default(), &sources, &CancellationToken::new(), clock).unwrap();
    let restarted = World { hub, ..restarted };
    for (known_after, whole) in [(0, false), (99, true)] {
        world.lake.state().known_after = known_after;
        let mut again = restarted.resuming(&series(), Some(back.resume()));
        again.held = back.held.clone();
        sleep(Duration::from_secs(1)).await;
        again.take();
        assert_eq!(again.held.head["replace_from"].is_null(), whole);
        assert_eq!(again.values(), [(30_000, 3.0)], "what is in the window by now");
        again.leave();
    }
}

#[tokio::test(start_paused = true)]
async fn a_resumption_that_cannot_be_is_a_whole_result() {
    let world = World::new();
    world.lake.append(&[(START - 25_000, "a", 1.0), (START - 5_000, "a", 2.0)]);
    let mut client = world.client(&series());
    settle().await;
    client.take();
    let good = client.resume();
    let future = Resume { to: good.to + 10_000_000, ..good.clone() };
    let past = Resume { to: START - 3_600_000, ..good.clone() };
    for (resume, whole) in [
        (good.clone(), false),
        (Resume { log: "another".to_owned(), ..good.clone() }, true),
        (Resume { step: 5_000, ..good.clone() }, true),
        (Resume { position: 77, ..good.clone() }, true),
        (future, true),
        (past, true),
    ] {
        let mut back = world.resuming(&series(), Some(resume.clone()));
        back.held = client.held.clone();
        assert!(back.take());
        assert_eq!(back.held.head["replace_from"].is_null(), whole, "{resume:?}");
        assert_eq!(back.held.rows, client.held.rows);
    }
}

#[tokio::test(start_paused = true)]
async fn the_newest_rows_and_no_more() {
    let world = World::new();
    let rows = (0..10).map(|n| (START - 20_000 + n * 1000, "a", n as f64)).collect::<Vec<_>>();
    world.lake.append(&rows);
    let key = key("raw $range", Mode::Rows);
    let mut client = world.client(&key);
    settle().await;
    client.take();
    let last = |client: &Client| client.values().iter().map(|(_, value)| *value).collect::<Vec<_>>();
    assert_eq!(last(&client), [6.0, 7.0, 8.0, 9.0]);
    assert_eq!((&client.held.head["truncated"], &client.held.head["limit"]), (&true.into(), &4.into()));
    assert_eq!(client.held.head["from"], START - 14_000);
    assert!(world.lake.state().asked.last().unwrap().1, "only the newest are asked for");

    world.lake.append(&[(START - 12_500, "late", 50.0), (START - 19_500, "too late", 51.0)]);
    settle().await;
    client.take();
    assert_eq!(last(&client), [7.0, 50.0, 8.0, 9.0]);
    world.lake.append(&[(world.now(), "a", 10.0)]);
    settle().await;
    client.take();
    assert_eq!(client.held.head["replace_from"], START + 60_000, "only the new one is sent");
    assert_eq!(last(&client), [10.0], "the others are older than a minute");
    assert_eq!(client.held.head["truncated"], false);
}

#[tokio::test(start_paused = true)]
async fn a_table_is_sent_when_it_differs() {
    let world = World::new();
    world.lake.append(&[(START - 1000, "a", 1.0), (START - 1000, "b", 1.0)]);
    let mut client = world.client(&key("labels", Mode::Table));
    settle().await;
    assert!(client.take());
    assert_eq!(client.held.rows.len(), 2);
    let asked = world.lake.evaluations();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(world.lake.evaluations(), asked, "nothing came");
    world.lake.append(&[(START - 500_000, "a", 1.0)]);
    settle().await;
    assert!(!client.take(), "asked again, and the same");
    assert_eq!(world.lake.evaluations(), asked + 1);
    world.lake.append(&[(world.now(), "c", 1.0)]);
    settle().await;
    assert!(client.take());
    assert_eq!((client.held.rows.len(), &client.held.head["replace_from"]), (3, &Value::Null));
    // About the last minute, it changes when nothing comes.
    let mut sliding = world.client(&key("count $range", Mode::Table));
    settle().await;
    sliding.take();
    assert_eq!(sliding.held.rows.len(), 1);
    sleep(Duration::from_secs(90)).await;
    assert!(sliding.take());
    assert_eq!(sliding.held.rows, Vec::new());
}

#[tokio::test(start_paused = true)]
async fn tables_are_cut_at_their_limit() {
    let world = World::new();
    world.lake.append(&["a", "b", "c", "d", "e"].map(|label| (START - 1000, label, 1.0)));
    let mut client = world.client(&key("count $range", Mode::Table));
    settle().await;
    client.take();
    assert_eq!((client.held.rows.len(), &client.held.head["truncated"]), (4, &true.into()));
}

#[tokio::test(start_paused = true)]
async fn an_error_is_told_once_and_ends_with_a_frame() {
    let world = World::new();
    world.lake.append(&[(START - 5_000, "a", 2.0)]);
    let mut client = world.client(&series());
    settle().await;
    client.take();
    world.lake.state().fails = Some(Problem::timeout("too slow"));
    for _ in 0..3 {
        world.lake.append(&[(START - 70_000, "a", 2.0), (world.now(), "b", 1.0)]);
        sleep(Duration::from_secs(8)).await;
    }
    assert!(!client.take());
    assert_eq!(client.held.problem, Some("timeout"));
    assert_eq!(client.mailbox.take(), None);
    let asked = world.lake.evaluations();
    settle().await;
    assert_eq!(world.lake.evaluations(), asked, "nothing came, nothing is tried");
    let mut newcomer = world.client(&series());
    newcomer.take();
    assert_eq!((newcomer.held.problem, newcomer.held.rows.len()), (Some("timeout"), 1), "the last result, and why");
    world.lake.state().fails = None;
    settle().await;
    assert!(client.take() && newcomer.take(), "somebody looked, it was tried again");
    assert_eq!((client.held.problem, client.held.rows.clone()), (None, newcomer.held.rows.clone()));
    let late = client.held.rows.iter().filter(|row| row.1 == "b").filter_map(|row| row.2);
    assert_eq!(late.sum::<f64>(), 3.0);

    // One that changes nothing ends an error too.
    world.lake.state().fails = Some(Problem::timeout("too slow"));
    world.lake.append(&[(world.now(), "a", 0.0)]);
    settle().await;
    client.take();
    world.lake.state().fails = None;
    world.lake.state().rows.pop();
    world.lake.append(&[(world.now() - 1_000_000, "a", 0.0)]);
    settle().await;
    assert!(client.take());
    assert_eq!(client.held.problem, None);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exist_yet_appears() {
    let world = World::new();
    let mut client = world.client(&key("missing $range", Mode::Series));
    settle().await;
    client.take();
    assert_eq!((client.held.problem, world.lake.evaluations()), (Some("no_data_yet"), 1));
    world.lake.append(&[(world.now(), "a", 1.0)]);
    sleep(Duration::from_millis(10)).await;
    assert!(client.take());
    assert_eq!(client.held.rows.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_watches_rests_and_goes() {
    let world = World::new();
    let client = world.client(&series());
    settle().await;
    client.leave();
    sleep(Duration::from_secs(5)).await;
    world.lake.append(&[(world.now(), "a", 1.0)]);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.lake.evaluations(), 1);
    let mut back = world.client(&series());
    assert!(Arc::ptr_eq(&back.stream, &client.stream), "still there");
    sleep(Duration::from_secs(1)).await;
    back.take();
    assert_eq!(back.held.rows.len(), 1, "and up to date at once");
    back.leave();
    settle().await;
    let anew = world.client(&series());
    assert!(!Arc::ptr_eq(&anew.stream, &client.stream));
}

#[tokio::test(start_paused = true)]
async fn streams_are_bounded_and_unwatched_ones_make_room() {
    let world = World::with(&Settings { max_live_streams: 2, ..Settings::default() });
    let clients = ["sum 1", "sum 2"].map(|sql| world.client(&key(sql, Mode::Series)));
    let mailbox = Arc::new(Mailbox::default());
    let subscribe = |sql: &str| {
        let key = key(sql, Mode::Series);
        world.hub.subscribe(key.clone(), Template::parse(sql).unwrap(), &mailbox, None).map_err(|problem| problem.kind)
    };
    assert_eq!(subscribe("sum 3").err(), Some("busy"));
    assert!(subscribe("sum 2").is_ok());
    clients[0].leave();
    assert!(subscribe("sum 3").is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_window_that_is_over_is_asked_for_once() {
    let world = World::new();
    world.lake.append(&[(START - 25_000, "a", 1.0)]);
    let key = Key { range: Range::Fixed { from: START - 33_000, to: START - 15_000 }, ..series() };
    let mut client = world.client(&key);
    settle().await;
    client.take();
    assert_eq!(client.held.head["from"], window::floor(START - 33_000, 10_000));
    for _ in 0..5 {
        world.lake.append(&[(world.now(), "a", 1.0)]);
        settle().await;
    }
    assert_eq!(world.lake.evaluations(), 1);
    world.lake.append(&[(START - 24_000, "a", 4.0), (START - 15_000, "a", 9.0)]);
    settle().await;
    assert!(client.take());
    assert_eq!(client.values(), [(-30_000, 5.0)]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_before_the_start_is_over() {
    let world = World::new();
    let ready = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let status = {
        let ready = ready.clone();
        move || crate::Snapshot { ready: ready.load(std::sync::atomic::Ordering::SeqCst), ..crate::tests::snapshot() }
    };
    let sources = Sources { status: Arc::new(status), lake: Some(world.lake.clone()), alerts: Arc::default() };
    let hub = Hub::new(&Settings::default(), &sources, &CancellationToken::new()).unwrap();
    let world = World { hub, ..world };
    let _client = world.client(&series());
    settle().await;
    assert_eq!(world.lake.evaluations(), 0);
    ready.store(true, std::sync::atomic::Ordering::SeqCst);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(world.lake.evaluations(), 1);
    world.hub.stop().await;
}

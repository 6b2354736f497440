//! Whatever comes in whatever order and whoever looks when: a client holds exactly what the whole query would give.

use std::time::Duration;

use proptest::prelude::*;

use super::super::rows::Columns;
use super::super::thin::thin;
use super::super::window::Window;
use super::*;

const LABELS: [&str; 3] = ["a", "b", "c"];
const CLIENTS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    /// Rows at these times before now (negative: ahead), with a label and a value.
    Append(Vec<(i64, usize, i8)>),
    Wait(u64),
    Take(usize),
    /// Leaves; comes back with what it held, or with nothing.
    Reconnect(usize, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let row = (prop_oneof![0..3_000i64, 0..90_000i64, -15_000..0i64], 0..LABELS.len(), -3..4i8);
    prop_oneof![
        3 => proptest::collection::vec(row, 1..6).prop_map(Step::Append),
        2 => prop_oneof![1..300u64, 300..20_000u64].prop_map(Step::Wait),
        3 => (0..CLIENTS).prop_map(Step::Take),
        1 => ((0..CLIENTS), any::<bool>()).prop_map(|(client, resume)| Step::Reconnect(client, resume)),
    ]
}

fn keys() -> impl Strategy<Value = Key> {
    let last = prop_oneof![Just(30_000i64), Just(60_000), Just(65_500)];
    let word = prop_oneof![Just("sum $range"), Just("raw $range"), Just("delta $range"), Just("rows")];
    (word, last, prop_oneof![Just(1_000i64), Just(7_000), Just(10_000)]).prop_map(|(word, last, step)| {
        let range = Range::Last(last);
        match word {
            // As much as any late row can be away from its neighbour.
            "delta $range" => Key { range, step, lookback: 10_000_000, ..key(word, Mode::Series) },
            "rows" => Key { range, limit: 5, ..key("raw $range", Mode::Rows) },
            _ => Key { range, step, ..key(word, Mode::Series) },
        }
    })
}

/// The whole result at the position and for the window that a frame speaks of.
fn oracle(lake: &FakeLake, key: &Key, head: &Value, window: Window) -> Vec<Point> {
    let position = head["position"].as_str().unwrap().parse().unwrap();
    let asked = catchment_storage::Window {
        from: window.from * 1000,
        to: window.to * 1000,
        lookback: Duration::from_millis(key.lookback as u64),
        step: Duration::from_millis(key.step as u64),
    };
    let word = key.sql.split(' ').next().unwrap();
    let mut rows = lake.answer(word, &asked, position);
    rows.retain(|row| (window.from..window.to).contains(&row.0));
    rows.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)).then(a.2.unwrap().total_cmp(&b.2.unwrap())));
    match key.mode {
        Mode::Rows => rows.split_off(rows.len().saturating_sub(key.limit)),
        _ => {
            // `thin` has tests of its own.
            let batch = lake::batch(&rows);
            let columns = Columns::of(&batch.schema()).unwrap();
            let batch = columns.convert(&batch).unwrap();
            points(&thin(&batch, &columns, 0, key.step).unwrap())
        }
    }
}

fn check(world: &World, key: &Key, client: &Client) {
    let head = &client.held.head;
    // Of mode `rows`, `from` may be the oldest row's.
    let to = head["to"].as_i64().unwrap();
    let from = head["from"].as_i64().unwrap();
    let expect = oracle(&world.lake, key, head, Window { from, to });
    assert_eq!(client.held.rows, expect, "{head}");
}

async fn play(key: Key, steps: Vec<Step>) {
    let world = World::new();
    let mut clients = (0..CLIENTS).map(|_| world.client(&key)).collect::<Vec<_>>();
    for step in steps {
        match step {
            Step::Append(rows) => {
                let now = world.now();
                let rows = rows.into_iter().map(|(ago, label, value)| (now - ago, LABELS[label], f64::from(value)));
                world.lake.append(&rows.collect::<Vec<_>>());
            }
            Step::Wait(millis) => sleep(Duration::from_millis(millis)).await,
            Step::Take(client) => {
                if clients[client].take() {
                    check(&world, &key, &clients[client]);
                }
            }
            Step::Reconnect(client, resume) => {
                let old = &clients[client];
                old.leave();
                let resume = (resume && old.held.frames > 0).then(|| old.resume());
                let held = if resume.is_some() { old.held.clone() } else { Held::default() };
                clients[client] = Client { held, ..world.resuming(&key, resume) };
            }
        }
    }
    // Something new, so that the window of everybody's last frame is today's.
    sleep(Duration::from_secs(20)).await;
    world.lake.append(&[(world.now() - 1, "a", 5e5), (world.now(), "a", 1e6)]);
    settle().await;
    for client in &mut clients {
        assert!(client.take());
        check(&world, &key, client);
        assert_eq!(client.held.rows, newcomers_rows(&world, &key));
    }
}

fn newcomers_rows(world: &World, key: &Key) -> Vec<Point> {
    let mut newcomer = world.client(key);
    assert!(newcomer.take());
    newcomer.held.rows
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn clients_hold_what_the_whole_query_gives(key in keys(), steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(play(key, steps));
    }
}

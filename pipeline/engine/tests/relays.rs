//! Relays: stages that remember, connectors, reload, and crashes at any moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use super::stand_ins::*;
use crate::batch::{Batch, Signal};
use crate::component::{ConnectorPlan, Context, Out, Receiver, ReceiverPlan as _, Relay, Stage};
use crate::engine::{Engine, Planned};
use crate::log::{Log, Options, sim::SimDisk};

const S: Duration = Duration::from_secs(1);

/// Puts out each record under its body and how many of that body there were so far; holds back every third record until
/// `wait` has passed.
#[derive(Default)]
struct Counting {
    seen: BTreeMap<String, u64>,
    held: Vec<(SystemTime, String)>,
    given: u64,
    wait: Duration,
}

impl Relay for Counting {
    fn process(&mut self, batch: Batch, now: SystemTime, out: &mut Out) {
        for name in names(&batch) {
            let n = self.seen.entry(name.clone()).or_default();
            *n += 1;
            let text = format!("{name}:{n}");
            self.given += 1;
            match self.given % 3 {
                0 if !self.wait.is_zero() => self.held.push((now + self.wait, text)),
                _ => out.push(logs(&text, 1)),
            }
        }
    }

    fn due(&self) -> Option<SystemTime> {
        self.held.iter().map(|(due, _)| *due).min()
    }

    fn tick(&mut self, now: SystemTime, out: &mut Out) {
        self.held.extract_if(.., |(due, _)| *due <= now).for_each(|(_, text)| out.push(logs(&text, 1)));
    }

    fn finish(&mut self, _: SystemTime, out: &mut Out) {
        self.held.drain(..).for_each(|(_, text)| out.push(logs(&text, 1)));
    }

    fn save(&self, state: &mut Vec<u8>) {
        state.extend(serde_json::to_vec(&(&self.seen, &self.held, self.given)).unwrap());
    }

    fn restore(&mut self, state: &[u8]) -> anyhow::Result<()> {
        (self.seen, self.held, self.given) = serde_json::from_slice(state)?;
        Ok(())
    }
}

struct Connector;

impl ConnectorPlan for Connector {
    fn puts_out(&self, _: Signal) -> &'static [Signal] {
        &Signal::ALL
    }

    fn build(&self, _: Context) -> anyhow::Result<Box<dyn Relay>> {
        Ok(Box::<Splitting>::default())
    }
}

/// Records of body `a` to pipeline `logs/a`, others to all.
#[derive(Default)]
struct Splitting;

impl Relay for Splitting {
    fn process(&mut self, batch: Batch, _: SystemTime, out: &mut Out) {
        match names(&batch).first().map(String::as_str) {
            Some("a") => out.push_to(Arc::new(["logs/a".to_owned()]), batch),
            _ => out.push(batch),
        }
    }
}

fn counting(wait: Duration) -> impl Fn() -> Stage {
    move || Stage::Relay(Box::new(Counting { wait, ..Counting::default() }))
}

#[tokio::test]
async fn a_stage_that_remembers_stands_behind_the_log() {
    let (mut bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    let wiring = Wiring::default().exporter("out", 1, &exporter).processor("count", counting(Duration::ZERO));
    let (engine, outlet) = bench.start(wiring.pipeline("logs", &["in"], &["count"], &["out"])).await;
    for name in ["a", "b", "a"] {
        outlet.send(logs(name, 1)).await.unwrap();
    }
    exporter.took(3).await;
    assert_eq!(exporter.names(), ["a:1", "b:1", "a:2"]);
    let snapshot = engine.status().snapshot();
    let processor = &snapshot.processors[0];
    assert_eq!((&*processor.id, processor.incoming_items, processor.outgoing_items), ("count", 3, 3));
    engine.shutdown(S * 5).await;
}

#[tokio::test]
async fn what_is_held_back_comes_out_when_due_and_when_the_stage_goes() {
    let (mut bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    let wiring = |wait| {
        let wiring = Wiring::default().exporter("out", 1, &exporter).processor("count", counting(wait));
        wiring.pipeline("logs", &["in"], &["count"], &["out"])
    };
    let (mut engine, outlet) = bench.start(wiring(Duration::from_millis(20))).await;
    for name in ["a", "b", "c"] {
        outlet.send(logs(name, 1)).await.unwrap();
    }
    exporter.took(3).await;
    assert_eq!(exporter.names(), ["a:1", "b:1", "c:1"]);

    // Other settings: the old stage puts out what it holds, the new one begins anew, and nothing is lost on the way.
    let mut changed = bench.receiver(wiring(S * 3600), "in", 1, false).plan;
    changed.processors[0].fingerprint = 2;
    engine.reload(changed).await.unwrap();
    for name in ["a", "a", "a"] {
        outlet.send(logs(name, 1)).await.unwrap();
    }
    exporter.took(5).await;
    let without = Wiring::default().exporter("out", 1, &exporter).pipeline("logs", &["in"], &[], &["out"]);
    let changes = engine.reload(bench.receiver(without, "in", 1, false).plan).await.unwrap();
    assert_eq!(changes.stopped, ["count"]);
    exporter.took(6).await;
    assert_eq!(exporter.names()[3..], ["a:1", "a:2", "a:3"]);
    outlet.send(logs("plain", 1)).await.unwrap();
    exporter.took(7).await;
    assert_eq!(exporter.names()[6], "plain");
    engine.shutdown(S * 5).await;
}

#[tokio::test]
async fn stages_follow_each_other_and_end_in_order() {
    let (mut bench, exporter) = (Bench::new(1 << 20), Scripted::new());
    let wiring = Wiring::default().exporter("out", 1, &exporter);
    let wiring = wiring.processor("one", counting(S * 3600)).processor("two", counting(S * 3600));
    let (engine, outlet) = bench.start(wiring.pipeline("logs", &["in"], &["one", "two"], &["out"])).await;
    for _ in 0..3 {
        outlet.send(logs("a", 1)).await.unwrap();
    }
    exporter.took(2).await;
    // The log is in memory: the last that `one` holds goes through `two`, and out.
    engine.shutdown(S * 5).await;
    assert_eq!(exporter.names(), ["a:1:1", "a:2:1", "a:3:1"]);
}

#[tokio::test]
async fn a_connector_ends_pipelines_and_begins_others() {
    let (mut bench, a, all) = (Bench::new(1 << 20), Scripted::new(), Scripted::new());
    let mut wiring = Wiring::default().exporter("a", 1, &a).exporter("all", 1, &all);
    let plan = Arc::new(Connector);
    wiring.plan.connectors.push(Planned { id: "split".into(), kind: "split", fingerprint: 1, plan });
    let wiring = wiring.pipeline("logs", &["in"], &[], &["split"]);
    let wiring = wiring.pipeline("logs/a", &["split"], &[], &["a"]).pipeline("logs/all", &["split"], &[], &["all"]);
    let (engine, outlet) = bench.start(wiring).await;
    for name in ["a", "b"] {
        outlet.send(logs(name, 2)).await.unwrap();
    }
    a.took(4).await;
    all.took(2).await;
    assert_eq!((a.names(), all.names()), (vec!["a".to_owned(), "b".to_owned()], vec!["b".to_owned()]));
    let snapshot = engine.status().snapshot();
    let connector = &snapshot.connectors[0];
    assert_eq!(
        (&connector.from[..], &connector.to[..]),
        (&["logs".to_owned()][..], &["logs/a".to_owned(), "logs/all".to_owned()][..])
    );
    assert_eq!((connector.stage.incoming_items, connector.stage.outgoing_items), (4, 4));
    engine.shutdown(S * 5).await;
}

/// Counts what its own source sends it.
struct Watching(Arc<Door>);

#[async_trait]
impl ConnectorPlan for Watching {
    fn puts_out(&self, _: Signal) -> &'static [Signal] {
        &Signal::ALL
    }

    fn build(&self, _: Context) -> anyhow::Result<Box<dyn Relay>> {
        Ok(Box::<Counting>::default())
    }

    fn keeps_state(&self) -> bool {
        true
    }

    fn has_source(&self) -> bool {
        true
    }

    async fn source(&self, context: Context) -> anyhow::Result<Option<Box<dyn Receiver>>> {
        self.0.build(context).await.map(Some)
    }
}

#[tokio::test]
async fn a_connector_hears_its_source_and_remembers_under_other_settings() {
    let log = Log::on_disk(&SimDisk::new(1), Options::default()).unwrap();
    let (mut bench, exporter) = (Bench::over(log), Scripted::new());
    let wiring = |bench: &Bench, fingerprint| {
        let mut wiring = Wiring::default().exporter("out", 1, &exporter);
        let plan = Arc::new(Watching(bench.door(false)));
        wiring.plan.connectors.push(Planned { id: "watch".into(), kind: "watch", fingerprint, plan });
        // Nothing but its source is before it.
        wiring.pipeline("logs", &["watch"], &[], &["out"]).plan
    };
    let mut engine = Engine::start(wiring(&bench, 1), bench.durable()).await.unwrap();
    bench.outlet().await.send(logs("a", 1)).await.unwrap();
    exporter.took(1).await;
    let changes = engine.reload(wiring(&bench, 2)).await.unwrap();
    assert!(changes.restarted.contains(&"watch".to_owned()), "{changes}");
    bench.outlet().await.send(logs("a", 1)).await.unwrap();
    exporter.took(2).await;
    assert_eq!(exporter.names(), ["a:1", "a:2"]);
    let snapshot = engine.status().snapshot();
    assert_eq!((snapshot.receivers.len(), snapshot.connectors.len()), (0, 1));
    engine.shutdown(S * 5).await;
}

/// A log that is full of what the stage has still to read is emptied by the stage.
#[tokio::test]
async fn a_full_log_does_not_stop_a_stage() {
    let (mut bench, exporter) = (Bench::new(16 << 10), Scripted::new());
    let wiring = Wiring::default().exporter("out", 1, &exporter).processor("count", counting(Duration::ZERO));
    let (engine, outlet) = bench.start(wiring.pipeline("logs", &["in"], &["count"], &["out"])).await;
    let long = "x".repeat(1000);
    let mut sent = 0;
    while sent < 100 {
        match outlet.send(logs(&long, 1)).await {
            Ok(_) => sent += 1,
            Err(_) => tokio::task::yield_now().await,
        }
    }
    exporter.took(100).await;
    assert_eq!(exporter.items(), 100);
    engine.shutdown(S * 5).await;
}

/// One life after the other on a disk that stops at any moment. What the exporter was given, by log position, are the records that
/// a run without a crash would have led to: each once.
#[tokio::test]
async fn a_crash_neither_loses_nor_doubles_what_a_stage_puts_out() {
    let seed = std::env::var("CATCHMENT_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in seed.map_or(0..24, |seed: u64| seed..seed + 1) {
        lives(seed).await;
    }
}

async fn lives(seed: u64) {
    let disk = SimDisk::new(seed);
    let mut dice = crate::log::sim::Dice(seed ^ 0x5eed);
    let mut acknowledged = 0;
    let mut unsure = 0;
    // By position: what was given twice over a crash was given as it was.
    let mut given: BTreeMap<u64, String> = BTreeMap::new();
    for life in 0..6 {
        let last = life == 5;
        disk.restart(if last { u64::MAX } else { 20 + dice.roll(400) });
        let options = Options { segment_bytes: 2048, tail_bytes: 1024, ..Options::default() };
        let Ok(log) = Log::on_disk(&disk, options) else { continue };
        let exporter = Scripted::new();
        let mut bench = Bench::over(log.clone());
        let wait = Duration::from_millis(5);
        let wiring = Wiring::default().exporter("out", 1, &exporter).processor("count", counting(wait));
        let wiring = bench.receiver(wiring.pipeline("logs", &["in"], &["count"], &["out"]), "in", 1, false);
        let Ok(mut engine) = Engine::start(wiring.plan, bench.durable()).await else { continue };
        let outlet = bench.outlet().await;
        for _ in 0..40 {
            match outlet.send(logs("a", 1)).await {
                Ok(_) => acknowledged += 1,
                Err(_) => unsure += 1,
            }
            if dice.one_in(4) {
                tokio::time::sleep(Duration::from_millis(dice.roll(8))).await;
            }
        }
        if last {
            // The stage is taken out, and puts out all that it holds back.
            let without = Wiring::default().exporter("out", 1, &exporter).pipeline("logs", &["in"], &[], &["out"]);
            engine.reload(bench.receiver(without, "in", 1, false).plan).await.unwrap();
            engine.shutdown(S * 10).await;
        } else {
            disk.restart(0);
            drop(engine);
        }
        // A process that is gone writes no more.
        bench.closed("out").await;
        bench.closed("logs#count").await;
        let _ = log.close().await;
        for (names, items, at) in exporter.taken.lock().unwrap().iter() {
            assert_eq!((names.len(), *items), (1, 1), "seed {seed}");
            let before = given.insert(*at, names[0].clone());
            assert!(
                before.as_ref().is_none_or(|before| *before == names[0]),
                "seed {seed}: {before:?} and {names:?} at {at}"
            );
        }
    }
    let once: BTreeSet<&String> = given.values().collect();
    assert_eq!(once.len(), given.len(), "seed {seed}: doubled: {given:?}");
    let most = acknowledged + unsure;
    assert!((acknowledged..=most).contains(&given.len()), "seed {seed}: {} of {acknowledged} to {most}", given.len());
    let all: BTreeSet<String> = (1..=given.len()).map(|n| format!("a:{n}")).collect();
    assert_eq!(once, all.iter().collect(), "seed {seed}");
}

//! Random trees, alerts, silences, acknowledgements and restarts, held against the oracle.

use std::collections::{BTreeMap, BTreeSet};

use catchment_pipeline::alerts::{Alert, Silence};
use xxhash_rust::xxh3::xxh3_64;

use super::oracle::{Condition, Labels, Oracle, Route, Told, World, text};
use super::{Bench, SECOND, time};

pub struct Dice(u64, u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed, 0)
    }

    pub fn below(&mut self, most: u64) -> u64 {
        self.1 += 1;
        xxh3_64(format!("{} {}", self.0, self.1).as_bytes()) % most
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }

    fn maybe<T>(&mut self, some: impl FnOnce(&mut Dice) -> T) -> Option<T> {
        (self.below(2) == 0).then(|| some(self))
    }
}

const NAMES: [&str; 3] = ["A", "B", "C"];
const SEVERITIES: [&str; 3] = ["page", "warn", ""];
const HOSTS: [&str; 2] = ["x", "y"];

fn condition(dice: &mut Dice) -> Condition {
    let equal = dice.below(4) > 0;
    match dice.below(3) {
        0 => ("alertname", dice.one(&NAMES), equal),
        1 => ("severity", dice.one(&SEVERITIES), equal),
        _ => ("host", dice.one(&HOSTS), equal),
    }
}

fn route(dice: &mut Dice, depth: u64) -> Route {
    let mut seen = BTreeSet::new();
    let mut routes = Vec::new();
    for _ in 0..dice.below(4 - depth) {
        let mut child = route(dice, depth + 1);
        child.conditions = (0..=dice.below(2)).map(|_| condition(dice)).collect();
        child.conditions.sort();
        child.conditions.dedup();
        child.goes_on = dice.below(3) == 0;
        child.muted = dice.below(5) == 0;
        if seen.insert(child.conditions.clone()) {
            routes.push(child);
        }
    }
    Route {
        receiver: dice.maybe(|dice| dice.one(&["ops", "team", "quiet"])),
        group_by: dice.maybe(|dice| dice.one(&[vec![], vec!["alertname"], vec!["host", "severity"], vec!["..."]])),
        group_wait: dice.maybe(|dice| dice.one(&[0, 1, 30, 120])),
        group_interval: dice.maybe(|dice| dice.one(&[10, 60, 300, 301])),
        repeat_interval: dice.maybe(|dice| dice.one(&[60, 900, 3_600, 14_400])),
        routes,
        ..Route::default()
    }
}

fn matchers(conditions: &[Condition]) -> String {
    let one = |(name, value, equal): &Condition| format!("{name}{}\"{value}\"", if *equal { "=" } else { "!=" });
    conditions.iter().map(one).collect::<Vec<_>>().join(",")
}

fn quoted(conditions: &[Condition]) -> String {
    let all: Vec<_> =
        conditions.iter().map(|condition| format!("'{}'", matchers(std::slice::from_ref(condition)))).collect();
    format!("[{}]", all.join(", "))
}

fn flow(route: &Route, is_root: bool) -> String {
    let mut keys = Vec::new();
    keys.extend(route.receiver.map(|name| format!("receiver: {name}")));
    keys.extend(route.group_by.as_ref().map(|names| format!("group_by: {names:?}")));
    keys.extend(route.group_wait.map(|seconds| format!("group_wait: {seconds}s")));
    keys.extend(route.group_interval.map(|seconds| format!("group_interval: {seconds}s")));
    keys.extend(route.repeat_interval.map(|seconds| format!("repeat_interval: {seconds}s")));
    if !is_root {
        keys.push(format!("matchers: {}, continue: {}", quoted(&route.conditions), route.goes_on));
        keys.extend(route.muted.then(|| "mute_time_intervals: [nightly]".to_owned()));
    }
    let routes: Vec<_> = route.routes.iter().map(|route| flow(route, false)).collect();
    keys.push(format!("routes: [{}]", routes.join(", ")));
    format!("{{{}}}", keys.join(", "))
}

fn world(dice: &mut Dice) -> (World, String) {
    let root = route(dice, 0);
    let inhibit = (0..dice.below(3)).map(|_| {
        let equal = dice.one(&[vec![], vec!["host"], vec!["severity"]]);
        (vec![condition(dice)], vec![condition(dice)], equal)
    });
    let world = World { root, inhibit: inhibit.collect(), mute: (3_600, 7_200), no_resolved: vec!["quiet"] };
    let rule = |(source, target, equal): &(Vec<Condition>, Vec<Condition>, Vec<&str>)| {
        format!("{{source_matchers: {}, target_matchers: {}, equal: {equal:?}}}", quoted(source), quoted(target))
    };
    let rules: Vec<_> = world.inhibit.iter().map(rule).collect();
    let yaml = format!(
        "route: {}\ninhibit_rules: [{}]\nreceivers: [{{name: quiet, send_resolved: false}}]\n\
         time_intervals: [{{name: nightly, time_intervals: [{{times: [{{start_time: '01:00', end_time: '02:00'}}]}}]}}]\n",
        flow(&world.root, true),
        rules.join(", ")
    );
    (world, yaml)
}

/// The same world twice: the policy, and the oracle.
struct Both {
    bench: Bench,
    oracle: Oracle,
    /// When each alert began to fire.
    since: BTreeMap<Labels, i64>,
}

impl Both {
    fn event(&mut self, dice: &mut Dice, now: i64) {
        self.oracle.run(now);
        let conditions: Vec<_> = (0..=dice.below(2)).map(|_| condition(dice)).collect();
        match dice.below(12) {
            0..=6 => self.post(dice, now),
            7 => {
                let (from, to) = (now + dice.below(600) as i64, now + 600 + dice.below(20_000) as i64);
                let id = format!("s{}", self.oracle.silences.len());
                self.bench.policy.silence(time(now), silence(&id, &conditions, from, to), &mut self.bench.out);
                self.oracle.silences.push((id, conditions, from, to));
            }
            8 if !self.oracle.silences.is_empty() => {
                let index = dice.below(self.oracle.silences.len() as u64) as usize;
                let silence = &mut self.oracle.silences[index];
                self.bench.policy.expire(time(now), &silence.0, &mut self.bench.out);
                silence.3 = silence.3.min(now);
            }
            9 => {
                self.bench.acknowledge(now, &matchers(&conditions), "me");
                self.oracle.acknowledge(now, &conditions);
            }
            10 => self.bench.restart(),
            _ => self.bench.run(now),
        }
        self.oracle.run(now);
    }

    fn post(&mut self, dice: &mut Dice, now: i64) {
        let labels: Labels =
            [("alertname", dice.one(&NAMES)), ("severity", dice.one(&SEVERITIES)), ("host", dice.one(&HOSTS))]
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .collect();
        let ends = match dice.below(4) {
            0 => Some(now),
            1 => None,
            _ => Some(now + dice.one(&[1, 240, 3_000, 30_000])),
        };
        let fires = ends.is_none_or(|ends| ends > now);
        let starts = *self.since.entry(labels.clone()).or_insert(now);
        if !fires {
            self.since.remove(&labels);
        }
        let alert = Alert {
            labels: labels.iter().map(|(name, value)| (*name, *value)).collect(),
            starts_at: if ends.is_none() { 0 } else { time(starts.max(now - 1)) },
            ends_at: ends.map_or(0, time),
            ..Alert::default()
        };
        self.bench.policy.put(time(now), vec![alert], &mut self.bench.out);
        self.oracle.post(now, &labels, ends);
    }
}

fn silence(id: &str, conditions: &[Condition], from: i64, to: i64) -> Silence {
    super::silence(id, &matchers(conditions), from, to)
}

fn check(seed: u64, events: u64, most: u64) {
    let mut dice = Dice::new(seed);
    let (world, yaml) = world(&mut dice);
    let mut both = Both { bench: Bench::new(&yaml), oracle: Oracle::new(world), since: BTreeMap::new() };
    let mut now = 0;
    for _ in 0..events {
        now += dice.below(most) as i64;
        both.event(&mut dice, now);
    }
    both.oracle.run(now + 20_000);
    both.bench.run(now + 20_000);
    // That somebody acknowledged is ours, and has tests of its own.
    let told = both.bench.out.iter().filter(|notification| notification.acknowledged_by.is_none());
    let mut found: Vec<Told> = told
        .map(|notification| {
            let firing = notification.firing().map(|alert| alert.labels.to_string()).collect();
            let resolved = notification.resolved().map(|alert| alert.labels.to_string()).collect();
            let at = (notification.at - time(0)) / SECOND;
            (at, notification.receiver.clone(), notification.group_key.clone(), firing, resolved)
        })
        .collect();
    found.sort();
    both.oracle.told.sort();
    let first = found
        .iter()
        .zip(&both.oracle.told)
        .position(|(a, b)| a != b)
        .unwrap_or(found.len().min(both.oracle.told.len()));
    assert!(
        found == both.oracle.told,
        "seed {seed}, message {first}\nfound  {:#?}\nexpect {:#?}\n{yaml}",
        found.get(first),
        both.oracle.told.get(first)
    );
    let ids: BTreeSet<_> = both.bench.out.iter().map(|notification| &notification.id).collect();
    assert_eq!(ids.len(), both.bench.out.len(), "seed {seed}: ids are not different");
}

/// `CATCHMENT_SEED=7` runs one, `CATCHMENT_SEEDS=100000` that many.
#[test]
fn random_worlds_are_told_as_alertmanager_would() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("CATCHMENT_SEED") {
        return check(seed, 60, 400);
    }
    for seed in 0..number("CATCHMENT_SEEDS").unwrap_or(400) {
        check(seed, 60, 400);
    }
}

/// Half a year of them.
#[test]
fn months_pass_in_a_moment() {
    check(1, 1_500, 20_000);
}

#[test]
fn the_oracle_writes_labels_as_we_do() {
    let labels = Labels::from([("b", "1"), ("a", "x")]);
    let ours: catchment_pipeline::alerts::Labels = labels.iter().map(|(name, value)| (*name, *value)).collect();
    assert_eq!(text(&labels), ours.to_string());
}

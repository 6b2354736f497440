//! Prometheus' alerting rules as its documentation tells them, written down plainly: a second opinion on thousands of random histories.
//!
//! A series is pending from the first evaluation that has it. Once it has been there at every evaluation for `for`, it fires. Missing at one evaluation, a pending one is
//! gone; a firing one is resolved, once it has been missing for `keep_firing_for`. What fires is said again every minute. A failed evaluation tells nothing. Beside what
//! Prometheus has: time in which nobody looked counts for nothing, and a restart changes nothing.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug, Default)]
struct Series {
    /// Time that it has been there, in looked-at seconds; `None`: it is not there.
    pending: Option<i64>,
    firing: bool,
    /// Time that it has been missing while it fires.
    missing: Option<i64>,
    said: i64,
}

#[derive(Default)]
struct Oracle {
    hold: i64,
    keep: i64,
    series: BTreeMap<String, Series>,
    last_said: i64,
    last_evaluated: i64,
    /// Seconds nobody looked since the last evaluation.
    unseen: i64,
}

impl Oracle {
    fn passes(&mut self, second: i64) {
        let gap = second - self.last_said;
        if gap > GAP / SECOND {
            self.unseen += gap;
        }
        self.last_said = second;
    }

    /// `there`: `None` for an evaluation that failed.
    fn evaluate(&mut self, second: i64, there: Option<&[&str]>) -> Vec<String> {
        self.passes(second);
        let looked = second - self.last_evaluated - self.unseen;
        (self.last_evaluated, self.unseen) = (second, 0);
        let mut said = Vec::new();
        for host in there.unwrap_or_default() {
            self.series.entry((*host).to_owned()).or_default();
        }
        for (host, series) in &mut self.series {
            for time in [&mut series.pending, &mut series.missing].into_iter().flatten() {
                *time += looked;
            }
            let is_there = there.map(|there| there.contains(&host.as_str()));
            let word = match is_there {
                Some(true) => {
                    let new = series.pending.is_none() && !series.firing;
                    let time = *series.pending.get_or_insert(0);
                    series.missing = None;
                    if !series.firing && time >= self.hold {
                        series.firing = true;
                        "firing"
                    } else if new {
                        "pending"
                    } else {
                        ""
                    }
                }
                Some(false) if series.firing => {
                    let missing = *series.missing.get_or_insert(0);
                    if self.keep > 0 && missing < self.keep {
                        ""
                    } else {
                        *series = Series::default();
                        "resolved"
                    }
                }
                Some(false) if series.pending.is_some() => {
                    *series = Series::default();
                    "withdrawn"
                }
                _ => "",
            };
            if !word.is_empty() {
                series.said = second;
                said.push(format!("{host} {word}"));
            } else if series.firing && second - series.said >= 60 {
                series.said = second;
                said.push(format!("{host} still"));
            }
        }
        said.sort();
        said
    }
}

#[derive(Clone, Debug)]
enum Act {
    /// After so many seconds: which hosts are there.
    Evaluate(i64, Vec<bool>),
    Fail(i64),
    Alive(i64),
    Restart,
    /// The rules are read again: another expression, and a rule beside.
    Reload,
}

fn act() -> impl Strategy<Value = Act> {
    let wait = prop_oneof![6 => 1..40i64, 1 => 41..4000i64];
    prop_oneof![
        8 => (wait.clone(), proptest::collection::vec(proptest::bool::weighted(0.7), 3)).prop_map(|(wait, there)| Act::Evaluate(wait, there)),
        1 => wait.clone().prop_map(Act::Fail),
        3 => (1..40i64).prop_map(Act::Alive),
        1 => Just(Act::Restart),
        1 => Just(Act::Reload),
    ]
}

const HOSTS: [&str; 3] = ["a", "b", "c"];

fn run(hold: i64, keep: i64, acts: &[Act]) {
    let rule = |expr: &str| format!("{{ alert: A, expr: '{expr}', for: {hold}s, keep_firing_for: {keep}s }}");
    let mut bench = Bench::new(&rule("SELECT 1"));
    let mut oracle = Oracle { hold, keep, ..Oracle::default() };
    let mut second = 0;
    bench.alive(0);
    for (turn, act) in acts.iter().enumerate() {
        let (ours, theirs) = match act {
            Act::Evaluate(wait, there) => {
                second += wait;
                let there: Vec<&str> =
                    HOSTS.into_iter().zip(there).filter(|(_, is)| **is).map(|(host, _)| host).collect();
                (bench.at(second, active(&there)), oracle.evaluate(second, Some(&there)))
            }
            Act::Fail(wait) => {
                second += wait;
                let failed = Outcome::Failed { error: "no".to_owned() };
                (bench.at(second, failed), oracle.evaluate(second, None))
            }
            Act::Alive(wait) => {
                second += wait;
                bench.alive(second);
                oracle.passes(second);
                continue;
            }
            Act::Restart => (bench.restart(&rule("SELECT 1")), Vec::new()),
            Act::Reload => {
                (bench.restart(&format!("{}, {{ alert: B, expr: SELECT 3 }}", rule("SELECT 2"))), Vec::new())
            }
        };
        assert_eq!(ours, theirs, "act {turn}, second {second}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rules_do_what_prometheus_documents(
        hold in prop_oneof![Just(0), 1..300i64],
        keep in prop_oneof![Just(0), 1..300i64],
        acts in proptest::collection::vec(act(), 1..60),
    ) {
        run(hold, keep, &acts);
    }
}

/// Three months of a rule every 15 s, with an outage a week, day after day.
#[test]
fn months_pass_in_seconds() {
    let mut acts = Vec::new();
    for turn in 0..(90 * 86_400 / 15) {
        let host = |period: i64, share: i64| turn % period < share;
        acts.push(Act::Evaluate(15, vec![host(240, 100), host(7, 6), host(5760, 3000)]));
        if turn % 40_320 == 40_319 {
            acts.push(Act::Restart);
            acts.push(Act::Evaluate(7200, vec![true, true, true]));
        }
    }
    run(300, 120, &acts);
}

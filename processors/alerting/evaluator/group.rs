//! One group, for as long as the connector runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use catchment_pipeline::alerts::{Evaluated, Input, Outcome};
use catchment_pipeline::component::{Occasionally, Outlet};
use catchment_pipeline::log::Position;
use catchment_storage::{Changed, Lake, Tables};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use xxhash_rust::xxh3::xxh3_64;

use super::ask::{Answer, Question, ask};
use super::{PAUSE, now, send};
use crate::alerting::Shared;
use crate::alerting::rules::Group;
use crate::state::length;

pub struct Watch {
    group: Group,
    shared: Arc<Shared>,
    lake: Arc<Lake>,
    outlet: Outlet,
    queries: Arc<Semaphore>,
    held: Vec<Held>,
    late: Occasionally,
}

/// What was found of a rule last.
#[derive(Default)]
struct Held {
    seen: Option<(Position, Tables)>,
    /// Which series are active, and which are not.
    shape: u64,
    /// Since when that is so.
    since: i64,
    /// When it was said last.
    said: i64,
}

impl Held {
    /// When what was found will have held for `hold`; `None`: it was said since.
    fn ripe(&self, hold: i64) -> Option<i64> {
        let ripe = self.since.saturating_add(hold);
        (self.said != 0 && self.said < ripe).then_some(ripe)
    }
}

impl Watch {
    pub fn new(group: Group, shared: Arc<Shared>, lake: Arc<Lake>, outlet: Outlet, queries: Arc<Semaphore>) -> Watch {
        let held = group.rules.iter().map(|_| Held::default()).collect();
        Watch { group, shared, lake, outlet, queries, held, late: Occasionally::new(Duration::from_secs(60)) }
    }

    /// For ever.
    pub async fn run(mut self, as_data_arrives: bool) {
        let mut changes = self.lake.changes();
        let mut done = 0;
        let mut next = next(&self.group, now());
        loop {
            let due = self.soon(next).max(done + length(PAUSE).min(self.group.interval));
            let wait = Duration::from_nanos(due.saturating_sub(now()).max(0).unsigned_abs());
            let changed = tokio::select! {
                () = sleep(wait) => false,
                changed = changes.changed(), if as_data_arrives => {
                    if changed.is_err() {
                        return;
                    }
                    true
                }
            };
            if changed {
                let pause = (done + length(PAUSE)).saturating_sub(now()).max(0);
                sleep(Duration::from_nanos(pause.unsigned_abs())).await;
                changes.borrow_and_update();
            }
            let at = now();
            let on_time = at >= next;
            self.evaluate(at, on_time).await;
            done = now();
            if on_time {
                let missed = done.saturating_sub(next) / self.group.interval;
                if missed > 0 && self.late.due(Instant::now()).is_some() {
                    let (group, file) = (&self.group.name, &self.group.file);
                    tracing::warn!(
                        group,
                        file,
                        missed,
                        "evaluations were missed: they take longer than the group's interval"
                    );
                }
                next = self::next(&self.group, done);
            }
        }
    }

    /// `next`, or before it the time at which something has been pending for long enough.
    fn soon(&self, next: i64) -> i64 {
        let rules = self.group.rules.iter().zip(&self.held);
        let ripe = rules.filter_map(|(rule, held)| held.ripe(rule.alerting()?.hold));
        ripe.chain([next]).min().unwrap_or(next)
    }

    async fn evaluate(&mut self, at: i64, on_time: bool) {
        let gaps = self.shared.decider().rules.gaps().to_vec();
        let mut inputs = Vec::new();
        for place in 0..self.group.rules.len() {
            let (Some(rule), Some(held)) = (self.group.rules.get(place).cloned(), self.held.get(place)) else {
                continue;
            };
            let question = Question { group: &self.group, rule: &rule, at, gaps: &gaps };
            let hold = rule.alerting().map_or(0, |alerting| alerting.hold);
            let ripe = held.ripe(hold).is_some_and(|ripe| ripe <= at);
            // What is recorded has one value a step.
            if !on_time && !ripe && (rule.alerting().is_none() || !self.has_news(held, &question)) {
                continue;
            }
            let answer = {
                let _turn = self.queries.acquire().await;
                ask(&self.lake, &question).await
            };
            inputs.extend(self.heard(place, answer, at, on_time || ripe));
        }
        if !inputs.is_empty() {
            send(&self.outlet, inputs).await;
        }
    }

    fn has_news(&self, held: &Held, question: &Question<'_>) -> bool {
        let Some((position, reads)) = held.seen else { return true };
        let window = match question.rule.query.sql.uses_window() {
            true => question.window().from..question.window().to,
            false => i64::MIN..i64::MAX,
        };
        self.lake.changed_since(position, reads, window) != Changed::Nothing
    }

    /// `None`: nothing that was not said.
    fn heard(&mut self, place: usize, answer: Answer, at: i64, in_any_case: bool) -> Option<Input> {
        let held = self.held.get_mut(place)?;
        held.seen = answer.seen;
        let shape = shape(&answer.evaluated);
        if shape != held.shape || held.since == 0 {
            (held.shape, held.since) = (shape, at);
        } else if !in_any_case {
            return None;
        }
        held.said = at;
        Some(Input::Evaluated(answer.evaluated))
    }
}

/// The same for answers with the same series.
fn shape(evaluated: &Evaluated) -> u64 {
    match &evaluated.outcome {
        Outcome::Samples { active, quiet } => {
            let active = active.iter().fold(1u64, |sum, sample| sum.wrapping_add(sample.labels.fingerprint().0));
            let quiet = quiet.iter().flatten().fold(2u64, |sum, labels| sum.wrapping_add(labels.fingerprint().0));
            active ^ quiet.rotate_left(32)
        }
        Outcome::Failed { error } => xxh3_64(error.as_bytes()),
    }
}

/// The first time after `after` that is the group's: the same place within each interval.
fn next(group: &Group, after: i64) -> i64 {
    let place = xxh3_64(format!("{}\0{}", group.file, group.name).as_bytes());
    let place = i64::try_from(place % group.interval.unsigned_abs().max(1)).unwrap_or_default();
    let since = (after - place).rem_euclid(group.interval);
    after.saturating_add(group.interval - since)
}

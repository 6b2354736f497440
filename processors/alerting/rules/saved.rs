//! The machine's state as bytes. By rule, so that it outlives changed settings; what fired under rules that are gone is resolved.

use std::collections::VecDeque;

use anyhow::bail;
use catchment_pipeline::alerts::{Change, Labels};

use super::active::{Active, State};
use super::machine::Machine;
use super::rule_state::{Health, RuleState, Seen, orphan};
use crate::state::snapshot::{Reader, Writer};

const TAG: &str = "alerting rules";
const VERSION: u8 = 1;

impl Machine {
    pub fn save(&self, state: &mut Vec<u8>) {
        let mut out = Writer::new(state, TAG, VERSION, "");
        out.i64(self.last);
        out.len(self.gaps.len());
        for (from, to) in &self.gaps {
            out.i64(*from);
            out.i64(*to);
        }
        let kept = |rule: &&RuleState| rule.last_at != 0;
        out.len(self.rules.iter().filter(kept).count());
        for rule in self.rules.iter().filter(kept) {
            out.text(&rule.rule.group);
            out.text(&rule.rule.name);
            out.fixed(rule.rule.id);
            rule.save(&mut out);
        }
        out.finish();
    }

    pub fn restore(&mut self, state: &[u8]) -> anyhow::Result<()> {
        let mut state = Reader::new(state, TAG, VERSION, "")?;
        self.last = state.i64()?;
        for _ in 0..state.len()? {
            self.gaps.push((state.i64()?, state.i64()?));
        }
        for _ in 0..state.len()? {
            let key = (state.text()?.to_owned(), state.text()?.to_owned(), state.fixed()?);
            let saved = Saved::read(&mut state)?;
            match self.index.get(&key).and_then(|position| self.rules.get_mut(*position)) {
                Some(rule) => saved.into_rule(rule),
                None => self.bereave(&key, saved),
            }
        }
        state.end()
    }

    fn bereave(&mut self, (group, rule, _): &(String, String, u64), saved: Saved) {
        for active in saved.active.into_iter().filter(|active| active.state != State::Inactive) {
            let fired = active.state == State::Firing;
            let change = if fired { Change::Resolved } else { Change::Withdrawn };
            self.orphans.push((orphan(&active, change, group, rule, &self.global), saved.last_at));
        }
    }
}

impl RuleState {
    fn save(&self, out: &mut Writer<'_>) {
        out.i64(self.last_at);
        out.u64(self.health as u64);
        out.text(&self.last_error);
        out.bool(self.no_data);
        out.len(self.active.len());
        for active in self.active.values() {
            save_labels(out, &active.labels);
            save_labels(out, &active.annotations);
            out.maybe_f64(active.value);
            out.u64(active.state as u64);
            for time in [active.active_at, active.fired_at, active.resolved_at, active.sent_at] {
                out.i64(time);
            }
            out.bool(active.kept_since.is_some());
            active.kept_since.iter().for_each(|since| out.i64(*since));
            out.len(active.starts.len());
            active.starts.iter().for_each(|start| out.i64(*start));
        }
        out.len(self.seen.len());
        for seen in self.seen.values() {
            save_labels(out, &seen.labels);
            out.i64(seen.first);
            out.i64(seen.last);
            out.bool(seen.alert.is_some());
            seen.alert.iter().for_each(|alert| out.fixed(*alert));
        }
    }
}

struct Saved {
    last_at: i64,
    health: Health,
    last_error: String,
    no_data: bool,
    active: Vec<Active>,
    seen: Vec<Seen>,
}

impl Saved {
    fn read(state: &mut Reader<'_>) -> anyhow::Result<Saved> {
        let last_at = state.i64()?;
        let health = match state.u64()? {
            0 => Health::Unknown,
            1 => Health::Ok,
            2 => Health::Failed,
            other => bail!("the state has health {other}"),
        };
        let (last_error, no_data) = (state.text()?.to_owned(), state.bool()?);
        let active = (0..state.len()?).map(|_| read_active(state)).collect::<anyhow::Result<_>>()?;
        let seen = (0..state.len()?).map(|_| read_seen(state)).collect::<anyhow::Result<_>>()?;
        Ok(Saved { last_at, health, last_error, no_data, active, seen })
    }

    fn into_rule(self, rule: &mut RuleState) {
        rule.last_at = self.last_at;
        (rule.health, rule.last_error, rule.no_data) = (self.health, self.last_error, self.no_data);
        rule.active = self.active.into_iter().map(|active| (active.labels.fingerprint().0, active)).collect();
        rule.seen = self.seen.into_iter().map(|seen| (seen.labels.fingerprint().0, seen)).collect();
    }
}

fn read_active(state: &mut Reader<'_>) -> anyhow::Result<Active> {
    let (labels, annotations, value) = (read_labels(state)?, read_labels(state)?, state.maybe_f64()?);
    let kind = match state.u64()? {
        0 => State::Pending,
        1 => State::Firing,
        2 => State::Inactive,
        other => bail!("the state has an alert of state {other}"),
    };
    let (active_at, fired_at, resolved_at, sent_at) = (state.i64()?, state.i64()?, state.i64()?, state.i64()?);
    let kept_since = if state.bool()? { Some(state.i64()?) } else { None };
    let starts = (0..state.len()?).map(|_| state.i64()).collect::<anyhow::Result<VecDeque<_>>>()?;
    Ok(Active {
        labels,
        annotations,
        value,
        state: kind,
        active_at,
        fired_at,
        resolved_at,
        kept_since,
        sent_at,
        starts,
    })
}

fn read_seen(state: &mut Reader<'_>) -> anyhow::Result<Seen> {
    let (labels, first, last) = (read_labels(state)?, state.i64()?, state.i64()?);
    let alert = if state.bool()? { Some(state.fixed()?) } else { None };
    Ok(Seen { labels, first, last, alert })
}

fn save_labels(out: &mut Writer<'_>, labels: &Labels) {
    out.len(labels.len());
    for (name, value) in labels.iter() {
        out.text(name);
        out.text(value);
    }
}

fn read_labels(state: &mut Reader<'_>) -> anyhow::Result<Labels> {
    let pairs = (0..state.len()?).map(|_| Ok((state.text()?.to_owned(), state.text()?.to_owned())));
    pairs.collect::<anyhow::Result<Vec<_>>>().map(Labels::new)
}

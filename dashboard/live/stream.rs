//! One query that is watched, whoever watches it: equal subscriptions share a stream, its evaluations and its frames.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use catchment_pipeline::log::Position;
use catchment_storage::{Changed, Template, Variables};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::frame::Version;
use super::lock;
use super::mailbox::{Mailbox, Missing};
use super::protocol::Mode;
use super::window::{Range, Window, floor};
use crate::data::Data;
use crate::problem::Problem;

/// What makes two subscriptions equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub sql: String,
    pub mode: Mode,
    pub variables: Variables,
    pub range: Range,
    /// Milliseconds, as all times here.
    pub lookback: i64,
    pub step: i64,
    /// Rows of modes `rows` and `table`.
    pub limit: usize,
}

/// The last frame of a client that comes back.
#[derive(Clone, Debug)]
pub struct Resume {
    pub position: Position,
    pub log: String,
    pub step: i64,
    pub to: i64,
}

pub struct Stream {
    pub id: u64,
    pub key: Key,
    pub template: Template,
    state: Mutex<State>,
    /// Somebody came or left.
    pub woken: Notify,
}

#[derive(Default)]
struct State {
    version: Option<Arc<Version>>,
    /// Why there is none, or why it is not renewed.
    problem: Option<Problem>,
    watchers: Vec<Watcher>,
    /// Somebody came who wants to know whether the window has moved on.
    looked_at: bool,
}

struct Watcher {
    mailbox: Arc<Mailbox>,
    /// Until the first version is there.
    resume: Option<Resume>,
}

impl Stream {
    pub fn new(id: u64, key: Key, template: Template) -> Stream {
        Stream { id, key, template, state: Mutex::default(), woken: Notify::new() }
    }

    pub fn watch(&self, mailbox: &Arc<Mailbox>, resume: Option<Resume>, data: &dyn Data) {
        let mut state = lock(&self.state);
        let resume = match &state.version {
            Some(version) => {
                mailbox.put_rows(self.id, missing(version, resume.as_ref(), self.key.range, self.key.lookback, data));
                None
            }
            None => resume,
        };
        if state.problem.is_some() {
            mailbox.put_problem(self.id);
        }
        state.watchers.push(Watcher { mailbox: mailbox.clone(), resume });
        state.looked_at = true;
        drop(state);
        self.woken.notify_one();
    }

    pub fn leave(&self, mailbox: &Arc<Mailbox>) {
        let mut state = lock(&self.state);
        state.watchers.retain(|watcher| !Arc::ptr_eq(&watcher.mailbox, mailbox));
        let none = state.watchers.is_empty();
        drop(state);
        mailbox.forget(self.id);
        if none {
            self.woken.notify_one();
        }
    }

    pub fn is_watched(&self) -> bool {
        !lock(&self.state).watchers.is_empty()
    }

    /// Once nobody watches it, and nobody has come back after `grace`.
    pub async fn abandoned(&self, grace: Duration) {
        loop {
            while self.is_watched() {
                self.woken.notified().await;
            }
            sleep(grace).await;
            if !self.is_watched() {
                return;
            }
        }
    }

    pub fn take_looked_at(&self) -> bool {
        std::mem::take(&mut lock(&self.state).looked_at)
    }

    /// The newest rows of it; `None` before there are any.
    pub fn frame(&self, missing: Missing) -> Option<Result<Bytes, Problem>> {
        let version = lock(&self.state).version.clone()?;
        Some(version.frame(missing.since()))
    }

    pub fn problem(&self) -> Option<Problem> {
        lock(&self.state).problem.clone()
    }

    /// `changed`: what clients that were up to date are missing now.
    pub fn publish(&self, version: Arc<Version>, changed: Option<Missing>, data: &dyn Data) {
        let mut state = lock(&self.state);
        let recovered = state.problem.take().is_some();
        let first = state.version.replace(version.clone()).is_none();
        // A frame without rows says that the problem is over.
        let changed = changed.or(recovered.then_some(Missing::Since(version.window.to)));
        for watcher in &mut state.watchers {
            let missing = match first {
                true => {
                    Some(missing(&version, watcher.resume.take().as_ref(), self.key.range, self.key.lookback, data))
                }
                false => changed,
            };
            if let Some(missing) = missing {
                watcher.mailbox.put_rows(self.id, missing);
            }
        }
    }

    pub fn publish_problem(&self, problem: Problem) {
        let mut state = lock(&self.state);
        if state.problem.as_ref() != Some(&problem) {
            state.watchers.iter().for_each(|watcher| watcher.mailbox.put_problem(self.id));
            state.problem = Some(problem);
        }
    }
}

/// Microseconds in which a row can change a result: those of its window, and of what is looked back at before it.
pub fn reach(window: Window, lookback: i64) -> std::ops::Range<i64> {
    window.from.saturating_sub(lookback).saturating_mul(1000)..window.to.saturating_mul(1000)
}

/// What a client that comes back is missing. All of it, unless it is certain what changed.
fn missing(version: &Version, resume: Option<&Resume>, range: Range, lookback: i64, data: &dyn Data) -> Missing {
    let Some(resume) = resume.filter(|_| version.mode != Mode::Table) else { return Missing::All };
    if resume.log != data.log_id() || resume.step != version.step || resume.to > version.window.to {
        return Missing::All;
    }
    // The clock was set back, and the client has dropped rows that are part of the window again.
    let dropped_before = floor(resume.to - 1 - range.length(), version.step);
    if range.is_relative() && version.window.from < dropped_before {
        return Missing::All;
    }
    let changed = match data.changed_since(resume.position, version.reads, reach(version.window, lookback)) {
        Changed::Nothing => resume.to,
        Changed::Since(micros) => resume.to.min(micros.div_euclid(1000)),
        Changed::Unknown | Changed::Ahead => return Missing::All,
    };
    Missing::Since(floor(changed, version.step))
}

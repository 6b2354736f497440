//! Keeping one stream's result up to date: when to ask again, from when on, and what changed by it.
//!
//! The first result is of the whole window. When rows were appended to a table that the query reads, the smallest `ts`
//! among them says from which bucket on the result may be out of date; that part is asked for again and takes the
//! place of what was held of it: a late row is right, and nothing doubles. Evaluations of a stream never overlap, start
//! at once on a change, and keep a pause of [`PAUSE`] or [`PAUSE_FACTOR`] times what the last one took.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use catchment_pipeline::log::Position;
use catchment_storage::{Changed, QueryLimits};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::frame::{Facts, Version};
use super::gather::{Answer, Gather};
use super::hub::Hub;
use super::mailbox::Missing;
use super::protocol::Mode;
use super::rows;
use super::stream::{Stream, reach};
use super::window::{self, Window, floor};
use crate::data::{Newest, Select};
use crate::problem::Problem;
use crate::query::late;

const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_FACTOR: u32 = 4;
/// Tables are asked for whole.
const TABLE_PAUSE: Duration = Duration::from_secs(1);
/// A table about the last minutes changes although nothing comes.
const TABLE_REFRESH: Duration = Duration::from_secs(10);
/// After a failure. What does not exist yet is cheap to ask for.
const RETRY: Duration = Duration::from_secs(5);
const RETRY_MISSING: Duration = Duration::from_secs(1);
/// Between looks at changes that turn out not to matter.
const LOOK: Duration = Duration::from_millis(20);
/// A query goes on so long after the last who watched left: a page that asks every so often takes what is held and leaves, and finds
/// the newer answer when it comes again.
const GRACE: Duration = Duration::from_secs(5);
/// A stream that nobody watches is kept this long: pages are reloaded.
const LINGER: Duration = Duration::from_secs(10);

pub struct Evaluator {
    hub: Arc<Hub>,
    stream: Arc<Stream>,
    held: Option<Arc<Version>>,
    /// Up to here nothing was appended that is not in `held`, or will be; or what was appended when it failed.
    seen: Position,
    failed: bool,
    /// By the last evaluation, its turn not counted.
    took: Duration,
    /// For `newest` queries, once the columns are known.
    time: Option<String>,
}

/// What one evaluation asks for.
#[derive(Clone, Copy, Debug)]
struct Part {
    window: Window,
    /// Rows before it are held and stay; `None`: nothing held is used.
    from: Option<i64>,
}

impl Evaluator {
    pub fn new(hub: Arc<Hub>, stream: Arc<Stream>) -> Evaluator {
        Evaluator { hub, stream, held: None, seen: 0, failed: false, took: Duration::ZERO, time: None }
    }

    /// Until nobody has watched the stream for [`LINGER`].
    pub async fn run(mut self) {
        self.hub.ready().await;
        let mut changes = self.hub.data().changes();
        loop {
            let seen = self.seen;
            if !self.wait(&mut changes).await {
                return;
            }
            let stream = self.stream.clone();
            let result = tokio::select! {
                biased;
                result = self.evaluate() => result,
                () = stream.abandoned(GRACE) => {
                    // The query is dropped, and with it cancelled: who comes next asks anew.
                    self.seen = seen;
                    sleep(PAUSE).await;
                    continue;
                }
            };
            let pause = match &result {
                Ok(()) if self.stream.key.mode == Mode::Table => TABLE_PAUSE,
                Ok(()) => PAUSE,
                Err(problem) if problem.kind == "no_data_yet" => RETRY_MISSING,
                Err(_) => RETRY,
            };
            self.failed = result.is_err();
            if let Err(problem) = result {
                self.stream.publish_problem(problem);
            }
            sleep(pause.max(self.took * PAUSE_FACTOR)).await;
        }
    }

    /// Returns when there is something to do; `false`: nobody is interested any more, and the stream is gone.
    async fn wait(&mut self, changes: &mut watch::Receiver<Position>) -> bool {
        let mut unwatched: Option<Instant> = None;
        let mut by_change = false;
        loop {
            let appended = *changes.borrow_and_update();
            if self.stream.is_watched() {
                unwatched = None;
                if self.is_due(appended) {
                    self.seen = appended;
                    return true;
                }
            } else if unwatched.get_or_insert_with(Instant::now).elapsed() >= LINGER && self.hub.remove(&self.stream) {
                return false;
            }
            if std::mem::take(&mut by_change) {
                sleep(LOOK).await;
                continue;
            }
            let time = match unwatched {
                Some(since) => since + LINGER,
                None => Instant::now() + TABLE_REFRESH,
            };
            tokio::select! {
                changed = changes.changed(), if unwatched.is_none() => match changed {
                    Ok(()) => by_change = true,
                    // The lake is gone, and with it everything that could change.
                    Err(_) => sleep(LINGER).await,
                },
                () = self.stream.woken.notified() => {}
                () = sleep_until(time) => {}
            }
        }
    }

    fn is_due(&mut self, appended: Position) -> bool {
        if self.failed {
            return appended > self.seen || self.stream.take_looked_at();
        }
        let Some(held) = &self.held else { return true };
        let now = self.window();
        let moved = now.to - held.window.to;
        if moved > 0 && self.stream.take_looked_at() {
            return true;
        }
        let is_table = self.stream.key.mode == Mode::Table;
        if is_table && self.stream.template.uses_window() && moved >= window::millis(TABLE_REFRESH) {
            return true;
        }
        let seen = self.seen.max(held.position);
        if appended <= seen {
            return false;
        }
        let (data, matters) = (self.hub.data(), self.matters(now));
        // Rows of after the window will be in it one day: those are looked at each time.
        let end = if self.stream.key.range.is_relative() { i64::MAX } else { matters.end };
        if data.changed_since(seen, held.reads, matters.start..end) == Changed::Nothing {
            self.seen = appended;
            return false;
        }
        data.changed_since(held.position, held.reads, matters) != Changed::Nothing
    }

    fn window(&self) -> Window {
        self.stream.key.range.at(self.hub.now(), self.stream.key.step)
    }

    /// Which rows' times can change the result.
    fn matters(&self, window: Window) -> std::ops::Range<i64> {
        match self.stream.template.uses_window() {
            true => reach(window, self.stream.key.lookback),
            false => i64::MIN..i64::MAX,
        }
    }

    fn part(&self) -> Part {
        let (key, window) = (&self.stream.key, self.window());
        let whole = Part { window, from: None };
        let Some(held) = self.held.as_ref().filter(|held| key.mode != Mode::Table && held.window.from <= window.from)
        else {
            return whole;
        };
        let changed = match self.hub.data().changed_since(held.position, held.reads, self.matters(window)) {
            // Rows of after the window were there, but not in it.
            Changed::Nothing => held.window.to,
            Changed::Since(micros) => held.window.to.min(micros.div_euclid(1000)),
            Changed::Unknown | Changed::Ahead => return whole,
        };
        match floor(changed, key.step) {
            from if from <= window.from => whole,
            from => Part { window, from: Some(from) },
        }
    }

    async fn evaluate(&mut self) -> Result<(), Problem> {
        let hub = self.hub.clone();
        let _turn = hub.turn().await;
        let started = Instant::now();
        self.stream.take_looked_at();
        let result = self.renew().await;
        self.took = started.elapsed();
        result
    }

    async fn renew(&mut self) -> Result<(), Problem> {
        let part = self.part();
        let mut answer = self.ask(part).await?;
        let mut rows = self.join(part, &answer)?;
        if part.from.is_some() && (rows.is_none() || self.lost_rows(rows.as_ref())) {
            let whole = Part { from: None, ..part };
            answer = self.ask(whole).await?;
            rows = self.join(whole, &answer)?;
            return self.publish(whole, answer, rows);
        }
        self.publish(part, answer, rows)
    }

    async fn ask(&mut self, part: Part) -> Result<Answer, Problem> {
        let limits = self.hub.limits();
        let late = late(&limits);
        timeout(limits.deadline, self.gather(part, limits)).await.unwrap_or(Err(late))
    }

    async fn gather(&mut self, part: Part, limits: QueryLimits) -> Result<Answer, Problem> {
        let (key, data) = (&self.stream.key, self.hub.data());
        let window = catchment_storage::Window {
            from: part.from.unwrap_or(part.window.from).saturating_mul(1000),
            to: part.window.to.saturating_mul(1000),
            lookback: Duration::from_millis(key.lookback.unsigned_abs()),
            step: Duration::from_millis(key.step.unsigned_abs()),
        };
        let select = Select { template: &self.stream.template, variables: &key.variables, window, newest: None };
        let limit = key.limit.min(limits.max_rows.saturating_sub(1)).max(1);
        let newest = |time: &str| Newest { time: time.to_owned(), rows: limit + 1 };
        // Of tables and rows no more are taken than `limit`, and that there are more is said.
        let max_rows = if key.mode == Mode::Series { limits.max_rows } else { usize::MAX };
        let limits = QueryLimits { max_rows, ..limits };
        let mut rows = match self.time.as_deref() {
            Some(time) if key.mode == Mode::Rows => {
                data.select(&Select { newest: Some(newest(time)), ..select.clone() }, limits.clone()).await?
            }
            _ => data.select(&select, limits.clone()).await?,
        };
        let columns = rows::Columns::of(&rows.schema)?;
        let asked_newest = self.time.is_some();
        self.time = columns.time.filter(|_| key.mode == Mode::Rows).map(|time| columns.name(time).to_owned());
        if let Some(time) = self.time.as_deref().filter(|_| !asked_newest) {
            // Now that the time's name is known: only the newest, and not all to be thrown away.
            drop(rows);
            rows = data.select(&Select { newest: Some(newest(time)), ..select }, limits).await?;
        }
        let window = Window { from: part.from.unwrap_or(part.window.from), to: part.window.to };
        Gather::new(key.mode, columns, window, key.step, limit)?.run(rows).await
    }

    /// The whole result: what is held, with its tail replaced. `None`: they do not fit together.
    fn join(&self, part: Part, answer: &Answer) -> Result<Option<RecordBatch>, Problem> {
        let (Some(from), Some(held), Some(time)) = (part.from, &self.held, answer.columns.time) else {
            return Ok(Some(answer.rows.clone()));
        };
        if held.columns != answer.columns {
            return Ok(None);
        }
        rows::replace_tail(&held.rows, &answer.rows, time, part.window.from, from).map(Some)
    }

    /// Rows of mode `rows` that were pushed out by newer ones have to be asked for when newer ones went away.
    fn lost_rows(&self, rows: Option<&RecordBatch>) -> bool {
        let (Some(held), Some(rows)) = (&self.held, rows) else { return false };
        held.truncated && rows.num_rows() < held.limit.min(held.rows.num_rows())
    }

    fn publish(&mut self, part: Part, answer: Answer, rows: Option<RecordBatch>) -> Result<(), Problem> {
        let (key, mut rows) = (&self.stream.key, rows.unwrap_or(answer.rows));
        // Before it is cut: that the oldest row makes room for a new one is no difference in between.
        let changed = self.difference(part, &answer.columns, &rows)?;
        let mut truncated = answer.truncated;
        if key.mode == Mode::Rows {
            let had_more = part.from.is_some() && self.held.as_ref().is_some_and(|held| held.truncated);
            truncated |= rows.num_rows() > key.limit || (had_more && rows.num_rows() == key.limit);
            rows = rows::last(&rows, key.limit)?;
        }
        let facts = Facts {
            stream: self.stream.id,
            mode: key.mode,
            step: key.step,
            limit: key.limit,
            columns: answer.columns,
            window: part.window,
            position: answer.position,
            reads: answer.reads,
            truncated,
        };
        let version = Arc::new(self.hub.version(facts, rows)?);
        self.held = Some(version.clone());
        self.stream.publish(version, changed, self.hub.data());
        Ok(())
    }

    fn difference(&self, part: Part, columns: &rows::Columns, new: &RecordBatch) -> Result<Option<Missing>, Problem> {
        let Some(held) = self.held.as_ref().filter(|held| held.columns == *columns) else {
            return Ok(Some(Missing::All));
        };
        match columns.time.filter(|_| self.stream.key.mode != Mode::Table) {
            None => Ok((!rows::same(&held.rows, new)?).then_some(Missing::All)),
            // Rows that a window set back brings in again are dropped on the other side.
            Some(_) if held.window.from > part.window.from => Ok(Some(Missing::All)),
            Some(time) => {
                let from = part.from.unwrap_or(part.window.from);
                Ok(rows::first_difference(&held.rows, new, time, from)?.map(Missing::Since))
            }
        }
    }
}

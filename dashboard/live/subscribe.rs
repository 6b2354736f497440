//! From a client's `subscribe` to a stream's key: everything that can be said to be wrong before a query runs.

use catchment_storage::{Template, Variable, Variables};

use super::protocol::{DEFAULT_ROWS, MAX_ROWS, Mode, ResumeSpec, Subscribe, Value};
use super::stream::{Key, Resume};
use super::window::{self, Range};
use crate::problem::Problem;

/// Rows of these are by their own times: buckets are of no use to them.
const ROWS_STEP: i64 = 1000;
const MAX_LOOKBACK: i64 = 31 * 24 * 3_600_000;

/// What is asked for.
pub struct Wanted {
    pub key: Key,
    pub template: Template,
    pub resume: Option<Resume>,
}

pub fn read(subscribe: Subscribe) -> Result<Wanted, Problem> {
    let missing = |what: &str| Problem::bad_request(format!("`{what}` is missing"));
    let query = subscribe.query.ok_or_else(|| missing("query"))?;
    let range = Range::parse(&subscribe.range.ok_or_else(|| missing("range"))?)?;
    let millis = |what: &str, text: Option<String>| match text {
        Some(text) => window::duration(what, &text).map(window::millis),
        None => Ok(0),
    };
    let lookback = millis("query.lookback", query.lookback)?;
    if lookback > MAX_LOOKBACK {
        return Err(Problem::bad_request("`query.lookback` is at most 31d"));
    }
    let min_step = millis("query.min_step", query.min_step)?;
    let limit = match subscribe.limit {
        Some(limit @ 1..=MAX_ROWS) => limit,
        None => DEFAULT_ROWS,
        Some(limit) => return Err(Problem::bad_request(format!("`limit`: {limit} is not from 1 to {MAX_ROWS}"))),
    };
    let step = match query.mode {
        Mode::Rows => ROWS_STEP,
        Mode::Series | Mode::Table => window::step(range, subscribe.width, min_step),
    };
    // What a mode does not use must not keep equal subscriptions apart.
    let limit = if query.mode == Mode::Series { 0 } else { limit };
    let variables = query.vars.into_iter().map(|(name, value)| (name, variable(value))).collect::<Variables>();
    let template = Template::parse(query.sql.as_str())?;
    let key = Key { sql: query.sql, mode: query.mode, variables, range, lookback, step, limit };
    // Placeholders that nothing fills are said at once, with their place.
    let any = catchment_storage::Window {
        from: 0,
        to: 1,
        lookback: std::time::Duration::ZERO,
        step: std::time::Duration::from_secs(1),
    };
    template.render(&any, &key.variables)?;
    Ok(Wanted { key, template, resume: subscribe.resume.and_then(resume) })
}

fn variable(value: Value) -> Variable {
    match value {
        Value::One(value) => Variable::One(value),
        Value::Many(values) => Variable::Many(values),
    }
}

/// `None`: nothing that could be gone on from.
fn resume(spec: ResumeSpec) -> Option<Resume> {
    let position = spec.position.parse().ok()?;
    // Of the years 1970 to 9999, as every window.
    let to = Some(spec.to).filter(|to| (0..=253_402_300_800_000).contains(to))?;
    Some(Resume { position, log: spec.log, step: spec.step_ms, to })
}

//! One rule, one question, one answer.

use std::time::{Duration, Instant};

use catchment_pipeline::alerts::{Evaluated, Labels, Outcome, Sample};
use catchment_pipeline::log::Position;
use catchment_storage::{Lake, QueryErrorKind, QueryLimits, RaisedBy, Tables, Variables, Window};

use super::rows;
use crate::alerting::rules::{Group, Rule};

/// Rows of an answer; a rule that gives more fails.
const MAX_ROWS: usize = 50_000;
const DEADLINE: Duration = Duration::from_secs(30);

pub struct Question<'a> {
    pub group: &'a Group,
    pub rule: &'a Rule,
    /// The time it is asked for, in nanoseconds.
    pub at: i64,
    /// Times in which nobody looked: they are left out of the window.
    pub gaps: &'a [(i64, i64)],
}

pub struct Answer {
    pub evaluated: Evaluated,
    /// Up to which position of the log it knows all; `None`: it failed.
    pub seen: Option<(Position, Tables)>,
}

impl Question<'_> {
    /// Microseconds.
    pub fn window(&self) -> Window {
        let to = self.at.saturating_sub(self.group.query_offset);
        let mut from = to.saturating_sub(self.rule.query.window);
        for (begun, ended) in self.gaps.iter().rev().filter(|(begun, _)| *begun < to) {
            if *ended > from {
                from = from.saturating_sub(ended - begun);
            }
        }
        let step = Duration::from_nanos(self.group.interval.unsigned_abs()).max(Duration::from_millis(1));
        // A row of this very moment is in it.
        Window { from: from.div_euclid(1000), to: to.div_euclid(1000) + 1, lookback: Duration::ZERO, step }
    }
}

pub async fn ask(lake: &Lake, question: &Question<'_>) -> Answer {
    let began = Instant::now();
    let result = samples(lake, question).await;
    let (outcome, seen) = match result {
        Ok((outcome, seen)) => (outcome, seen),
        Err(error) => (Outcome::Failed { error }, None),
    };
    let rule = question.rule;
    let evaluated = Evaluated {
        group: rule.group.clone(),
        rule: rule.name.clone(),
        id: rule.id,
        at: question.at,
        took: i64::try_from(began.elapsed().as_nanos()).unwrap_or(i64::MAX),
        outcome,
    };
    Answer { evaluated, seen }
}

type Found = (Outcome, Option<(Position, Tables)>);

async fn samples(lake: &Lake, question: &Question<'_>) -> Result<Found, String> {
    let query = &question.rule.query;
    let rendered = query.sql.render(&question.window(), &Variables::new()).map_err(|error| error.to_string())?;
    let interval = Duration::from_nanos(question.group.interval.unsigned_abs());
    let limits = QueryLimits {
        deadline: interval.clamp(Duration::from_secs(5), DEADLINE),
        max_rows: MAX_ROWS,
        raised_by: RaisedBy::NOTHING,
        ..lake.limits()
    };
    let needs_quiet = question.rule.alerting().is_some_and(|alerting| alerting.needs_quiet());
    let running = match lake.query(&rendered.sql, limits).await {
        Ok(running) => running,
        // A metric that nobody sent yet.
        Err(error) if error.kind == QueryErrorKind::NoDataYet => {
            return Ok((Outcome::Samples { active: Vec::new(), quiet: needs_quiet.then(Vec::new) }, None));
        }
        Err(error) => return Err(rendered.locate(error).to_string()),
    };
    let seen = Some((running.position, running.reads));
    let batches = running.collect().await.map_err(|error| rendered.locate(error).to_string())?;
    let all = rows::samples(&batches)?;
    let Some(check) = query.check else {
        return Ok((Outcome::Samples { active: all, quiet: None }, seen));
    };
    let (mut active, mut quiet): (Vec<Sample>, Vec<Labels>) = (Vec::new(), Vec::new());
    for sample in all {
        match sample.value {
            Some(value) if check.holds(value) => active.push(sample),
            Some(_) if needs_quiet => quiet.push(sample.labels),
            // Nothing was measured, or nobody asks.
            _ => {}
        }
    }
    Ok((Outcome::Samples { active, quiet: needs_quiet.then_some(quiet) }, seen))
}

//! What the `alerting` connector is told. Each is in the log before it counts, so that a crash forgets none.

use serde::{Deserialize, Serialize};

use super::{Alert, Labels, Matcher, Silence, event};
use crate::batch::Batch;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// Nothing, but that the process was there: a gap between two inputs is time in which nobody looked.
    Alive,
    /// A rule was evaluated.
    Evaluated(Evaluated),
    /// Alerts from outside, as `POST /api/v2/alerts` takes them; those without an end are resolved when they are not sent again for `resolve_timeout`.
    Alerts(Vec<Alert>),
    /// A new silence, or another in place of the one with its id, which is not empty.
    Silence(Silence),
    /// The silence of this id ends now.
    Expire { silence: String },
    /// Somebody cares for what these matchers hold for: no escalation and no repetition until it is resolved.
    Acknowledge { matchers: Vec<Matcher>, by: String, comment: String },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    pub group: String,
    pub rule: String,
    /// Tells apart rules of one name in one group.
    pub id: u64,
    /// The time it was evaluated for, in nanoseconds.
    pub at: i64,
    /// How long that took, in nanoseconds.
    pub took: i64,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Series for which the rule's condition holds, with what else the rule needs to know.
    Samples {
        active: Vec<Sample>,
        /// Series that there were, for which it does not hold; `None` where the expression gives only those for which it does.
        quiet: Option<Vec<Labels>>,
    },
    Failed {
        error: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub labels: Labels,
    /// `None`: NULL, or what JSON cannot say.
    pub value: Option<f64>,
}

const INPUT: &str = "alerting.input";

impl Input {
    /// A batch that the connector reads from the log; `at` in nanoseconds. Not for an empty list.
    pub fn batch(inputs: &[Input], at: i64) -> Batch {
        event::batch(inputs.iter().map(|input| event::record(INPUT, input, at, Vec::new())).collect())
    }

    pub fn read(batch: &Batch) -> Vec<Input> {
        let records = event::records(batch).into_iter().filter(|(name, _)| name == INPUT);
        records.filter_map(|(_, body)| serde_json::from_str(&body).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn inputs_come_back_as_they_were() {
        let labels = Labels::new([("host", "a")]);
        let matchers = Matcher::parse_all(r#"host=~"a|b""#).unwrap();
        let outcome = Outcome::Samples { active: vec![Sample { labels, value: Some(0.1) }], quiet: Some(Vec::new()) };
        let inputs = [
            Input::Alive,
            Input::Evaluated(Evaluated {
                group: "g".to_owned(),
                rule: "r".to_owned(),
                id: u64::MAX,
                at: 5,
                took: 1,
                outcome,
            }),
            Input::Expire { silence: "x".to_owned() },
            Input::Acknowledge { matchers, by: "me".to_owned(), comment: String::new() },
        ];
        assert_eq!(Input::read(&Input::batch(&inputs, 7)), inputs);
    }
}

//! The parameters of API v2's questions.

use catchment_pipeline::alerts::{AlertView, Labels, Matcher, Op};
use http::StatusCode;

use super::Failure;

/// Which alerts are wanted.
pub struct Wanted {
    active: bool,
    silenced: bool,
    inhibited: bool,
    muted: bool,
    filter: Vec<Matcher>,
    receiver: Option<Matcher>,
}

pub type Pairs = Vec<(String, String)>;

impl Wanted {
    pub fn read(parameters: Pairs) -> Result<Wanted, Failure> {
        let mut wanted =
            Wanted { active: true, silenced: true, inhibited: true, muted: true, filter: Vec::new(), receiver: None };
        for (key, value) in parameters {
            match key.as_str() {
                "active" => wanted.active = yes_or_no(&key, &value)?,
                "silenced" => wanted.silenced = yes_or_no(&key, &value)?,
                "inhibited" => wanted.inhibited = yes_or_no(&key, &value)?,
                "muted" => wanted.muted = yes_or_no(&key, &value)?,
                // Each alert is processed once it is known.
                "unprocessed" => {
                    yes_or_no(&key, &value)?;
                }
                "filter" => wanted.filter.extend(matchers(&value)?),
                "receiver" => {
                    let pattern = Matcher::new("receiver", Op::Matches, value);
                    wanted.receiver = Some(
                        pattern
                            .map_err(|what| Failure::bad_request(format!("failed to parse receiver param: {what}")))?,
                    );
                }
                // Receivers have no labels here: nothing matches but what asks for none.
                "receiver_matchers" => {
                    matchers(&value)?;
                }
                // Others are let be, as Alertmanager and Prometheus do.
                _ => {}
            }
        }
        Ok(wanted)
    }

    pub fn holds(&self, view: &AlertView) -> bool {
        let suppressed = is_suppressed(view);
        !view.pending
            && (self.active || suppressed)
            && (self.silenced || view.silenced_by.is_empty())
            && (self.inhibited || view.inhibited_by.is_empty())
            && Matcher::all(&self.filter, &view.alert.labels)
            && (self.receiver.is_none() || view.receivers.iter().any(|name| self.wants_receiver(name)))
    }

    pub fn wants_receiver(&self, name: &str) -> bool {
        self.receiver.as_ref().is_none_or(|pattern| pattern.matches(&Labels::new([("receiver", name)])))
    }

    /// Groups none of whose alerts anybody is told of.
    pub fn wants_muted_groups(&self) -> bool {
        self.muted
    }
}

pub fn is_suppressed(view: &AlertView) -> bool {
    !(view.silenced_by.is_empty() && view.inhibited_by.is_empty() && view.muted_by.is_empty())
}

pub fn yes_or_no(key: &str, value: &str) -> Result<bool, Failure> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Failure::new(StatusCode::BAD_REQUEST, format!("`{key}={value}`: write true or false"))),
    }
}

pub fn matchers(text: &str) -> Result<Vec<Matcher>, Failure> {
    Matcher::parse_all(text).map_err(|what| Failure::bad_request(format!("bad matcher format: {what}")))
}

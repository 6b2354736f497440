//! `receivers`: who is told, as lists of channels.

use std::collections::BTreeMap;

use catchment_pipeline::config::Section;

use super::MINUTE;

#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    /// Exporters by id; empty: all channels of the alerts pipeline.
    pub channels: Vec<String>,
    pub send_resolved: bool,
    pub limit: Option<Limit>,
}

impl Default for Receiver {
    fn default() -> Receiver {
        Receiver { channels: Vec::new(), send_resolved: true, limit: None }
    }
}

/// At most so many messages in any span of `per` nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub messages: usize,
    pub per: i64,
}

const MOST: usize = 10_000;

pub fn read_all(section: &mut Section) -> BTreeMap<String, Receiver> {
    let mut receivers = BTreeMap::new();
    for mut item in section.list("receivers") {
        let Some(name) = item.required::<String>("name") else { continue };
        let channels = item.get("channels").unwrap_or_default();
        let send_resolved = item.or("send_resolved", true);
        let limit = item.section("rate_limit").and_then(limit);
        if receivers.insert(name.clone(), Receiver { channels, send_resolved, limit }).is_some() {
            item.mistake("name", format!("there are two receivers called \"{name}\""), "give one of them another name");
        }
    }
    receivers
}

fn limit(mut section: Section) -> Option<Limit> {
    let messages = section.required::<usize>("messages")?;
    if messages == 0 || messages > MOST {
        section.mistake("messages", format!("{messages} messages"), format!("write a number from 1 to {MOST}"));
    }
    let per = super::nanos(&mut section, "per", MINUTE, true);
    Some(Limit { messages, per })
}

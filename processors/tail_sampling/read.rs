//! The Collector's keys.

use std::time::Duration;

use catchment_pipeline::batch::Table;
use catchment_pipeline::config::{ByteSize, Section};
use regex::Regex;

use super::policy::{Leaf, Limiter, Memory, Policy, Spent, Sql, Values};
use crate::sql::{Rows, condition_for};

#[derive(Debug)]
pub struct Settings {
    pub decision_wait: Duration,
    pub after_root: Duration,
    pub num_traces: usize,
    pub sampled_cache: usize,
    pub not_sampled_cache: usize,
    pub drop_pending: bool,
    /// Bytes; 0 for none.
    pub max_trace: u64,
    pub max_bytes: u64,
    pub policies: Vec<Policy>,
    pub leaves: Vec<Leaf>,
    pub memory: Memory,
}

const MAX_LEAVES: usize = 64;

pub fn read(section: &mut Section) -> Settings {
    let num_traces = section.or("num_traces", 50_000usize);
    if num_traces == 0 {
        section.mistake("num_traces", "no trace would be waited for", "write 1 or more");
    }
    let (mut sampled, mut not_sampled) = (num_traces.saturating_mul(2), num_traces.saturating_mul(2));
    if let Some(mut cache) = section.section("decision_cache") {
        sampled = cache.or("sampled_cache_size", sampled);
        not_sampled = cache.or("non_sampled_cache_size", not_sampled);
    }
    let mut settings = Settings {
        decision_wait: section.or("decision_wait", Duration::from_secs(30)),
        after_root: section.or("decision_wait_after_root_received", Duration::ZERO),
        num_traces,
        sampled_cache: sampled,
        not_sampled_cache: not_sampled,
        drop_pending: section.or("drop_pending_traces_on_shutdown", false),
        max_trace: section.or("maximum_trace_size_bytes", 0),
        max_bytes: section.get::<ByteSize>("max_bytes").map_or(512 << 20, |size| size.0),
        policies: Vec::new(),
        leaves: Vec::new(),
        memory: Memory::default(),
    };
    section.accepted("expected_new_traces_per_sec", "memory is taken as traces come");
    let early = "each trace is decided as soon as its outcome is certain";
    section.accepted("sample_on_first_match", early);
    section.accepted("sampling_strategy", early);
    section.accepted("num_shards", "one pass over whole columns");
    section.accepted("block_on_overflow", "traces past num_traces are decided early, with the spans they have");
    for policy in section.list("policies") {
        settings.policies.extend(policy_of(policy, &mut settings.leaves, &mut settings.memory, true));
    }
    if settings.policies.is_empty() {
        section.mistake(
            "policies",
            "without a policy nothing is sampled",
            "write at least one, e.g. { name: all, type: always_sample }",
        );
    }
    if settings.leaves.len() > MAX_LEAVES {
        section.mistake("policies", format!("over {MAX_LEAVES} conditions on spans"), "write fewer");
    }
    settings
}

const TYPES: [&str; 17] = [
    "always_sample",
    "and",
    "boolean_attribute",
    "bytes_limiting",
    "composite",
    "drop",
    "latency",
    "not",
    "numeric_attribute",
    "probabilistic",
    "rate_limiting",
    "span_count",
    "sql_condition",
    "status_code",
    "string_attribute",
    "trace_flags",
    "trace_state",
];

fn policy_of(mut section: Section, leaves: &mut Vec<Leaf>, memory: &mut Memory, top: bool) -> Option<Policy> {
    section.required::<String>("name");
    let kind = section.required::<String>("type")?;
    if kind == "ottl_condition" {
        section.get::<catchment_pipeline::config::Node>("ottl_condition");
        section.mistake(
            "type",
            "Catchment has no OTTL",
            "write type: sql_condition, sql_condition: { conditions: [\"status_code = 2 AND name LIKE '%order%'\"] }",
        );
        return None;
    }
    if !TYPES.contains(&kind.as_str()) {
        section.mistake("type", format!("{kind:?} is no type of policy"), format!("choices: {}", TYPES.join(", ")));
        return None;
    }
    let inner = section.section(&kind);
    match kind.as_str() {
        "always_sample" => return Some(Policy::Always),
        "trace_flags" => return Some(leaf(leaves, Leaf::Flag, false)),
        _ => {}
    }
    let Some(mut inner) = inner else {
        section.mistake("type", format!("it says nothing under \"{kind}\""), format!("add {kind}: {{ ... }}"));
        return None;
    };
    match kind.as_str() {
        "and" => Some(Policy::And(parts(&mut inner, "and_sub_policy", leaves, memory))),
        "drop" if !top => {
            section.mistake("type", "drop stands alone", "use not");
            None
        }
        "drop" => Some(Policy::Drop(parts(&mut inner, "drop_sub_policy", leaves, memory))),
        "not" => {
            let part = inner.section("not_sub_policy").and_then(|part| policy_of(part, leaves, memory, false));
            part.map(|part| Policy::Not(Box::new(part)))
        }
        "composite" => composite(&mut inner, leaves, memory),
        "rate_limiting" => limiter(&mut inner, "spans_per_second", memory, false),
        "bytes_limiting" => limiter(&mut inner, "bytes_per_second", memory, true),
        other => simple(other, &mut inner, leaves),
    }
}

fn parts(section: &mut Section, key: &str, leaves: &mut Vec<Leaf>, memory: &mut Memory) -> Vec<Policy> {
    let parts: Vec<Policy> =
        section.list(key).into_iter().filter_map(|part| policy_of(part, leaves, memory, false)).collect();
    if parts.is_empty() {
        section.mistake(key, "it joins nothing", "write policies");
    }
    parts
}

fn leaf(leaves: &mut Vec<Leaf>, leaf: Leaf, inverted: bool) -> Policy {
    let number = (leaves.len() % MAX_LEAVES) as u32;
    leaves.push(leaf);
    if inverted { Policy::Inverted(number) } else { Policy::Leaf(number) }
}

fn limiter(section: &mut Section, key: &str, memory: &mut Memory, bytes: bool) -> Option<Policy> {
    let rate: u64 = section.required(key)?;
    let burst = section.or("burst_capacity", rate.saturating_mul(2));
    memory.limiters.push(Limiter::new(rate as f64, burst as f64));
    Some(Policy::Rate { limiter: memory.limiters.len() - 1, bytes })
}

fn composite(section: &mut Section, leaves: &mut Vec<Leaf>, memory: &mut Memory) -> Option<Policy> {
    let total: f64 = section.required("max_total_spans_per_second")?;
    let order: Vec<String> = section.or("policy_order", Vec::new());
    let mut named = Vec::new();
    for mut part in section.list("composite_sub_policy") {
        let name: String = part.or("name", String::new());
        named.extend(policy_of(part, leaves, memory, false).map(|policy| (name, policy)));
    }
    let mut shares = Vec::new();
    for mut share in section.list("rate_allocation") {
        shares.push((share.or("policy", String::new()), share.or("percent", 0.0)));
    }
    let equal = total / named.len().max(1) as f64;
    let mut parts = Vec::new();
    for name in &order {
        let Some(at) = named.iter().position(|(other, _)| other == name) else {
            section.mistake(
                "policy_order",
                format!("{name:?} is no composite_sub_policy"),
                "name those that are there",
            );
            continue;
        };
        let (name, policy) = named.remove(at);
        let share = shares.iter().find(|(other, percent)| *other == name && *percent > 0.0);
        parts.push((policy, share.map_or(equal, |(_, percent)| percent / 100.0 * total)));
    }
    if parts.is_empty() {
        section.mistake("policy_order", "it has no policy", "name the policies in composite_sub_policy, first to last");
    }
    memory.composites.push(Spent { by_part: vec![0.0; parts.len()], ..Spent::default() });
    Some(Policy::Composite { number: memory.composites.len() - 1, total, parts })
}

fn simple(kind: &str, section: &mut Section, leaves: &mut Vec<Leaf>) -> Option<Policy> {
    let invert = |section: &mut Section| section.or("invert_match", false);
    Some(match kind {
        "latency" => {
            let mut ms = |key: &str| section.or(key, 0u64).min(1 << 40) as i64 * 1_000_000;
            // Whole milliseconds are compared: over 5 ms begins at 6.
            let (threshold, upper) = (ms("threshold_ms"), ms("upper_threshold_ms"));
            let last_of = |ms: i64| if ms == 0 { 0 } else { ms + 999_999 };
            Policy::Latency { threshold: threshold + 999_999, upper: last_of(upper) }
        }
        "probabilistic" => {
            let percent: f64 = section.required("sampling_percentage")?;
            let salt = section.or("hash_salt", String::new());
            let salt = if salt.is_empty() { "default-hash-seed".to_owned() } else { salt };
            Policy::Probabilistic { salt, threshold: (u64::MAX as f64 * (percent / 100.0)) as u64 }
        }
        "sql_condition" => {
            let mut conditions = Vec::new();
            for text in section.required::<Vec<String>>("conditions")? {
                match condition_for(&[Rows::Of(Table::Spans)], &text) {
                    Ok(programs) => conditions.push(Sql { text, programs }),
                    Err(wrong) => section.mistake("conditions", wrong.what, wrong.mend),
                }
            }
            leaf(leaves, Leaf::Sql(conditions), false)
        }
        "span_count" => Policy::SpanCount { min: section.or("min_spans", 0), max: section.or("max_spans", 0) },
        "status_code" => {
            let mut codes = Vec::new();
            for word in section.or("status_codes", Vec::<String>::new()) {
                match ["UNSET", "OK", "ERROR"].iter().position(|code| code.eq_ignore_ascii_case(&word)) {
                    Some(code) => codes.push(code as i32),
                    None => {
                        section.mistake("status_codes", format!("{word:?} is no status"), "write OK, ERROR or UNSET")
                    }
                }
            }
            if codes.is_empty() {
                section.mistake("status_codes", "no status is named", "write [ERROR], for one");
            }
            leaf(leaves, Leaf::Status(codes), false)
        }
        "numeric_attribute" => {
            let key = section.required("key")?;
            let (min, max) = (section.get("min_value"), section.get("max_value"));
            let inverted = invert(section);
            // Of two that are absent, the Collector's are 0; of one, it sets no limit.
            let (min, max) = match (min, max) {
                (None, None) => (0, 0),
                (min, max) => (min.unwrap_or(i64::MIN), max.unwrap_or(i64::MAX)),
            };
            leaf(leaves, Leaf::Number { key, min, max }, inverted)
        }
        "boolean_attribute" => {
            let (key, value) = (section.required("key")?, section.or("value", false));
            let inverted = invert(section);
            leaf(leaves, Leaf::Bool { key, value }, inverted)
        }
        "string_attribute" => {
            let (key, values) = (section.required("key")?, section.or("values", Vec::<String>::new()));
            let inverted = invert(section);
            section.accepted("cache_max_size", "every distinct attribute set is looked at once a batch");
            let values = if section.or("enabled_regex_matching", false) {
                let mut patterns = Vec::new();
                for value in values {
                    match Regex::new(&value) {
                        Ok(pattern) => patterns.push(pattern),
                        Err(error) => section.mistake("values", format!("{value:?} is no pattern: {error}"), "mend it"),
                    }
                }
                Values::Patterns(patterns)
            } else {
                Values::Exact(values)
            };
            leaf(leaves, Leaf::Text { key, values }, inverted)
        }
        _ => {
            let (key, values) = (section.required("key")?, section.or("values", Vec::new()));
            leaf(leaves, Leaf::TraceState { key, values }, false)
        }
    })
}

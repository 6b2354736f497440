//! Matchers as a configuration has them: `matchers`, and the older `match` and `match_re`.

use std::collections::BTreeMap;

use catchment_pipeline::alerts::{Matcher, Op};
use catchment_pipeline::config::Section;

/// With a prefix of `source_` or `target_` for the ends of an inhibition rule. Sorted, as Alertmanager's group keys have them.
pub fn read(section: &mut Section, prefix: &str) -> Vec<Matcher> {
    let mut matchers = Vec::new();
    let key = format!("{prefix}matchers");
    for text in section.get::<Vec<String>>(&key).unwrap_or_default() {
        match Matcher::parse_all(&text) {
            Ok(found) => matchers.extend(found),
            Err(what) => section.mistake(
                &key,
                what,
                "write name=\"value\", name!=\"value\", name=~\"pattern\" or name!~\"pattern\"",
            ),
        }
    }
    for (key, op) in [("match", Op::Equal), ("match_re", Op::Matches)] {
        let key = format!("{prefix}{key}");
        for (name, value) in section.get::<BTreeMap<String, String>>(&key).unwrap_or_default() {
            match Matcher::new(name, op, value) {
                Ok(matcher) => matchers.push(matcher),
                Err(what) => section.mistake(&key, what, "write label: value"),
            }
        }
    }
    matchers.sort_by(|a, b| (a.name(), a.value(), a.op() as u8).cmp(&(b.name(), b.value(), b.op() as u8)));
    matchers
}

/// `{severity="page",team=~"a|b"}`.
pub fn text(matchers: &[Matcher]) -> String {
    let all: Vec<_> = matchers.iter().map(ToString::to_string).collect();
    format!("{{{}}}", all.join(","))
}

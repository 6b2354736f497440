//! `include` and `exclude` of metrics: by name, as it is or as a pattern, and by kind.

use catchment_pipeline::config::Section;
use regex::{Regex, RegexBuilder};

/// What a metric is, in the words of the Collector's `metric_types`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricType {
    Gauge,
    Sum,
    Histogram,
    ExponentialHistogram,
    Summary,
}

const TYPES: [(&str, MetricType); 5] = [
    ("gauge", MetricType::Gauge),
    ("sum", MetricType::Sum),
    ("histogram", MetricType::Histogram),
    ("exponentialhistogram", MetricType::ExponentialHistogram),
    ("summary", MetricType::Summary),
];

/// Names in any case, as the Collector has it here; without names any name, without types any type.
#[derive(Debug, Default)]
pub struct Matcher {
    names: Vec<Regex>,
    types: Vec<MetricType>,
}

impl Matcher {
    pub fn read(mut section: Section) -> Matcher {
        let names = section.or("metrics", Vec::<String>::new());
        let types = section.or("metric_types", Vec::<String>::new());
        let strict = section.choice("match_type", &[("strict", true), ("regexp", false)]);
        section.accepted("regexp", "every distinct name is matched once a batch");
        if !names.is_empty() && !section.has("match_type") {
            section.mistake(
                "metrics",
                "whether these are names or patterns is not said",
                "add match_type: strict, or regexp",
            );
        }
        let mut matcher = Matcher::default();
        for name in names {
            let pattern = if strict.unwrap_or(true) { format!("^(?:{})$", regex::escape(&name)) } else { name };
            match RegexBuilder::new(&pattern).case_insensitive(strict.unwrap_or(true)).build() {
                Ok(regex) => matcher.names.push(regex),
                Err(error) => {
                    section.mistake("metrics", format!("{pattern:?} is no pattern: {error}"), "mend the pattern")
                }
            }
        }
        for name in types {
            match TYPES.iter().find(|(word, _)| word.eq_ignore_ascii_case(&name)) {
                Some((_, kind)) => matcher.types.push(*kind),
                None => {
                    let words = TYPES.map(|(word, _)| word).join(", ");
                    section.mistake(
                        "metric_types",
                        format!("{name:?} is no type of metric"),
                        format!("choices: {words}"),
                    );
                }
            }
        }
        matcher
    }

    pub fn matches(&self, name: &str, kind: MetricType) -> bool {
        (self.names.is_empty() || self.names.iter().any(|regex| regex.is_match(name)))
            && (self.types.is_empty() || self.types.contains(&kind))
    }
}

#[derive(Debug, Default)]
pub struct MetricFilter {
    include: Option<Matcher>,
    exclude: Option<Matcher>,
}

impl MetricFilter {
    pub fn read(section: &mut Section) -> MetricFilter {
        let mut read = |key| section.section(key).map(Matcher::read);
        MetricFilter { include: read("include"), exclude: read("exclude") }
    }

    pub fn matches(&self, name: &str, kind: MetricType) -> bool {
        self.include.as_ref().is_none_or(|include| include.matches(name, kind))
            && !self.exclude.as_ref().is_some_and(|exclude| exclude.matches(name, kind))
    }
}

//! `include` and `exclude`: lists of names, matched whole or as regular expressions.

use catchment_pipeline::config::Section;
use regex::Regex;

#[derive(Clone, Debug)]
enum Matcher {
    Strict(Vec<String>),
    /// Unanchored, as in the Collector.
    Regexp(Vec<Regex>),
}

impl Matcher {
    /// Reads `{ <list>: [..], match_type: strict|regexp }`; an empty list matches everything, so it is none.
    fn read(section: &mut Section, list: &str) -> Option<Matcher> {
        let names = section.or::<Vec<String>>(list, Vec::new());
        match section.get::<String>("match_type").as_deref() {
            Some("regexp") => {
                let mut patterns = Vec::new();
                for name in &names {
                    match Regex::new(name) {
                        Ok(pattern) => patterns.push(pattern),
                        Err(error) => {
                            section.mistake(list, format!("{name} is no regular expression: {error}"), "mend it")
                        }
                    }
                }
                (!names.is_empty()).then_some(Matcher::Regexp(patterns))
            }
            Some("strict") => (!names.is_empty()).then_some(Matcher::Strict(names)),
            Some(other) => {
                section.mistake("match_type", format!("{other} is no way to match"), "choose strict or regexp");
                None
            }
            None if names.is_empty() => None,
            None => {
                section.mistake(
                    "match_type",
                    "is required beside a list of names",
                    "add match_type: strict (or regexp)",
                );
                None
            }
        }
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Matcher::Strict(names) => names.iter().any(|known| known == name),
            Matcher::Regexp(patterns) => patterns.iter().any(|pattern| pattern.is_match(name)),
        }
    }
}

/// What is included, less what is excluded.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    include: Option<Matcher>,
    exclude: Option<Matcher>,
}

impl Filter {
    /// Reads the keys `include` and `exclude`, whose names are under `list` (`devices`, `interfaces`, ...).
    pub fn read(section: &mut Section, include: &str, exclude: &str, list: &str) -> Filter {
        let mut read = |key| section.section(key).and_then(|mut inner| Matcher::read(&mut inner, list));
        Filter { include: read(include), exclude: read(exclude) }
    }

    pub fn passes(&self, name: &str) -> bool {
        self.include.as_ref().is_none_or(|matcher| matcher.matches(name))
            && !self.exclude.as_ref().is_some_and(|matcher| matcher.matches(name))
    }
}

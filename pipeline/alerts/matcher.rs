//! Conditions on a label, as Alertmanager writes them: `severity="page"`, `host!~"test-.*"`.

use std::fmt;

use regex::Regex;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Labels;

/// Patterns are anchored at both ends. A label that is not there has an empty value.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: String,
    op: Op,
    value: String,
    pattern: Option<Regex>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Equal,
    NotEqual,
    Matches,
    NotMatches,
}

impl Op {
    pub fn is_regex(self) -> bool {
        matches!(self, Op::Matches | Op::NotMatches)
    }

    pub fn is_equal(self) -> bool {
        matches!(self, Op::Equal | Op::Matches)
    }
}

/// Bytes that a compiled pattern may take.
const PATTERN_BYTES: usize = 1 << 20;

impl Matcher {
    pub fn new(name: impl Into<String>, op: Op, value: impl Into<String>) -> Result<Matcher, String> {
        let (name, value) = (name.into(), value.into());
        if name.is_empty() {
            return Err("a matcher needs the name of a label".to_owned());
        }
        let pattern = op.is_regex().then(|| {
            let anchored = format!("^(?:{value})$");
            regex::RegexBuilder::new(&anchored).dot_matches_new_line(true).size_limit(PATTERN_BYTES).build()
        });
        let pattern = pattern.transpose().map_err(|error| format!("\"{value}\" is not a pattern: {error}"))?;
        Ok(Matcher { name, op, value, pattern })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn op(&self) -> Op {
        self.op
    }

    pub fn value(&self) -> &str {
        &self.value
    }

    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.name).unwrap_or_default();
        let held = match &self.pattern {
            Some(pattern) => pattern.is_match(value),
            None => self.value == value,
        };
        held == self.op.is_equal()
    }

    /// All of them hold.
    pub fn all(matchers: &[Matcher], labels: &Labels) -> bool {
        matchers.iter().all(|matcher| matcher.matches(labels))
    }

    /// One or several, between commas, in braces or without: `{a="b", c=~"d|e"}`. Values may stand without quotes; in quotes `\"`, `\\` and
    /// `\n` are escapes; names in quotes may be any text.
    pub fn parse_all(text: &str) -> Result<Vec<Matcher>, String> {
        let mut rest = text.trim();
        if let Some(inner) = rest.strip_prefix('{') {
            rest = inner.strip_suffix('}').ok_or_else(|| format!("`{text}`: the brace is not closed"))?.trim();
        }
        let mut matchers = Vec::new();
        while !rest.is_empty() {
            let (matcher, left) = one(rest).map_err(|what| format!("`{text}`: {what}"))?;
            matchers.push(matcher);
            rest = left.trim_start();
            match rest.strip_prefix(',') {
                Some(left) => rest = left.trim_start(),
                None if rest.is_empty() => {}
                None => return Err(format!("`{text}`: expected a comma before `{rest}`")),
            }
        }
        Ok(matchers)
    }
}

fn one(text: &str) -> Result<(Matcher, &str), String> {
    let (name, rest) = word(text, |c| "=!~,".contains(c))?;
    let rest = rest.trim_start();
    let operators = [("=~", Op::Matches), ("!~", Op::NotMatches), ("!=", Op::NotEqual), ("=", Op::Equal)];
    let found = operators.into_iter().find_map(|(sign, op)| Some((op, rest.strip_prefix(sign)?)));
    let (op, rest) = found.ok_or_else(|| format!("expected =, !=, =~ or !~ after `{name}`"))?;
    let (value, rest) = word(rest.trim_start(), |c| c == ',')?;
    Ok((Matcher::new(name, op, value)?, rest))
}

/// Quoted, or up to what `ends` it, without the space around it.
fn word(text: &str, ends: impl Fn(char) -> bool) -> Result<(String, &str), String> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (word, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
        let word = word.trim_end();
        return if word.contains('"') { Err(format!("a quote within `{word}`")) } else { Ok((word.to_owned(), rest)) };
    };
    let (mut word, mut chars) = (String::new(), quoted.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((word, &quoted[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => word.push('\n'),
                Some((_, escaped @ ('"' | '\\'))) => word.push(escaped),
                // Patterns are full of them.
                Some((_, other)) => word.extend(['\\', other]),
                None => break,
            },
            _ => word.push(c),
        }
    }
    Err(format!("`{text}`: the quote is not closed"))
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Op::Equal => "=",
            Op::NotEqual => "!=",
            Op::Matches => "=~",
            Op::NotMatches => "!~",
        })
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        write!(f, "{}{}\"{value}\"", self.name, self.op)
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Matcher) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

/// API v2's `{name, value, isRegex, isEqual}`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    name: String,
    value: String,
    is_regex: bool,
    #[serde(default = "yes")]
    is_equal: bool,
}

fn yes() -> bool {
    true
}

impl Serialize for Matcher {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (name, value) = (self.name.clone(), self.value.clone());
        Written { name, value, is_regex: self.op.is_regex(), is_equal: self.op.is_equal() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Matcher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Matcher, D::Error> {
        let Written { name, value, is_regex, is_equal } = Written::deserialize(deserializer)?;
        let op = match (is_regex, is_equal) {
            (false, true) => Op::Equal,
            (false, false) => Op::NotEqual,
            (true, true) => Op::Matches,
            (true, false) => Op::NotMatches,
        };
        Matcher::new(name, op, value).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(text: &str, expect: Result<&[&str], &str>) {
        let found = Matcher::parse_all(text).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
        match expect {
            Ok(expect) => assert_eq!(found.unwrap(), expect, "{text}"),
            Err(part) => assert!(found.as_ref().is_err_and(|error| error.contains(part)), "{text}: {found:?}"),
        }
    }

    #[test]
    fn matchers_as_alertmanager_writes_them() {
        check(r#"foo="bar""#, Ok(&[r#"foo="bar""#]));
        check(r#"{foo = "bar", dings != "bums", }"#, Ok(&[r#"foo="bar""#, r#"dings!="bums""#]));
        check("foo=bar,dings=~bums|x", Ok(&[r#"foo="bar""#, r#"dings=~"bums|x""#]));
        check(r#"foo="a,b}c",x!~"\d+""#, Ok(&[r#"foo="a,b}c""#, r#"x!~"\\d+""#]));
        check(r#""a b"="c\"d""#, Ok(&[r#"a b="c\"d""#]));
        check("foo=", Ok(&[r#"foo="""#]));
        check("", Ok(&[]));
        check("foo", Err("expected ="));
        check(r#"foo="bar"#, Err("quote is not closed"));
        check("{foo=bar", Err("brace"));
        check(r#"foo=~"(""#, Err("not a pattern"));
    }

    #[test]
    fn patterns_are_anchored_and_what_is_not_there_is_empty() {
        let labels = Labels::new([("severity", "page")]);
        let holds = |text| Matcher::all(&Matcher::parse_all(text).unwrap(), &labels);
        assert!(holds(r#"severity=~"pa.e""#));
        assert!(!holds(r#"severity=~"pa""#));
        assert!(holds(r#"team="""#));
        assert!(holds(r#"team!="a",severity="page""#));
        assert!(!holds(r#"team=~".+""#));
    }
}

//! Policies, asked while spans still come (what is certain already?) and at the end.

use regex::Regex;

use crate::sql::Program;
use crate::state::snapshot::{Reader, Writer};

/// Looked for in each span; once found, found for good.
#[derive(Debug)]
pub enum Leaf {
    Status(Vec<i32>),
    Text {
        key: String,
        values: Values,
    },
    Number {
        key: String,
        min: i64,
        max: i64,
    },
    Bool {
        key: String,
        value: bool,
    },
    TraceState {
        key: String,
        values: Vec<String>,
    },
    /// The sampled flag.
    Flag,
    /// One of several conditions.
    Sql(Vec<Sql>),
}

/// A condition over spans.
pub struct Sql {
    pub text: String,
    pub programs: Vec<Program>,
}

/// What it is told apart by, so that state is that of the same conditions.
impl std::fmt::Debug for Sql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

#[derive(Debug)]
pub enum Values {
    Exact(Vec<String>),
    Patterns(Vec<Regex>),
}

impl Values {
    pub fn has(&self, text: &str) -> bool {
        match self {
            Values::Exact(values) => values.iter().any(|value| value == text),
            Values::Patterns(patterns) => patterns.iter().any(|pattern| pattern.is_match(text)),
        }
    }
}

#[derive(Debug)]
pub enum Policy {
    Always,
    /// By its number.
    Leaf(u32),
    /// The Collector's `invert_match`.
    Inverted(u32),
    /// Nanoseconds; 0 for no upper one.
    Latency {
        threshold: i64,
        upper: i64,
    },
    Probabilistic {
        salt: String,
        threshold: u64,
    },
    SpanCount {
        min: u64,
        max: u64,
    },
    /// A limiter, of spans or of bytes.
    Rate {
        limiter: usize,
        bytes: bool,
    },
    And(Vec<Policy>),
    Not(Box<Policy>),
    Drop(Vec<Policy>),
    Composite {
        number: usize,
        total: f64,
        parts: Vec<(Policy, f64)>,
    },
}

/// What a policy is asked about.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    pub id: [u8; 16],
    pub spans: u64,
    pub bytes: u64,
    pub start: i64,
    pub end: i64,
    /// Leaves that were found, by their number.
    pub found: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Yes,
    No,
    InvertedYes,
    InvertedNo,
    Dropped,
    /// More spans may change it.
    Open,
}

use Verdict::{Dropped, InvertedNo, InvertedYes, No, Open, Yes};

fn when(yes: bool) -> Verdict {
    if yes { Yes } else { No }
}

impl Policy {
    /// What no span to come can change.
    fn so_far(&self, facts: &Facts) -> Verdict {
        let certain = |yes: bool| if yes { Yes } else { Open };
        match self {
            Policy::Always => Yes,
            Policy::Leaf(leaf) => certain(facts.found >> leaf & 1 != 0),
            Policy::Inverted(leaf) if facts.found >> leaf & 1 != 0 => InvertedNo,
            Policy::Latency { threshold, upper: 0 } => certain(facts.duration() > *threshold),
            Policy::Latency { upper, .. } if facts.duration() > *upper => No,
            Policy::Probabilistic { .. } => self.at_end(facts, 0, &mut Memory::default()),
            Policy::SpanCount { min, max: 0 } => certain(facts.spans >= *min),
            Policy::SpanCount { max, .. } if facts.spans > *max => No,
            Policy::And(parts) => all(parts.iter().map(|part| part.so_far(facts))),
            Policy::Not(part) => not(part.so_far(facts)),
            Policy::Drop(parts) => match all(parts.iter().map(|part| part.so_far(facts))) {
                Yes => Dropped,
                other => other,
            },
            _ => Open,
        }
    }

    fn at_end(&self, facts: &Facts, now: i64, memory: &mut Memory) -> Verdict {
        match self {
            Policy::Always => Yes,
            Policy::Leaf(leaf) => when(facts.found >> leaf & 1 != 0),
            Policy::Inverted(leaf) if facts.found >> leaf & 1 != 0 => InvertedNo,
            Policy::Inverted(_) => InvertedYes,
            Policy::Latency { threshold, upper } => {
                let duration = facts.duration();
                when(duration > *threshold && (*upper == 0 || duration <= *upper))
            }
            Policy::Probabilistic { salt, threshold } => when(fnv1a(salt.bytes().chain(facts.id)) <= *threshold),
            Policy::SpanCount { min, max } => when(facts.spans >= *min && (*max == 0 || facts.spans <= *max)),
            Policy::Rate { limiter, bytes } => {
                let n = if *bytes { facts.bytes } else { facts.spans };
                when(memory.limiters.get_mut(*limiter).is_some_and(|limiter| limiter.allow(n as f64, now)))
            }
            Policy::And(parts) => all(parts.iter().map(|part| part.at_end(facts, now, memory))),
            Policy::Not(part) => not(part.at_end(facts, now, memory)),
            Policy::Drop(parts) => match all(parts.iter().map(|part| part.at_end(facts, now, memory))) {
                Yes => Dropped,
                _ => No,
            },
            Policy::Composite { number, total, parts } => {
                for (at, (part, share)) in parts.iter().enumerate() {
                    if !matches!(part.at_end(facts, now, memory), Yes | InvertedYes) {
                        continue;
                    }
                    let Some(spent) = memory.composites.get_mut(*number) else { break };
                    if spent.take(at, facts.spans as f64, now, share.min(*total)) {
                        return Yes;
                    }
                }
                No
            }
        }
    }
}

/// FNV-1a of 64 bits, the Collector's: it keeps the same traces.
fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Within others an inverted verdict is a plain one. All are asked, as those that count must see every trace.
fn all(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let mut outcome = Yes;
    for verdict in verdicts {
        outcome = match (outcome, verdict) {
            (No, _) | (_, No | InvertedNo | Dropped) => No,
            (Open, _) | (_, Open) => Open,
            _ => Yes,
        };
    }
    outcome
}

fn not(verdict: Verdict) -> Verdict {
    match verdict {
        Yes | InvertedYes => No,
        No | InvertedNo | Dropped => Yes,
        Open => Open,
    }
}

impl Facts {
    fn duration(&self) -> i64 {
        self.end.saturating_sub(self.start)
    }
}

/// Whether a trace is sampled, if that is certain before its time.
pub fn early(policies: &[Policy], facts: &Facts) -> Option<bool> {
    let (mut yes, mut open, mut may_be_kept_out) = (false, false, false);
    for policy in policies {
        match policy.so_far(facts) {
            Dropped | InvertedNo => return Some(false),
            Yes => yes = true,
            Open => {
                open = true;
                may_be_kept_out |= matches!(policy, Policy::Drop(_) | Policy::Inverted(_));
            }
            No | InvertedYes => {}
        }
    }
    match (yes, open) {
        (true, _) if !may_be_kept_out => Some(true),
        (false, false) => Some(false),
        _ => None,
    }
}

/// In the Collector's order of precedence.
pub fn decide(policies: &[Policy], facts: &Facts, now: i64, memory: &mut Memory) -> bool {
    let verdicts: Vec<Verdict> = policies.iter().map(|policy| policy.at_end(facts, now, memory)).collect();
    let has = |verdict| verdicts.contains(&verdict);
    !has(Dropped) && !has(InvertedNo) && (has(Yes) || (has(InvertedYes) && !has(No)))
}

/// What policies remember from trace to trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    pub limiters: Vec<Limiter>,
    pub composites: Vec<Spent>,
}

/// A token bucket, full at first; Go's `rate.Limiter`.
#[derive(Clone, Debug, PartialEq)]
pub struct Limiter {
    pub per_second: f64,
    pub burst: f64,
    tokens: f64,
    at: i64,
}

impl Limiter {
    pub fn new(per_second: f64, burst: f64) -> Limiter {
        Limiter { per_second, burst, tokens: burst, at: i64::MAX }
    }

    fn allow(&mut self, n: f64, now: i64) -> bool {
        let passed = now.saturating_sub(self.at).max(0) as f64 / 1e9;
        self.at = now;
        self.tokens = (self.tokens + passed * self.per_second).min(self.burst);
        let allowed = n <= self.tokens;
        if allowed {
            self.tokens -= n;
        }
        allowed
    }
}

/// Of a composite: spans sampled in a second, by part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spent {
    pub second: i64,
    pub by_part: Vec<f64>,
}

impl Spent {
    fn take(&mut self, part: usize, spans: f64, now: i64, limit: f64) -> bool {
        let second = now / 1_000_000_000;
        if second != self.second {
            self.second = second;
            self.by_part.fill(0.0);
        }
        let Some(spent) = self.by_part.get_mut(part) else { return false };
        let fits = *spent + spans <= limit;
        if fits {
            *spent += spans;
        }
        fits
    }
}

impl Memory {
    pub fn save(&self, out: &mut Writer<'_>) {
        for limiter in &self.limiters {
            out.f64(limiter.tokens);
            out.i64(limiter.at);
        }
        for spent in &self.composites {
            out.i64(spent.second);
            spent.by_part.iter().for_each(|spans| out.f64(*spans));
        }
    }

    /// Into one of the same policies.
    pub fn restore(&mut self, state: &mut Reader<'_>) -> anyhow::Result<()> {
        for limiter in &mut self.limiters {
            (limiter.tokens, limiter.at) = (state.f64()?, state.i64()?);
        }
        for spent in &mut self.composites {
            spent.second = state.i64()?;
            for spans in &mut spent.by_part {
                *spans = state.f64()?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    /// From the test vectors of the FNV authors (draft-eastlake-fnv, appendix C).
    #[test]
    fn fnv1a_is_as_published() {
        assert_eq!(super::fnv1a("".bytes()), 0xcbf2_9ce4_8422_2325);
        assert_eq!(super::fnv1a("a".bytes()), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(super::fnv1a("foobar".bytes()), 0x8594_4171_f739_67e8);
    }
}

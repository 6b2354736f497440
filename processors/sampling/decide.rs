//! One decision. Randomness and thresholds are numbers of 56 bits: an item is kept when its randomness is at least the threshold. See
//! OpenTelemetry's "TraceState: Probability Sampling", and W3C Trace Context Level 2 for the randomness of trace ids.

use super::state::State;

pub const ALWAYS: u64 = 0;
/// One more than the largest randomness.
pub const NEVER: u64 = 1 << 56;
/// The least probability that a threshold can say.
pub const LEAST: f64 = 1.0 / NEVER as f64;
/// Passes every threshold but [`NEVER`].
const ANY: u64 = NEVER - 1;
const DIGITS: i32 = 14;
/// Of the hash: it has been so since before there were thresholds.
const BUCKETS: u32 = 0x4000;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    HashSeed,
    Proportional,
    Equalizing,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source {
    TraceId,
    Record,
}

pub struct Settings {
    pub percentage: f32,
    pub mode: Option<Mode>,
    pub hash_seed: u32,
    pub precision: u32,
    pub fail_closed: bool,
    pub source: Source,
    pub from_attribute: Option<String>,
    pub priority: Option<String>,
}

/// What an item asks for itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Priority {
    Defer,
    At(u64),
}

pub struct Decision {
    pub sampled: bool,
    /// What is to be written; `None`: leave what is there.
    pub state: Option<State>,
}

pub enum Sampler {
    Never,
    Hash { seed: u32, threshold: u64 },
    Equalizing { threshold: u64 },
    Proportional { ratio: f64, precision: u32 },
}

/// The threshold of a probability, rounded to `precision` digits, and more where it begins with digits `0` or `f`. `None`: there is none.
pub fn threshold(probability: f64, precision: u32) -> Option<u64> {
    if !(LEAST..=1.0).contains(&probability) {
        return None;
    }
    if probability == 1.0 {
        return Some(ALWAYS);
    }
    let precision = precision as i32;
    let leading = |part: f64| -exponent(part) / 4;
    let digits = (precision + leading(probability)).max(precision + leading(1.0 - probability)).min(DIGITS);
    let exact = NEVER - (probability * NEVER as f64).round() as u64;
    let shift = 4 * (DIGITS - digits).max(0) as u32;
    Some(if shift == 0 { exact } else { ((exact + (1 << (shift - 1))) >> shift) << shift })
}

/// Of a number in `(0, 1)` as a fraction in `[0.5, 1)` times a power of two.
fn exponent(number: f64) -> i32 {
    ((number.to_bits() >> 52) & 0x7ff) as i32 - 1022
}

/// FNV-1a over the seed and the bytes, spread over 56 bits so that the decision is that of its lowest 14.
fn hashed(bytes: &[u8], seed: u32) -> u64 {
    let fnv = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    let hash = seed.to_le_bytes().iter().chain(bytes).fold(0x811c_9dc5, fnv);
    let (low, high) = (u64::from(hash & (BUCKETS - 1)), u64::from(hash >> 18));
    (u64::from(BUCKETS - 1) - low) << 42 | (high ^ (high << 10)) << 14 | low
}

fn of_trace_id(id: &[u8]) -> u64 {
    id.iter().skip(9).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

impl Sampler {
    pub fn new(settings: &Settings, logs: bool) -> Sampler {
        let percentage = settings.percentage.min(100.0);
        if percentage == 0.0 {
            return Sampler::Never;
        }
        let ratio = (f64::from(percentage) / 100.0).max(LEAST);
        let by_record = logs && settings.source == Source::Record;
        let default = if settings.hash_seed != 0 || by_record { Mode::HashSeed } else { DEFAULT };
        match settings.mode.unwrap_or(default) {
            Mode::Equalizing => {
                Sampler::Equalizing { threshold: threshold(ratio, settings.precision).unwrap_or(ALWAYS) }
            }
            Mode::Proportional => Sampler::Proportional { ratio, precision: settings.precision },
            // In 32 bits and cut off, as it has always been.
            Mode::HashSeed => match (percentage * (BUCKETS as f32 / 100.0)) as u32 {
                0 => Sampler::Never,
                taken => {
                    let threshold = u64::from(BUCKETS.saturating_sub(taken)) << 42;
                    Sampler::Hash { seed: settings.hash_seed, threshold }
                }
            },
        }
    }

    /// By hash, log records may be decided by an attribute alone.
    pub fn looks_at_ids(&self, source: Source) -> bool {
        source == Source::TraceId || !matches!(self, Sampler::Hash { .. })
    }

    /// `state`: what the item carries; `None`: it cannot be read.
    pub fn decide(
        &self,
        trace_id: Option<&[u8]>,
        from: Option<&[u8]>,
        state: Option<State>,
        priority: Priority,
        fail_closed: bool,
    ) -> Decision {
        let mut failed = state.is_none();
        let mut state = match self {
            // What cannot be read is written anew, when something asks to be kept.
            Sampler::Never => Some(state.unwrap_or_default()),
            _ => state,
        };
        let mut randomness = match self {
            Sampler::Never => Some(ANY),
            Sampler::Hash { seed, .. } => trace_id.or(from).map(|bytes| hashed(bytes, *seed)),
            _ => state.as_ref().and_then(|state| state.randomness).or_else(|| trace_id.map(of_trace_id)),
        };
        if let (Sampler::Hash { .. }, Some(carried)) = (self, &mut state) {
            match (carried.randomness, carried.threshold, randomness) {
                // It was sampled by the specification before, and is not to be sampled by hash.
                (Some(_), ..) | (None, Some(_), _) => (failed, state) = (true, None),
                (None, None, Some(randomness)) => carried.randomness = Some(randomness),
                (None, None, None) => {}
            }
        }
        if state.is_none() && !matches!(self, Sampler::Hash { .. }) {
            randomness = None;
        }
        failed |= randomness.is_none();
        let randomness = randomness.unwrap_or(ANY);
        if !failed
            && let Some(carried) = &mut state
            && carried.threshold.is_some_and(|threshold| threshold > randomness)
        {
            // It should not have come this far: the threshold is a lie.
            carried.threshold = None;
            failed = true;
        }
        let threshold = match priority {
            Priority::At(threshold) => threshold,
            Priority::Defer if failed => {
                if fail_closed {
                    NEVER
                } else {
                    ALWAYS
                }
            }
            Priority::Defer => self.threshold(state.as_ref().and_then(|state| state.threshold)),
        };
        let sampled = threshold <= randomness;
        if sampled
            && let Some(carried) = &mut state
            && carried.threshold.is_none_or(|before| before <= threshold)
        {
            carried.threshold = Some(threshold);
        }
        Decision { sampled, state }
    }

    fn threshold(&self, before: Option<u64>) -> u64 {
        match self {
            Sampler::Never => NEVER,
            Sampler::Hash { threshold, .. } => *threshold,
            Sampler::Equalizing { threshold } => before.unwrap_or(ALWAYS).max(*threshold),
            Sampler::Proportional { ratio, precision } => {
                let before = before.map_or(1.0, |before| (NEVER - before) as f64 / NEVER as f64);
                threshold(before * ratio, *precision).unwrap_or(NEVER)
            }
        }
    }
}

/// The Collector's documentation and code name it.
const DEFAULT: Mode = Mode::HashSeed;

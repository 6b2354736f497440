//! How the values of a series go on from one scrape to the next.

/// SplitMix64: the same fleet from the same seed, everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 up to 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.bits() % end
    }

    pub fn chance(&mut self, of: f64) -> bool {
        self.unit() < of
    }

    /// About normal: mean 0, deviation 1.
    pub fn normal(&mut self) -> f64 {
        let sum = (0..4).map(|_| self.unit()).sum::<f64>();
        (sum - 2.0) * 3f64.sqrt()
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    Int(i64),
    Double(f64),
}

/// What a series does. Counters stand at 0 where their process starts.
#[derive(Clone, Debug)]
pub enum Process {
    Constant(Value),
    /// An integer counter: `rate` a second in steps of `unit`, and nothing at all in `idle` of the scrapes.
    Count {
        rate: f64,
        unit: i64,
        idle: f64,
        total: i64,
    },
    /// A counter of seconds in the kernel's hundredths, as a double. `share` of `cores`.
    Seconds {
        share: f64,
        cores: f64,
        ticks: i64,
    },
    /// An integer gauge that walks between bounds in steps of `unit`, and stays where it is in `still` of the scrapes.
    Walk {
        value: i64,
        low: i64,
        high: i64,
        unit: i64,
        stride: f64,
        still: f64,
    },
    /// A double: the series `back` places before this one, as a share of `of`.
    Share {
        back: usize,
        of: f64,
    },
    /// A double that follows the load, to so many decimals, smoothed.
    Load {
        mean: f64,
        smooth: f64,
        decimals: i32,
        value: f64,
    },
    /// A gauge that reports in few scrapes only.
    Sparse {
        chance: f64,
    },
}

/// Process steps of one target: `seconds` since the last scrape, `load` of the host (about 1).
pub struct Step {
    pub seconds: f64,
    pub load: f64,
}

impl Process {
    /// The value of this scrape; `None`: none is reported. `before`: the values of this target's series so far.
    pub fn next(&mut self, random: &mut Random, step: &Step, before: &[Option<Value>]) -> Option<Value> {
        Some(match self {
            Process::Constant(value) => *value,
            Process::Count { rate, unit, idle, total } => {
                if !random.chance(*idle) {
                    let mean = *rate * step.load * step.seconds / *unit as f64;
                    // A count of events varies by its root, and senders are not steady either.
                    let steps = (mean + random.normal() * (mean.sqrt() + 0.2 * mean)).round().max(0.0);
                    *total += steps as i64 * *unit;
                }
                Value::Int(*total)
            }
            Process::Seconds { share, cores, ticks } => {
                let mean = *share * step.load * step.seconds * 100.0;
                let most = *cores * step.seconds * 100.0;
                *ticks += (mean * (1.0 + 0.15 * random.normal())).round().clamp(0.0, most) as i64;
                Value::Double(*ticks as f64 / 100.0)
            }
            Process::Walk { value, low, high, unit, stride, still } => {
                if !random.chance(*still) {
                    let steps = (random.normal() * *stride).round() as i64;
                    *value = (*value + steps * *unit).clamp(*low, *high);
                }
                Value::Int(*value)
            }
            Process::Share { back, of } => match before[before.len() - *back]? {
                Value::Int(value) => Value::Double(value as f64 / *of),
                Value::Double(value) => Value::Double(value / *of),
            },
            Process::Load { mean, smooth, decimals, value } => {
                let now = (*mean * step.load * (1.0 + 0.3 * random.normal())).max(0.0);
                *value += (now - *value) * *smooth;
                let scale = 10f64.powi(*decimals);
                Value::Double((*value * scale).round() / scale)
            }
            Process::Sparse { chance } => {
                if !random.chance(*chance) {
                    return None;
                }
                Value::Int(1 + random.below(20) as i64)
            }
        })
    }

    /// Its process began anew.
    pub fn reset(&mut self) {
        match self {
            Process::Count { total, .. } => *total = 0,
            Process::Seconds { ticks, .. } => *ticks = 0,
            _ => {}
        }
    }
}

//! What is aggregated into one: a rule, a kind of metric and the labels that are kept. And the series that belong to it.

use catchment_pipeline::batch::build::{CUMULATIVE, DELTA, Number, Series};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::labels::Texts;
use super::settings::{Function, Rule};
use crate::state::columns::Distribution;
use crate::state::counter::Base;
use crate::state::number;
use crate::state::snapshot::{Reader, Writer};

/// Of the points that come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    Gauge,
    /// A cumulative sum that also falls: a level, like a gauge.
    UpDown,
    /// Of a sum; whether it is monotonic.
    Delta(bool),
    Counter,
    /// Whether it is exponential, and cumulative.
    Distribution(bool, bool),
}

/// Of what goes out: input of one output's kind is aggregated together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    Gauge,
    UpDown,
    /// Temporality, and whether it is monotonic.
    Sum(i32, bool),
    /// Whether it is exponential, and its temporality.
    Distribution(bool, i32),
}

impl Input {
    pub fn output(self, rule: &Rule) -> Output {
        let temporality = |own| rule.temporality.unwrap_or(own);
        match self {
            Input::Gauge => Output::Gauge,
            Input::UpDown => Output::UpDown,
            Input::Delta(monotonic) => Output::Sum(temporality(DELTA), monotonic),
            Input::Counter => Output::Sum(temporality(CUMULATIVE), true),
            Input::Distribution(exponential, cumulative) => {
                Output::Distribution(exponential, temporality(if cumulative { CUMULATIVE } else { DELTA }))
            }
        }
    }

    pub fn is_level(self) -> bool {
        matches!(self, Input::Gauge | Input::UpDown)
    }

    fn code(self) -> u64 {
        match self {
            Input::Gauge => 0,
            Input::UpDown => 1,
            Input::Delta(monotonic) => 2 + u64::from(monotonic),
            Input::Counter => 4,
            Input::Distribution(exponential, cumulative) => 5 + u64::from(exponential) + 2 * u64::from(cumulative),
        }
    }

    fn decode(code: u64) -> anyhow::Result<Input> {
        let all = [false, true].into_iter();
        let mut all: Vec<Input> = all
            .flat_map(|a| [Input::Delta(a), Input::Distribution(a, false), Input::Distribution(a, true)])
            .chain([Input::Gauge, Input::UpDown, Input::Counter])
            .collect();
        all.retain(|input| input.code() == code);
        all.pop().ok_or_else(|| anyhow::anyhow!("the state has a kind of series that is not known"))
    }
}

impl Output {
    fn code(self) -> u64 {
        match self {
            Output::Gauge => 0,
            Output::UpDown => 1,
            Output::Sum(temporality, monotonic) => 2 + u64::from(monotonic) + 2 * u64::from(temporality == CUMULATIVE),
            Output::Distribution(exponential, temporality) => {
                6 + u64::from(exponential) + 2 * u64::from(temporality == CUMULATIVE)
            }
        }
    }

    fn decode(code: u64) -> anyhow::Result<Output> {
        Ok(match code {
            0 => Output::Gauge,
            1 => Output::UpDown,
            2..=5 => Output::Sum(if code >= 4 { CUMULATIVE } else { DELTA }, code & 1 != 0),
            6..=9 => Output::Distribution(code & 1 != 0, if code >= 8 { CUMULATIVE } else { DELTA }),
            _ => anyhow::bail!("the state has a kind of metric that is not known"),
        })
    }
}

impl Rule {
    pub fn functions(&self, output: Output) -> &[Function] {
        match output {
            _ if !self.functions.is_empty() => &self.functions,
            Output::Gauge => &[Function::Avg],
            Output::UpDown | Output::Sum(..) => &[Function::Sum],
            Output::Distribution(..) => &[Function::Merge],
        }
    }

    /// What each series is made in a window before series are aggregated; `None`: all points are, at once.
    pub fn stage(&self, input: Input, output: Output) -> Option<Function> {
        let sums = input.is_level() && self.functions(output).contains(&Function::Sum);
        self.over_time.or(sums.then_some(Function::Last))
    }

    pub fn needs_sketch(&self, output: Output) -> bool {
        !matches!(output, Output::Distribution(..))
            && self.functions(output).iter().any(|f| matches!(f, Function::Quantile(_) | Function::Merge))
    }
}

pub struct Group {
    pub rule: u32,
    pub output: Output,
    texts: [u32; 10],
    /// The window that it was part of last.
    pub seen: i64,
    /// Of what is put out as cumulative.
    pub start: Option<i64>,
    pub total: Number,
    pub count: u64,
    pub distribution: Option<Box<Distribution>>,
}

#[derive(Default)]
pub struct Groups {
    index: HashTable<u32>,
    pub all: Vec<Group>,
    pub texts: Texts,
}

impl Groups {
    fn hash(rule: u32, output: Output, texts: &[u32; 10]) -> u64 {
        let mut key = [0u8; 48];
        let parts = [rule, output.code() as u32].into_iter().chain(*texts);
        key.as_chunks_mut::<4>().0.iter_mut().zip(parts).for_each(|(bytes, part)| *bytes = part.to_le_bytes());
        xxh3_64(&key)
    }

    pub fn find_or_add(&mut self, rule: u32, output: Output, series: &Series<'_>) -> u32 {
        let texts = series.texts().map(|text| self.texts.add(text));
        // Whoever describes a metric in other words does not make another of it: that is not part of the key.
        let mut key = texts;
        key[7] = 0;
        self.find(rule, output, &key).unwrap_or_else(|| self.add(rule, output, texts))
    }

    fn find(&self, rule: u32, output: Output, key: &[u32; 10]) -> Option<u32> {
        let same = |number: &u32| {
            let group = &self.all[*number as usize];
            let mut texts = group.texts;
            texts[7] = 0;
            group.rule == rule && group.output == output && texts == *key
        };
        self.index.find(Groups::hash(rule, output, key), same).copied()
    }

    fn add(&mut self, rule: u32, output: Output, texts: [u32; 10]) -> u32 {
        let number = self.all.len() as u32;
        let (total, count, distribution) = (Number::Int(0), 0, None);
        self.all.push(Group { rule, output, texts, seen: i64::MIN, start: None, total, count, distribution });
        self.reindex(number);
        number
    }

    fn reindex(&mut self, number: u32) {
        let all = &self.all;
        let hash = |number: &u32| {
            let group = &all[*number as usize];
            let mut texts = group.texts;
            texts[7] = 0;
            Groups::hash(group.rule, group.output, &texts)
        };
        self.index.insert_unique(hash(&number), number, hash);
    }

    pub fn series(&self, group: &Group) -> Series<'_> {
        Series::of(group.texts.map(|text| self.texts.get(text)))
    }

    /// Forgets all others; gives the new number of each, `u32::MAX` for one that went.
    pub fn retain(&mut self, keep: impl Fn(usize, &Group) -> bool) -> Vec<u32> {
        let old = std::mem::take(self);
        let mut numbers = Vec::with_capacity(old.all.len());
        for (number, mut group) in old.all.into_iter().enumerate() {
            if !keep(number, &group) {
                numbers.push(u32::MAX);
                continue;
            }
            group.texts = group.texts.map(|text| self.texts.add(old.texts.get(text)));
            numbers.push(self.all.len() as u32);
            self.all.push(group);
            self.reindex(self.all.len() as u32 - 1);
        }
        numbers
    }

    pub fn save(&self, out: &mut Writer<'_>) {
        self.texts.save(out);
        out.len(self.all.len());
        for group in &self.all {
            out.u64(u64::from(group.rule));
            out.u64(group.output.code());
            group.texts.iter().for_each(|text| out.u64(u64::from(*text)));
            out.i64(group.seen);
            out.bool(group.start.is_some());
            group.start.iter().for_each(|start| out.i64(*start));
            number::save(group.total, out);
            out.u64(group.count);
            out.bool(group.distribution.is_some());
            group.distribution.iter().for_each(|distribution| distribution.save(out));
        }
    }

    pub fn restore(state: &mut Reader<'_>) -> anyhow::Result<Groups> {
        let mut groups = Groups { texts: Texts::restore(state)?, ..Groups::default() };
        let len = state.len()?;
        groups.all.reserve(len);
        groups.index.reserve(len, |_| 0);
        for number in 0..len {
            let (rule, output) = (state.u32()?, Output::decode(state.u64()?)?);
            let mut texts = [0; 10];
            for text in &mut texts {
                *text = state.u32()?;
            }
            let seen = state.i64()?;
            let start = if state.bool()? { Some(state.i64()?) } else { None };
            let (total, count) = (number::restore(state)?, state.u64()?);
            let distribution = if state.bool()? { Some(Box::new(Distribution::restore(state)?)) } else { None };
            groups.all.push(Group { rule, output, texts, seen, start, total, count, distribution });
            groups.reindex(number as u32);
        }
        Ok(groups)
    }
}

/// A series that comes in.
pub struct Member {
    pub group: u32,
    pub input: Input,
    /// The last window with a point of it.
    pub seen: i64,
    pub memory: Memory,
}

/// Up to where a cumulative series was counted.
pub enum Memory {
    None,
    Number(Base<Number>),
    Distribution(Box<Base<Distribution>>),
}

impl Member {
    pub fn save(&self, out: &mut Writer<'_>) {
        out.u64(u64::from(self.group));
        out.u64(self.input.code());
        out.i64(self.seen);
        match &self.memory {
            Memory::None => out.u64(0),
            Memory::Number(base) => {
                out.u64(1);
                base.save(out);
            }
            Memory::Distribution(base) => {
                out.u64(2);
                base.save(out);
            }
        }
    }

    pub fn restore(state: &mut Reader<'_>, groups: usize) -> anyhow::Result<Member> {
        let group = state.u32()?;
        anyhow::ensure!((group as usize) < groups, "the state names what it does not have");
        let (input, seen) = (Input::decode(state.u64()?)?, state.i64()?);
        let memory = match state.u64()? {
            0 => Memory::None,
            1 => Memory::Number(Base::restore(state)?),
            2 => Memory::Distribution(Box::new(Base::restore(state)?)),
            _ => anyhow::bail!("the state has a memory of a kind that is not known"),
        };
        Ok(Member { group, input, seen, memory })
    }
}

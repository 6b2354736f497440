//! What is kept of the numbers in a window: exact while they are integers and fit.

use catchment_pipeline::batch::build::Number;

use super::snapshot::{Reader, Writer};

pub fn double(number: Number) -> f64 {
    match number {
        Number::Int(int) => int as f64,
        Number::Double(double) => double,
    }
}

pub fn add(a: Number, b: Number) -> Number {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => a.checked_add(b).map_or(Number::Double(a as f64 + b as f64), Number::Int),
        _ => Number::Double(double(a) + double(b)),
    }
}

pub fn subtract(a: Number, b: Number) -> Number {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => a.checked_sub(b).map_or(Number::Double(a as f64 - b as f64), Number::Int),
        _ => Number::Double(double(a) - double(b)),
    }
}

pub fn less(a: Number, b: Number) -> bool {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => a < b,
        _ => double(a) < double(b),
    }
}

pub fn save(number: Number, out: &mut Writer<'_>) {
    match number {
        Number::Int(int) => {
            out.bool(true);
            out.i64(int);
        }
        Number::Double(double) => {
            out.bool(false);
            out.f64(double);
        }
    }
}

pub fn restore(state: &mut Reader<'_>) -> anyhow::Result<Number> {
    Ok(if state.bool()? { Number::Int(state.i64()?) } else { Number::Double(state.f64()?) })
}

/// Of some values, at least one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Acc {
    pub count: u64,
    /// As many as `count`, unless values are what series' points were made first.
    pub points: u64,
    pub sum: Number,
    pub min: Number,
    pub max: Number,
    pub last: Number,
    /// Of `last`, and the start time that came with it.
    pub time: i64,
    pub start: i64,
    /// `last` is the value of a counter, and the others are what counters added.
    pub raw: bool,
}

impl Acc {
    pub fn new(value: Number, start: i64, time: i64) -> Acc {
        Acc { count: 1, points: 1, sum: value, min: value, max: value, last: value, time, start, raw: false }
    }

    #[inline]
    pub fn add(&mut self, value: Number, start: i64, time: i64) {
        self.count += 1;
        self.points += 1;
        self.sum = add(self.sum, value);
        if less(value, self.min) {
            self.min = value;
        }
        if less(self.max, value) {
            self.max = value;
        }
        if time >= self.time {
            (self.last, self.start, self.time) = (value, start, time);
        }
    }

    pub fn avg(&self) -> Number {
        Number::Double(double(self.sum) / self.count as f64)
    }

    pub fn save(&self, out: &mut Writer<'_>) {
        out.u64(self.count);
        out.u64(self.points);
        out.bool(self.raw);
        [self.sum, self.min, self.max, self.last].into_iter().for_each(|number| save(number, out));
        out.i64(self.start);
        out.i64(self.time);
    }

    pub fn restore(state: &mut Reader<'_>) -> anyhow::Result<Acc> {
        Ok(Acc {
            count: state.u64()?,
            points: state.u64()?,
            raw: state.bool()?,
            sum: restore(state)?,
            min: restore(state)?,
            max: restore(state)?,
            last: restore(state)?,
            start: state.i64()?,
            time: state.i64()?,
        })
    }
}

/// One value that the points of a series were made first.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    pub value: Number,
    pub points: u64,
    pub last: Number,
    pub start: i64,
    pub time: i64,
    pub raw: bool,
}

impl From<Made> for Acc {
    fn from(made: Made) -> Acc {
        let Made { value, points, last, start, time, raw } = made;
        Acc { count: 1, points, sum: value, min: value, max: value, last, time, start, raw }
    }
}

impl Acc {
    pub fn fold(&mut self, made: Made) {
        let (last, start, time) = (self.last, self.start, self.time);
        self.add(made.value, made.start, made.time);
        (self.last, self.start, self.time) =
            if made.time >= time { (made.last, made.start, made.time) } else { (last, start, time) };
        self.points = self.points - 1 + made.points;
        self.raw |= made.raw;
    }
}

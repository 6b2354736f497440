//! Cumulative series in a window, so that what they added does not depend on the order in which their points came.
//!
//! Of each stretch between two resets, told apart by its start time, only the last point of a window is kept: what came before it
//! is in it. When the window closes, what was added is the sum over the stretches of their last value less that of the same stretch
//! at the end of the window before. A value that fell while the start time stayed is a reset too; of one of those that comes out of
//! order, a part may be missed, and nothing is ever counted twice. Stretches that began before the one known are left out: two senders
//! under one name do not make a counter jump.

use catchment_pipeline::batch::build::Number;

use super::columns::Distribution;
use super::number::{add, less, restore, save, subtract};
use super::snapshot::{Reader, Writer};

/// What a counter holds: a number, or the counts of a histogram.
pub trait Amount: Clone {
    fn is_less(&self, other: &Self) -> bool;
    /// `None`: not comparable, which is as good as a reset.
    fn since(&self, earlier: &Self) -> Option<Self>;
    fn add(&mut self, more: Self);
    fn save(&self, out: &mut Writer<'_>);
    fn restore(state: &mut Reader<'_>) -> anyhow::Result<Self>;
}

impl Amount for Number {
    fn is_less(&self, other: &Self) -> bool {
        less(*self, *other)
    }
    fn since(&self, earlier: &Self) -> Option<Self> {
        Some(subtract(*self, *earlier))
    }
    fn add(&mut self, more: Self) {
        *self = add(*self, more);
    }
    fn save(&self, out: &mut Writer<'_>) {
        save(*self, out);
    }
    fn restore(state: &mut Reader<'_>) -> anyhow::Result<Self> {
        restore(state)
    }
}

impl Amount for Distribution {
    fn is_less(&self, other: &Self) -> bool {
        self.stats().count < other.stats().count
    }
    fn since(&self, earlier: &Self) -> Option<Self> {
        Distribution::since(self, earlier)
    }
    fn add(&mut self, more: Self) {
        self.merge(more);
    }
    fn save(&self, out: &mut Writer<'_>) {
        Distribution::save(self, out);
    }
    fn restore(state: &mut Reader<'_>) -> anyhow::Result<Self> {
        Distribution::restore(state)
    }
}

/// The last point of a stretch.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch<A> {
    pub start: i64,
    pub time: i64,
    /// Began with a value that fell, not with a new start time.
    pub fell: bool,
    pub value: A,
}

/// The point up to which a series has been counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Base<A> {
    pub start: i64,
    pub time: i64,
    /// A window with it was closed: an earlier point comes too late to take its place.
    pub sealed: bool,
    /// `None`: from zero.
    pub value: Option<A>,
}

/// The stretch of the newest start time in line, all others in `rest`, which few series ever need.
#[inline]
pub fn add_point<A: Amount>(newest: &mut Stretch<A>, rest: &mut Vec<Stretch<A>>, start: i64, time: i64, value: A) {
    if start == newest.start {
        if time >= newest.time {
            if value.is_less(&newest.value) {
                rest.push(newest.clone());
                newest.fell = true;
            }
            (newest.time, newest.value) = (time, value);
        } else if newest.fell && newest.value.is_less(&value) {
            // From before the fall.
            let before = rest.iter_mut().rev().find(|stretch| stretch.start == start && stretch.time < time);
            if let Some(before) = before.filter(|before| !value.is_less(&before.value)) {
                (before.time, before.value) = (time, value);
            }
        }
        return;
    }
    if let Some(known) = rest.iter_mut().rev().find(|stretch| stretch.start == start) {
        if time >= known.time && !value.is_less(&known.value) {
            (known.time, known.value) = (time, value);
        }
        return;
    }
    let stretch = Stretch { start, time, fell: false, value };
    rest.push(if start > newest.start { std::mem::replace(newest, stretch) } else { stretch });
}

/// What a window's stretches added to `base`, which moves on to the last of them.
pub fn close<A: Amount>(base: &mut Base<A>, newest: Stretch<A>, mut rest: Vec<Stretch<A>>) -> Option<A> {
    rest.push(newest);
    rest.sort_by_key(|stretch| (stretch.start, stretch.time));
    let mut added: Option<A> = None;
    for stretch in rest {
        let same = stretch.start == base.start && !stretch.fell;
        if stretch.start < base.start || (same && stretch.time < base.time) {
            continue;
        }
        // A start time that moved to before the last point is a correction, not a reset.
        let goes_on = same || (stretch.start > base.start && stretch.start < base.time && !stretch.fell);
        let since = match &base.value {
            Some(value) if goes_on && !stretch.value.is_less(value) => stretch.value.since(value),
            _ => None,
        };
        let more = since.unwrap_or_else(|| stretch.value.clone());
        match &mut added {
            Some(added) => added.add(more),
            None => added = Some(more),
        }
        *base = Base { start: stretch.start, time: stretch.time, sealed: true, value: Some(stretch.value) };
    }
    base.sealed = true;
    added
}

impl<A: Amount> Stretch<A> {
    pub fn save(&self, out: &mut Writer<'_>) {
        out.i64(self.start);
        out.i64(self.time);
        out.bool(self.fell);
        self.value.save(out);
    }

    pub fn restore(state: &mut Reader<'_>) -> anyhow::Result<Self> {
        Ok(Stretch { start: state.i64()?, time: state.i64()?, fell: state.bool()?, value: A::restore(state)? })
    }
}

impl<A: Amount> Base<A> {
    pub fn save(&self, out: &mut Writer<'_>) {
        out.i64(self.start);
        out.i64(self.time);
        out.bool(self.sealed);
        out.bool(self.value.is_some());
        self.value.iter().for_each(|value| value.save(out));
    }

    pub fn restore(state: &mut Reader<'_>) -> anyhow::Result<Self> {
        let (start, time, sealed) = (state.i64()?, state.i64()?, state.bool()?);
        let value = if state.bool()? { Some(A::restore(state)?) } else { None };
        Ok(Base { start, time, sealed, value })
    }
}

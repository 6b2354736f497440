//! One window while it is open: flat cells of groups and of series.

use catchment_pipeline::batch::build::Number;

use crate::state::columns::Distribution;
use crate::state::counter::{Amount, Stretch, add_point};
use crate::state::exp::Exp;
use crate::state::number::Acc;
use crate::state::snapshot::{Reader, Writer};

/// Something of some of many owners, in order of arrival.
pub struct Cells<T> {
    /// By owner; `NONE` for one without.
    index: Vec<u32>,
    pub owners: Vec<u32>,
    pub items: Vec<T>,
}

const NONE: u32 = u32::MAX;

impl<T> Default for Cells<T> {
    fn default() -> Self {
        Cells { index: Vec::new(), owners: Vec::new(), items: Vec::new() }
    }
}

impl<T> Cells<T> {
    #[inline]
    pub fn get(&mut self, owner: u32) -> Option<&mut T> {
        let at = *self.index.get(owner as usize)?;
        self.items.get_mut(at as usize)
    }

    pub fn insert(&mut self, owner: u32, item: T) {
        if self.index.len() <= owner as usize {
            self.index.resize(owner as usize + 1, NONE);
        }
        self.index[owner as usize] = self.items.len() as u32;
        self.owners.push(owner);
        self.items.push(item);
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.owners.iter().copied().zip(&self.items)
    }

    pub fn take(self) -> impl Iterator<Item = (u32, T)> {
        self.owners.into_iter().zip(self.items)
    }

    /// Owners got other numbers.
    fn renumber(&mut self, numbers: &[u32]) {
        self.index.clear();
        for (at, owner) in self.owners.iter_mut().enumerate() {
            *owner = numbers.get(*owner as usize).copied().unwrap_or(NONE);
            if self.index.len() <= *owner as usize {
                self.index.resize(*owner as usize + 1, NONE);
            }
            self.index[*owner as usize] = at as u32;
        }
    }

    fn save(&self, out: &mut Writer<'_>, save: impl Fn(&T, &mut Writer<'_>)) {
        out.len(self.items.len());
        for (owner, item) in self.iter() {
            out.u64(u64::from(owner));
            save(item, out);
        }
    }

    fn restore(
        state: &mut Reader<'_>,
        owners: usize,
        read: impl Fn(&mut Reader<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<Self> {
        let mut cells = Cells::default();
        for _ in 0..state.len()? {
            let owner = state.u32()?;
            anyhow::ensure!((owner as usize) < owners, "the state names what it does not have");
            cells.insert(owner, read(state)?);
        }
        Ok(cells)
    }
}

/// A cumulative series.
pub struct Counter<A> {
    newest: Stretch<A>,
    /// Few series ever have any.
    #[allow(clippy::box_collection)]
    rest: Option<Box<Vec<Stretch<A>>>>,
    pub points: u32,
}

impl<A: Amount> Counter<A> {
    pub fn new(newest: Stretch<A>) -> Self {
        Counter { newest, rest: None, points: 1 }
    }

    #[inline]
    pub fn add(&mut self, start: i64, time: i64, value: A) {
        self.points = self.points.saturating_add(1);
        let newest = &mut self.newest;
        if start == newest.start && time >= newest.time && !value.is_less(&newest.value) {
            (newest.time, newest.value) = (time, value);
        } else {
            add_point(newest, self.rest.get_or_insert_default(), start, time, value);
        }
    }

    pub fn newest(&self) -> &Stretch<A> {
        &self.newest
    }

    pub fn into_parts(self) -> (Stretch<A>, Vec<Stretch<A>>) {
        (self.newest, self.rest.map(|rest| *rest).unwrap_or_default())
    }

    fn save(&self, out: &mut Writer<'_>) {
        self.newest.save(out);
        let rest = self.rest.as_deref().map(Vec::as_slice).unwrap_or_default();
        out.len(rest.len());
        rest.iter().for_each(|stretch| stretch.save(out));
        out.u64(u64::from(self.points));
    }

    fn restore(state: &mut Reader<'_>) -> anyhow::Result<Self> {
        let newest = Stretch::restore(state)?;
        let rest = (0..state.len()?).map(|_| Stretch::restore(state)).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Counter { newest, rest: (!rest.is_empty()).then(|| Box::new(rest)), points: state.u32()? })
    }
}

#[derive(Default)]
pub struct Window {
    /// It ends at `(number + 1) * interval`, and has that time, but not the one it begins at.
    pub number: i64,
    /// When a point came last.
    pub touched: i64,
    /// By group: every point.
    pub accs: Cells<Acc>,
    pub sketches: Cells<Exp>,
    pub distributions: Cells<Distribution>,
    /// By series: what is made one value a series first.
    pub levels: Cells<Acc>,
    pub counters: Cells<Counter<Number>>,
    pub cumulative: Cells<Counter<Distribution>>,
}

impl Window {
    pub fn new(number: i64) -> Window {
        Window { number, ..Window::default() }
    }

    pub fn renumber(&mut self, series: &[u32], groups: &[u32]) {
        self.accs.renumber(groups);
        self.sketches.renumber(groups);
        self.distributions.renumber(groups);
        self.levels.renumber(series);
        self.counters.renumber(series);
        self.cumulative.renumber(series);
    }

    pub fn groups(&self) -> impl Iterator<Item = u32> {
        self.accs.owners.iter().chain(&self.distributions.owners).copied()
    }

    pub fn save(&self, out: &mut Writer<'_>) {
        out.i64(self.number);
        out.i64(self.touched);
        self.accs.save(out, Acc::save);
        self.sketches.save(out, Exp::save);
        self.distributions.save(out, Distribution::save);
        self.levels.save(out, Acc::save);
        self.counters.save(out, Counter::save);
        self.cumulative.save(out, Counter::save);
    }

    pub fn restore(state: &mut Reader<'_>, series: usize, groups: usize) -> anyhow::Result<Window> {
        Ok(Window {
            number: state.i64()?,
            touched: state.i64()?,
            accs: Cells::restore(state, groups, Acc::restore)?,
            sketches: Cells::restore(state, groups, Exp::restore)?,
            distributions: Cells::restore(state, groups, Distribution::restore)?,
            levels: Cells::restore(state, series, Acc::restore)?,
            counters: Cells::restore(state, series, Counter::restore)?,
            cumulative: Cells::restore(state, series, Counter::restore)?,
        })
    }
}

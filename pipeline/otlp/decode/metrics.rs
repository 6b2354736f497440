//! Metrics: one table for number points, one for each kind of distribution.

use std::borrow::Cow;

use super::distributions::{ExpHistograms, Histograms, Summaries};
use super::numbers::NumberPoints;
use super::origin::{RawSet, Resource, Scope, set_json};
use super::points::Metric;
use super::{Error, Items, Within, each};
use crate::batch::{Rows, ids};
use crate::otlp::MAX_DEPTH;
use crate::otlp::sets::Sets;
use crate::otlp::wire::{Fault, Reader, Value};

pub(super) struct Builder {
    numbers: NumberPoints,
    histograms: Histograms,
    exp_histograms: ExpHistograms,
    summaries: Summaries,
}

/// Points by table, so that columns are allocated once, at their size.
#[derive(Default, Clone, Copy)]
pub(super) struct Counts {
    numbers: usize,
    histograms: usize,
    exp_histograms: usize,
    summaries: usize,
}

pub(super) fn count(bytes: &[u8]) -> Result<Counts, Fault> {
    let mut counts = Counts::default();
    each(bytes, 1, |group| {
        each(group, 2, |group| {
            each(group, 2, |metric| {
                let mut reader = Reader::new(metric);
                while let Some((field, value)) = reader.next()? {
                    let (count, data) = match (field, value) {
                        (5 | 7, Value::Len(data)) => (&mut counts.numbers, data),
                        (9, Value::Len(data)) => (&mut counts.histograms, data),
                        (10, Value::Len(data)) => (&mut counts.exp_histograms, data),
                        (11, Value::Len(data)) => (&mut counts.summaries, data),
                        _ => {
                            reader.skip(field, value, MAX_DEPTH)?;
                            continue;
                        }
                    };
                    each(data, 1, |_| {
                        *count += 1;
                        Ok(())
                    })?;
                }
                Ok(())
            })
        })
    })?;
    Ok(counts)
}

/// Fields beside the points: aggregation temporality, monotonicity.
fn shape(data: &[u8]) -> Result<(i32, bool), Fault> {
    let mut shape = (0, false);
    let mut reader = Reader::new(data);
    while let Some((field, value)) = reader.next()? {
        match (field, value) {
            (2, Value::Varint(number)) => shape.0 = number as i32,
            (3, Value::Varint(bool)) => shape.1 = bool != 0,
            (_, Value::Group) => reader.skip(field, value, MAX_DEPTH)?,
            _ => {}
        }
    }
    Ok(shape)
}

impl Builder {
    pub fn with_capacity(counts: Counts) -> Builder {
        Builder {
            numbers: NumberPoints::with_capacity(counts.numbers),
            histograms: Histograms::with_capacity(counts.histograms),
            exp_histograms: ExpHistograms::with_capacity(counts.exp_histograms),
            summaries: Summaries::with_capacity(counts.summaries),
        }
    }

    pub fn finish(self) -> Result<Rows, Error> {
        Ok(Rows::new([
            self.numbers.finish()?,
            self.histograms.finish()?,
            self.exp_histograms.finish()?,
            self.summaries.finish()?,
        ]))
    }
}

impl Items for Builder {
    fn item(&mut self, bytes: &[u8], within: &Within<'_>, sets: &mut Sets) -> Result<(), Fault> {
        let (mut name, mut description, mut unit, mut metadata) = (&[][..], &[][..], &[][..], RawSet::default());
        let mut data: Option<(u32, Cow<'_, [u8]>)> = None;
        let mut reader = Reader::new(bytes);
        while let Some((field, value)) = reader.next()? {
            match (field, value) {
                (1, Value::Len(text)) => name = text,
                (2, Value::Len(text)) => description = text,
                (3, Value::Len(text)) => unit = text,
                (5 | 7 | 9 | 10 | 11, Value::Len(part)) => match &mut data {
                    Some((kind, whole)) if *kind == field => whole.to_mut().extend_from_slice(part),
                    _ => data = Some((field, Cow::Borrowed(part))),
                },
                (12, Value::Len(_)) => metadata.add(&mut reader),
                _ => reader.skip(field, value, MAX_DEPTH)?,
            }
        }
        let Some((kind, data)) = data else { return Ok(()) };
        let type_name = match kind {
            5 => "gauge",
            7 => "sum",
            9 => "histogram",
            10 => "exponential_histogram",
            _ => "summary",
        };
        let scope = &within.scope.identity;
        let identity = ids::metric_identity(name, unit, type_name.as_bytes(), within.resource.id, scope);
        let metric = Metric { name, description, unit, metadata: set_json(&metadata, sets)?, identity };
        match kind {
            5 => self.numbers.metric(&metric, type_name, (0, false), &data, sets),
            7 => self.numbers.metric(&metric, type_name, shape(&data)?, &data, sets),
            9 => self.histograms.metric(&metric, shape(&data)?.0, &data, sets),
            10 => self.exp_histograms.metric(&metric, shape(&data)?.0, &data, sets),
            _ => self.summaries.metric(&metric, &data, sets),
        }
    }

    fn end_scope(&mut self, scope: &Scope<'_>) {
        self.numbers.points.end_scope(scope);
        self.histograms.points.end_scope(scope);
        self.exp_histograms.points.end_scope(scope);
        self.summaries.points.end_scope(scope);
    }

    fn end_resource(&mut self, resource: &Resource<'_>) {
        self.numbers.points.end_resource(resource);
        self.histograms.points.end_resource(resource);
        self.exp_histograms.points.end_resource(resource);
        self.summaries.points.end_resource(resource);
    }
}

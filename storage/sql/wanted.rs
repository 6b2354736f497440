//! What a scan's filters say about time and about strings, in a form that hot rows can be held against before any of
//! them is turned into SQL's types. Says too much rather than too little: the filters are applied again to what is left.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};

use crate::changes::Span;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    /// Microseconds, both ends included.
    pub(super) ts: Span,
    /// Columns and the values they may have.
    strings: Vec<(String, BTreeSet<String>)>,
    /// Series that rows may be of.
    pub(super) series: Option<Arc<HashSet<i64>>>,
}

impl Wanted {
    pub(super) fn of(filters: &[Expr]) -> Wanted {
        let mut wanted = Wanted { ts: Span { first: i64::MIN, last: i64::MAX }, strings: Vec::new(), series: None };
        for filter in filters.iter().flat_map(split_conjunction) {
            if let Some(span) = time(filter) {
                wanted.ts.first = wanted.ts.first.max(span.first);
                wanted.ts.last = wanted.ts.last.min(span.last);
            } else if let Some((column, values)) = strings(filter) {
                wanted.strings.push((column.to_owned(), values.into_iter().map(str::to_owned).collect()));
            }
        }
        wanted
    }

    /// The values a column may have, where that is said.
    pub(super) fn values(&self, column: &str) -> Option<&BTreeSet<String>> {
        self.strings.iter().find(|(name, _)| name == column).map(|(_, values)| values)
    }

    pub(super) fn may_be_in(&self, span: Span) -> bool {
        span.first <= self.ts.last && span.last >= self.ts.first
    }

    /// Which rows of a hot chunk are wanted; `None`: all.
    pub(super) fn rows(&self, chunk: &RecordBatch, span: Span) -> Option<BooleanArray> {
        let mut mask: Option<BooleanBuffer> = None;
        let mut narrow = |more: BooleanBuffer| mask = Some(mask.as_ref().map_or(more.clone(), |mask| mask & &more));
        if span.first < self.ts.first || span.last > self.ts.last {
            let times = chunk.column_by_name("ts")?.as_primitive_opt::<TimestampMicrosecondType>()?.values();
            let Span { first, last } = self.ts;
            narrow(BooleanBuffer::collect_bool(times.len(), |row| (first..=last).contains(&times[row])));
        }
        for (column, values) in &self.strings {
            let dictionary = chunk.column_by_name(column).and_then(|column| column.as_dictionary_opt::<Int32Type>());
            let Some(dictionary) = dictionary else { continue };
            let texts = dictionary.values().as_string::<i32>();
            let fits = texts.iter().map(|text| text.is_some_and(|text| values.contains(text))).collect::<Vec<_>>();
            if fits.iter().all(|fits| *fits) && dictionary.null_count() == 0 {
                continue;
            }
            let (keys, nulls) = (dictionary.keys().values(), dictionary.nulls());
            narrow(BooleanBuffer::collect_bool(keys.len(), |row| {
                nulls.is_none_or(|nulls| nulls.is_valid(row)) && fits.get(keys[row] as usize).copied().unwrap_or(false)
            }));
        }
        if let Some(series) = &self.series {
            let ids = chunk.column_by_name("series_id")?.as_primitive_opt::<Int64Type>()?.values();
            narrow(BooleanBuffer::collect_bool(ids.len(), |row| series.contains(&ids[row])));
        }
        mask.map(|mask| BooleanArray::new(mask, None))
    }
}

fn column(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(column.name.as_str()),
        _ => None,
    }
}

/// `ts`, perhaps in nanoseconds, as comparing with `now()` makes it.
fn is_ts(expr: &Expr) -> bool {
    match expr {
        Expr::Cast(cast) => {
            matches!(cast.field.data_type(), DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, _))
                && column(&cast.expr) == Some("ts")
        }
        expr => column(expr) == Some("ts"),
    }
}

/// Microseconds, and whether exactly so.
fn micros(expr: &Expr) -> Option<(i64, bool)> {
    match expr {
        Expr::Literal(ScalarValue::TimestampMicrosecond(Some(micros), _), _) => Some((*micros, true)),
        Expr::Literal(ScalarValue::TimestampNanosecond(Some(nanos), _), _) => {
            Some((nanos.div_euclid(1000), nanos.rem_euclid(1000) == 0))
        }
        _ => None,
    }
}

/// The times that a condition on time alone leaves, no more and no less.
pub(super) fn time(expr: &Expr) -> Option<Span> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (is_ts(left), is_ts(right)) {
            (true, _) => bound(*op, micros(right)?),
            (_, true) => bound(op.swap()?, micros(left)?),
            _ => None,
        },
        Expr::Between(Between { expr, negated: false, low, high }) if is_ts(expr) => {
            let low = bound(Operator::GtEq, micros(low)?)?;
            let high = bound(Operator::LtEq, micros(high)?)?;
            Some(Span { first: low.first, last: high.last })
        }
        _ => None,
    }
}

/// `ts op micros`.
fn bound(op: Operator, (micros, exact): (i64, bool)) -> Option<Span> {
    let after = Span { first: micros, last: i64::MAX };
    let before = Span { first: i64::MIN, last: micros };
    Some(match op {
        Operator::GtEq if exact => after,
        // Rows have whole microseconds.
        Operator::GtEq | Operator::Gt => Span { first: micros.saturating_add(1), ..after },
        Operator::LtEq => before,
        Operator::Lt if exact => Span { last: micros.saturating_sub(1), ..before },
        Operator::Lt => before,
        Operator::Eq if exact => Span { first: micros, last: micros },
        _ => return None,
    })
}

fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}

/// A column that must be one of some strings: `=`, `IN`, or an OR of those.
pub(super) fn strings(expr: &Expr) -> Option<(&str, BTreeSet<&str>)> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => match column(left) {
            Some(column) => Some((column, BTreeSet::from([literal(right)?]))),
            None => Some((column(right)?, BTreeSet::from([literal(left)?]))),
        },
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let ((a, mut values), (b, more)) = strings(left).zip(strings(right))?;
            values.extend(more);
            (a == b).then_some((a, values))
        }
        Expr::InList(list) if !list.negated => {
            let values = list.list.iter().map(literal).collect::<Option<BTreeSet<_>>>()?;
            Some((column(&list.expr)?, values))
        }
        _ => None,
    }
}

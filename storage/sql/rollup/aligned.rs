//! Which expressions are the same for all rows of a series in one step of a rollup, and which conditions bound time.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{DataType, IntervalMonthDayNanoType, TimeUnit};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Cast, Expr};

use super::super::wanted::time;

/// Days begin with an hour, and longer ones with a day.
const TRUNCATED: [&str; 6] = ["hour", "day", "week", "month", "quarter", "year"];

/// `constant`: columns that are the same along a series.
pub(in crate::sql) fn is_same(expr: &Expr, step: i64, constant: &impl Fn(&str) -> bool) -> bool {
    let mut same = !expr.is_volatile();
    let visited = expr.apply(|part| {
        if is_bin(part, step) {
            return Ok(TreeNodeRecursion::Jump);
        }
        same &= match part {
            Expr::Column(column) => constant(&column.name),
            Expr::Alias(_)
            | Expr::Literal(..)
            | Expr::BinaryExpr(_)
            | Expr::Like(_)
            | Expr::SimilarTo(_)
            | Expr::Not(_)
            | Expr::IsNotNull(_)
            | Expr::IsNull(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNotFalse(_)
            | Expr::IsNotUnknown(_)
            | Expr::Negative(_)
            | Expr::Between(_)
            | Expr::Case(_)
            | Expr::Cast(_)
            | Expr::TryCast(_)
            | Expr::ScalarFunction(_)
            | Expr::InList(_) => true,
            _ => false,
        };
        Ok(if same { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    same && visited.is_ok()
}

/// `date_bin` and `date_trunc` of `ts` to times that all begin with a step.
fn is_bin(expr: &Expr, step: i64) -> bool {
    let Expr::ScalarFunction(ScalarFunction { func, args }) = expr else { return false };
    match (func.name(), args.as_slice()) {
        ("date_bin", [stride, source]) => whole_steps(stride, step) && is_ts(source),
        ("date_bin", [stride, source, origin]) => {
            let origin = micros(origin).filter(|micros| micros % step == 0);
            whole_steps(stride, step) && is_ts(source) && origin.is_some()
        }
        ("date_trunc", [Expr::Literal(unit, _), source]) => {
            let unit = unit.try_as_str().flatten().unwrap_or_default().to_lowercase();
            TRUNCATED.contains(&unit.as_str()) && is_ts(source)
        }
        _ => false,
    }
}

/// Also in nanoseconds, as `date_bin` wants it.
fn is_ts(expr: &Expr) -> bool {
    let utc = |zone: &Option<Arc<str>>| zone.as_deref().is_none_or(|zone| matches!(zone, "UTC" | "+00:00"));
    match expr {
        Expr::Column(column) => column.name == "ts",
        Expr::Cast(Cast { expr, field }) => match field.data_type() {
            DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, zone) => {
                utc(zone) && matches!(expr.as_ref(), Expr::Column(column) if column.name == "ts")
            }
            _ => false,
        },
        _ => false,
    }
}

/// Months are not: they begin at the day of the month at which they are counted from.
fn whole_steps(stride: &Expr, step: i64) -> bool {
    const DAY: i64 = 86_400_000_000_000;
    let nanos = match stride {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(stride)), _) => {
            let (months, days, nanos) = IntervalMonthDayNanoType::to_parts(*stride);
            (months == 0).then(|| i64::from(days).checked_mul(DAY)?.checked_add(nanos)).flatten()
        }
        Expr::Literal(ScalarValue::IntervalDayTime(Some(stride)), _) => {
            let nanos = i64::from(stride.milliseconds).checked_mul(1_000_000);
            nanos.and_then(|nanos| i64::from(stride.days).checked_mul(DAY)?.checked_add(nanos))
        }
        _ => None,
    };
    nanos.is_some_and(|nanos| nanos > 0 && nanos % (step * 1000) == 0)
}

fn micros(origin: &Expr) -> Option<i64> {
    let Expr::Literal(value, _) = origin else { return None };
    match value {
        ScalarValue::TimestampNanosecond(Some(value), _) => (value % 1000 == 0).then_some(value / 1000),
        ScalarValue::TimestampMicrosecond(Some(value), _) => Some(*value),
        ScalarValue::TimestampMillisecond(Some(value), _) => value.checked_mul(1000),
        ScalarValue::TimestampSecond(Some(value), _) => value.checked_mul(1_000_000),
        _ => None,
    }
}

/// The times that conditions leave (microseconds), and the conditions that are about something else; `None`: one of those
/// may differ between rows of a series in one step.
pub(super) fn split(
    conditions: &[Expr],
    step: i64,
    constant: &impl Fn(&str) -> bool,
) -> Option<(Range<i64>, Vec<Expr>)> {
    let (mut times, mut others) = (i64::MIN..i64::MAX, Vec::new());
    for condition in conditions {
        if let Some(span) = time(condition) {
            times.start = times.start.max(span.first);
            times.end = times.end.min(span.last.saturating_add(1));
        } else if is_same(condition, step, constant) {
            others.push(condition.clone());
        } else {
            return None;
        }
    }
    Some((times, others))
}

/// `value` of `metrics`, as the view has it or as the optimizer rewrites that.
pub(in crate::sql) fn is_value(expr: &Expr) -> bool {
    let named = |expr: &Expr, name: &str| matches!(expr, Expr::Column(Column { name: own, .. }) if own == name);
    let double = |expr: &Expr| named(expr, "value_double");
    let int = |expr: &Expr| matches!(expr, Expr::Cast(Cast { expr, field }) if named(expr, "value_int") && *field.data_type() == DataType::Float64);
    match expr {
        Expr::Alias(alias) => is_value(&alias.expr),
        Expr::ScalarFunction(ScalarFunction { func, args }) => {
            func.name() == "coalesce" && matches!(args.as_slice(), [first, second] if double(first) && int(second))
        }
        Expr::Case(case) => {
            let is_given = |expr: &Expr| matches!(expr, Expr::IsNotNull(expr) if double(expr));
            let otherwise = case.else_expr.as_deref().is_some_and(int);
            let one = matches!(case.when_then_expr.as_slice(), [(when, then)] if is_given(when) && double(then));
            case.expr.is_none() && one && otherwise
        }
        _ => false,
    }
}

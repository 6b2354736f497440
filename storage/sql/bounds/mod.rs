//! Values that a query makes outside the memory pool, bounded: DataFusion accounts for what operators keep, not for
//! what one call of a function or one batch of a join makes. Without, a few doublings of a string in nested queries, a
//! `replace` of short by long, or a long list joined with a table takes all of the process's memory, and an allocation
//! that fails ends it.
//!
//! | what | limit |
//! |---|---|
//! | what one call of a function makes for a batch | [`MOST`] |
//! | `levenshtein` | [`COMPARISONS`] of characters a batch |
//! | `CAST` and `arrow_cast` to types of fixed size | [`FIXED`] elements |
//! | rows before or behind a row in window frames, `lag` and `lead` | [`FRAME`] |
//! | rows that meet in a join or are unnested | a batch of copies of one has at most [`MOST`] |
//! | rows that a window function keeps | the query's memory |

mod call;
mod concat;
mod plan;
mod rows;
pub(super) mod size;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue, resources_datafusion_err};
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::expr::{ScalarFunction, WindowFunction};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, ScalarUDF, WindowFrameBound, WindowFrameUnits};

use call::{Bounded, growth};

pub(super) use plan::check;
pub(super) use rows::BoundRows;

/// Bytes. Tests that go there need not take that much.
const MOST: usize = if cfg!(test) { 16 << 20 } else { 256 << 20 };
const COMPARISONS: usize = 1 << 30;
const FIXED: u64 = 4096;
const FRAME: u64 = 1_000_000;

pub(super) fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    registry.register_function_rewrite(Arc::new(Bounds))
}

fn too_large(what: &str) -> DataFusionError {
    resources_datafusion_err!("{what}")
}

/// Puts a bounded function in the place of one that makes values grow, whoever asked for it: operators and literals of
/// lists are functions too once they are planned.
#[derive(Debug)]
struct Bounds;

impl FunctionRewrite for Bounds {
    fn name(&self) -> &str {
        "bounds"
    }

    fn rewrite(&self, expr: Expr, _schema: &DFSchema, _config: &ConfigOptions) -> Result<Transformed<Expr>> {
        match &expr {
            Expr::ScalarFunction(call) => {
                check_cast_by_name(call)?;
                let Some(growth) = growth(call.func.name()) else { return Ok(Transformed::no(expr)) };
                let func = Arc::new(ScalarUDF::from(Bounded::new(call.func.clone(), growth)));
                Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args: call.args.clone() })))
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
                let args = vec![left.as_ref().clone(), right.as_ref().clone()];
                Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func: concat::operator(), args })))
            }
            Expr::Cast(cast) => check_type(cast.field.data_type()).map(|()| Transformed::no(expr)),
            Expr::TryCast(cast) => check_type(cast.field.data_type()).map(|()| Transformed::no(expr)),
            Expr::WindowFunction(function) => check_frame(function).map(|()| Transformed::no(expr)),
            _ => Ok(Transformed::no(expr)),
        }
    }
}

/// NULL as one of these takes as much memory as any other value.
fn check_type(kind: &DataType) -> Result<()> {
    fn elements(kind: &DataType) -> u64 {
        match kind {
            DataType::FixedSizeList(item, size) => {
                u64::from(size.unsigned_abs()).saturating_mul(elements(item.data_type()))
            }
            DataType::FixedSizeBinary(size) => size.unsigned_abs().into(),
            DataType::List(item) | DataType::LargeList(item) => elements(item.data_type()),
            DataType::Struct(fields) => fields.iter().map(|field| elements(field.data_type())).sum(),
            _ => 1,
        }
    }
    match elements(kind) > FIXED {
        true => Err(too_large(&format!("a value of type {kind} has more than {FIXED} elements"))),
        false => Ok(()),
    }
}

/// `arrow_cast(x, 'FixedSizeBinary(2147483647)')`: the type is said as text.
fn check_cast_by_name(call: &ScalarFunction) -> Result<()> {
    if !matches!(call.func.name(), "arrow_cast" | "arrow_try_cast") {
        return Ok(());
    }
    let Some(Expr::Literal(text, _)) = call.args.get(1) else { return Ok(()) };
    match text.try_as_str().flatten().map(str::parse::<DataType>) {
        Some(Ok(kind)) => check_type(&kind),
        _ => Ok(()),
    }
}

fn check_frame(function: &WindowFunction) -> Result<()> {
    let long = |value: &ScalarValue| match value {
        ScalarValue::UInt64(Some(rows)) => *rows > FRAME,
        ScalarValue::Int64(Some(rows)) => rows.unsigned_abs() > FRAME,
        _ => false,
    };
    let frame = &function.params.window_frame;
    let far = [&frame.start_bound, &frame.end_bound].into_iter().any(|bound| match bound {
        WindowFrameBound::Preceding(value) | WindowFrameBound::Following(value) => long(value),
        WindowFrameBound::CurrentRow => false,
    });
    let far = far && frame.units != WindowFrameUnits::Range;
    let name = function.fun.name();
    let offset = matches!(name, "lag" | "lead").then(|| function.params.args.get(1)).flatten();
    let far = far || offset.is_some_and(|offset| matches!(offset, Expr::Literal(value, _) if long(value)));
    match far {
        true => Err(too_large(&format!("`{name}` looks further than {FRAME} rows"))),
        false => Ok(()),
    }
}

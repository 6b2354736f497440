//! Functions beside DataFusion's own: attribute sets edited, texts hashed, and regular expressions that are compiled once.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::datatypes::DataType;
use catchment_pipeline::batch::attributes::{Attributes, Value};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use regex::{Regex, RegexBuilder};

use super::values::Values;
use crate::actions::hex;

pub(super) fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for what in
        [What::Set, What::Remove, What::Keep, What::RemoveMatching, What::KeepMatching, What::Truncate, What::Sha256]
    {
        registry.register_udf(Arc::new(ScalarUDF::from(Function::new(what))))?;
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    /// `attribute_set(set, key, value)`; NULL removes.
    Set,
    /// `attribute_remove(set, key, ...)`
    Remove,
    /// `attribute_keep(set, key, ...)`
    Keep,
    /// `attribute_remove_matching(set, pattern)`
    RemoveMatching,
    /// `attribute_keep_matching(set, pattern)`
    KeepMatching,
    /// `attribute_truncate(set, characters)`: texts of a set, at most so long.
    Truncate,
    /// `sha256(text)`, in hex.
    Sha256,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Function {
    what: What,
    signature: Signature,
}

impl Function {
    fn new(what: What) -> Function {
        Function { what, signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn usage(&self) -> DataFusionError {
        DataFusionError::Plan(format!(
            "{} is what there is",
            match self.what {
                What::Set => "attribute_set(attributes, 'key', value)",
                What::Remove => "attribute_remove(attributes, 'key', ...)",
                What::Keep => "attribute_keep(attributes, 'key', ...)",
                What::RemoveMatching => "attribute_remove_matching(attributes, 'pattern')",
                What::KeepMatching => "attribute_keep_matching(attributes, 'pattern')",
                What::Truncate => "attribute_truncate(attributes, characters)",
                What::Sha256 => "sha256(text)",
            }
        ))
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        match self.what {
            What::Set => "attribute_set",
            What::Remove => "attribute_remove",
            What::Keep => "attribute_keep",
            What::RemoveMatching => "attribute_remove_matching",
            What::KeepMatching => "attribute_keep_matching",
            What::Truncate => "attribute_truncate",
            What::Sha256 => "sha256",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let text = || DataType::Utf8;
        match (self.what, given) {
            (What::Set, [_, _, value]) => Ok(vec![text(), text(), value.clone()]),
            (What::Remove | What::Keep, [_, _, ..]) => Ok(given.iter().map(|_| text()).collect()),
            (What::RemoveMatching | What::KeepMatching, [_, _]) => Ok(vec![text(), text()]),
            (What::Truncate, [_, _]) => Ok(vec![text(), DataType::Int64]),
            (What::Sha256, [_]) => Ok(vec![text()]),
            _ => Err(self.usage()),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let (Some(first), rest) = (arrays.first().and_then(|array| array.as_string_opt::<i32>()), arrays.get(1..))
        else {
            return Err(self.usage());
        };
        let rest = rest.unwrap_or_default();
        let edited = (0..first.len()).map(|row| match first.is_valid(row) {
            true => self.row(first.value(row), rest, row).map(Some),
            false => Ok(None),
        });
        let edited = edited.collect::<Result<StringArray>>()?;
        Ok(ColumnarValue::Array(Arc::new(edited)))
    }
}

impl Function {
    fn row(&self, first: &str, rest: &[ArrayRef], row: usize) -> Result<String> {
        if self.what == What::Sha256 {
            return Ok(hex(ring::digest::digest(&ring::digest::SHA256, first.as_bytes()).as_ref()));
        }
        let failed = |error| DataFusionError::Execution(format!("{}: {error}", self.name()));
        let mut set = Attributes::parse(first).map_err(failed)?;
        let texts = rest.iter().filter_map(|array| array.as_string_opt::<i32>()).filter(|array| array.is_valid(row));
        let mut texts = texts.map(|array| array.value(row));
        match self.what {
            What::Set => {
                let (Some(key), Some(value)) = (texts.next(), rest.get(1)) else { return Ok(first.to_owned()) };
                match Values::of(value)?.get(row)? {
                    Some(value) => set.insert(key, value),
                    None => drop(set.remove(key)),
                }
            }
            What::Remove => texts.for_each(|key| drop(set.remove(key))),
            What::Keep => {
                let keys = texts.collect::<Vec<_>>();
                set.retain(|key, _| keys.contains(&key));
            }
            What::RemoveMatching | What::KeepMatching => {
                let Some(pattern) = texts.next() else { return Ok(first.to_owned()) };
                let keep = self.what == What::KeepMatching;
                let pattern = Regex::new(pattern).map_err(|error| DataFusionError::Execution(error.to_string()))?;
                set.retain(|key, _| pattern.is_match(key) == keep);
            }
            What::Truncate => {
                let most = rest.first().and_then(|array| array.as_primitive_opt::<arrow::datatypes::Int64Type>());
                let most = most.filter(|most| most.is_valid(row)).map_or(i64::MAX, |most| most.value(row));
                let most = usize::try_from(most).unwrap_or(0);
                let cut = |(key, value): (&str, &Value)| match value {
                    Value::String(text) => (key.to_owned(), Value::String(text.chars().take(most).collect())),
                    other => (key.to_owned(), other.clone()),
                };
                set = set.iter().map(cut).collect();
            }
            What::Sha256 => {}
        }
        Ok(set.to_json())
    }
}

/// `text ~ 'pattern'` of a pattern that is known.
#[derive(Debug)]
struct Matches {
    regex: Regex,
    insensitive: bool,
    negated: bool,
    signature: Signature,
}

impl PartialEq for Matches {
    fn eq(&self, other: &Self) -> bool {
        let parts = |of: &Self| (of.regex.as_str().to_owned(), of.insensitive, of.negated);
        parts(self) == parts(other)
    }
}

impl Eq for Matches {}

impl Hash for Matches {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.regex.as_str(), self.insensitive, self.negated).hash(state);
    }
}

impl ScalarUDFImpl for Matches {
    fn name(&self) -> &str {
        "matches"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(first) = args.args.first() else { return Err(DataFusionError::Execution("no text".to_owned())) };
        let array = first.to_array(args.number_rows)?;
        let texts = array.as_string_opt::<i32>();
        let texts = texts.ok_or_else(|| DataFusionError::Execution("a pattern is held against a text".to_owned()))?;
        let held = texts.iter().map(|text| text.map(|text| self.regex.is_match(text) != self.negated));
        Ok(ColumnarValue::Array(Arc::new(held.collect::<BooleanArray>())))
    }
}

/// Patterns that are literals are compiled now, and not for each batch.
pub(super) fn precompile(expr: Expr) -> Result<Expr> {
    let done = expr.transform_up(|expr| {
        let found = match &expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let flags = match op {
                    Operator::RegexMatch => Some((false, false)),
                    Operator::RegexIMatch => Some((true, false)),
                    Operator::RegexNotMatch => Some((false, true)),
                    Operator::RegexNotIMatch => Some((true, true)),
                    _ => None,
                };
                flags.zip(literal(right)).map(|(flags, pattern)| (left.as_ref().clone(), pattern, flags))
            }
            Expr::ScalarFunction(function) if function.func.name() == "regexp_like" => match function.args.as_slice() {
                [text, pattern] => literal(pattern).map(|pattern| (text.clone(), pattern, (false, false))),
                _ => None,
            },
            _ => None,
        };
        let Some((text, pattern, (insensitive, negated))) = found else { return Ok(Transformed::no(expr)) };
        let regex = RegexBuilder::new(&pattern).case_insensitive(insensitive).build();
        let regex = regex.map_err(|error| {
            let reason = error.to_string();
            let last = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            DataFusionError::Plan(format!("'{pattern}' is not a regular expression: {last}"))
        })?;
        let signature = Signature::exact(vec![DataType::Utf8], Volatility::Immutable);
        let func = Arc::new(ScalarUDF::from(Matches { regex, insensitive, negated, signature }));
        Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args: vec![text] })))
    });
    done.map(|done| done.data)
}

fn literal(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) => Some(text.clone()),
        _ => None,
    }
}

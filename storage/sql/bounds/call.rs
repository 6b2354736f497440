//! A function that makes its arguments grow, called in pieces small enough, or not at all.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::concat;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::{COMPARISONS, MOST, size, too_large};

/// Bytes made at a time where the first argument is multiplied.
const PIECE: usize = MOST / 8;

/// How large a result can be, from the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Growth {
    /// All arguments together.
    Sum,
    /// All arguments together, and the first between any two of them.
    Between,
    /// Each part of the first may become one of these other arguments.
    Times(&'static [usize]),
    /// Nothing large, but as many steps as the first two have characters, multiplied.
    Steps,
    /// Nothing large. Stands in for a function that asks to be computed next to the table: conditions on its result
    /// would stay above it, and never reach the scan, which finds series by them.
    Little,
}

/// `None`: makes nothing much larger than what it is given.
pub(super) fn growth(name: &str) -> Option<Growth> {
    Some(match name {
        "concat" | "array_concat" | "array_append" | "array_prepend" | "make_array" | "struct" | "named_struct"
        | "map" | "array_union" | "arrays_zip" | "overlay" | "array_insert" | "||" => Growth::Sum,
        "concat_ws" => Growth::Between,
        "replace" | "regexp_replace" => Growth::Times(&[2]),
        "array_to_string" => Growth::Times(&[1, 2]),
        "array_replace" | "array_replace_n" | "array_replace_all" => Growth::Times(&[2]),
        "string_to_array" => Growth::Times(&[]),
        // A text as often as the pattern has groups.
        "regexp_match" => Growth::Times(&[1]),
        "levenshtein" => Growth::Steps,
        // `json_get` is looked for by those who put one call in the place of two.
        "json_as_text" | "json_contains" | "json_get_bool" | "json_get_float" | "json_get_int" | "json_get_str" => {
            Growth::Little
        }
        _ => return None,
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl Bounded {
    pub(super) fn new(inner: Arc<ScalarUDF>, growth: Growth) -> Bounded {
        Bounded { inner, growth }
    }

    fn refuse(&self, bytes: usize) -> DataFusionError {
        let name = self.inner.name();
        too_large(&format!("`{name}` would make {} MiB of values at once, more than {} MiB", bytes >> 20, MOST >> 20))
    }

    fn call(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.invoke_with_args(args)
    }

    fn call_sum(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = args.args.iter().any(|arg| matches!(arg, ColumnarValue::Array(_)));
        let rows = if arrays { args.number_rows } else { 1 };
        let bytes = args.args.iter().map(|arg| size::argument(arg, rows)).fold(0, usize::saturating_add);
        let between = args.args.first().filter(|_| self.growth == Growth::Between);
        let between = between.map_or(0, |first| size::argument(first, rows).saturating_mul(args.args.len()));
        let bytes = bytes.saturating_add(between);
        if bytes > MOST { Err(self.refuse(bytes)) } else { self.call(args) }
    }

    fn call_times(&self, args: ScalarFunctionArgs, by: &[usize]) -> Result<ColumnarValue> {
        let factor = |at: &usize| match args.args.get(*at) {
            Some(ColumnarValue::Array(array)) => size::rows(array).into_iter().max().unwrap_or(0),
            Some(ColumnarValue::Scalar(value)) => size::scalar(value),
            None => 0,
        };
        // A string in a list takes a view more.
        let factor = by.iter().map(factor).fold(16, usize::saturating_add);
        let grown = |bytes: usize| bytes.saturating_add(1).saturating_mul(factor);
        let of_rows = match args.args.first() {
            Some(ColumnarValue::Array(first)) => size::rows(first).into_iter().map(grown).collect(),
            Some(ColumnarValue::Scalar(first)) => vec![grown(size::scalar(first)); args.number_rows.max(1)],
            None => Vec::new(),
        };
        let scalars = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        if scalars || of_rows.iter().copied().fold(0, usize::saturating_add) <= PIECE {
            let bytes = of_rows.first().copied().filter(|_| scalars).unwrap_or(0);
            return if bytes > MOST { Err(self.refuse(bytes)) } else { self.call(args) };
        }
        self.call_in_pieces(&args, &of_rows)
    }

    fn call_in_pieces(&self, args: &ScalarFunctionArgs, of_rows: &[usize]) -> Result<ColumnarValue> {
        let (mut pieces, mut made, mut start) = (Vec::<ArrayRef>::new(), 0usize, 0);
        while start < of_rows.len() {
            let (mut bytes, mut end) = (0usize, start);
            while let Some(row) = of_rows.get(end).filter(|row| end == start || bytes.saturating_add(**row) <= PIECE) {
                (bytes, end) = (bytes.saturating_add(*row), end + 1);
            }
            if bytes > MOST {
                return Err(self.refuse(bytes));
            }
            let slice = |arg: &ColumnarValue| match arg {
                ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(start, end - start)),
                ColumnarValue::Scalar(value) => ColumnarValue::Scalar(value.clone()),
            };
            let piece = self.call(ScalarFunctionArgs {
                args: args.args.iter().map(slice).collect(),
                number_rows: end - start,
                ..args.clone()
            })?;
            let piece = piece.into_array(end - start)?;
            made = made.saturating_add(size::bytes(&piece));
            if made > MOST {
                return Err(self.refuse(made));
            }
            pieces.push(piece);
            start = end;
        }
        let pieces = pieces.iter().map(AsRef::as_ref).collect::<Vec<_>>();
        Ok(ColumnarValue::Array(concat(&pieces)?))
    }

    fn call_steps(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let lengths = |at: usize| match args.args.get(at) {
            Some(ColumnarValue::Array(array)) => size::rows(array),
            Some(ColumnarValue::Scalar(value)) => vec![size::scalar(value); args.number_rows],
            None => Vec::new(),
        };
        let steps = lengths(0).into_iter().zip(lengths(1)).map(|(a, b)| a.saturating_mul(b));
        if steps.fold(0, usize::saturating_add) > COMPARISONS {
            return Err(too_large(&format!("`{}` of texts this long takes too many steps", self.inner.name())));
        }
        self.call(args)
    }
}

/// Without `simplify`: it would put the unbounded function back.
impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match self.growth {
            Growth::Sum | Growth::Between => self.call_sum(args),
            Growth::Times(by) => self.call_times(args, by),
            Growth::Steps => self.call_steps(args),
            Growth::Little => self.call(args),
        }
    }
}

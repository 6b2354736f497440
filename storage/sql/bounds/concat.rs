//! `||` of strings as a function, so that it can be bounded as any other.

use std::sync::{Arc, LazyLock};

use arrow::compute::cast;
use arrow::compute::kernels::concat_elements::concat_elements_dyn;
use arrow::datatypes::DataType;
use datafusion::common::plan_datafusion_err;
use datafusion::error::Result;
use datafusion::logical_expr::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::call::{Bounded, Growth};

static OPERATOR: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let inner = Concat { signature: Signature::user_defined(Volatility::Immutable) };
    Arc::new(ScalarUDF::from(Bounded::new(Arc::new(ScalarUDF::from(inner)), Growth::Sum)))
});

pub(super) fn operator() -> Arc<ScalarUDF> {
    OPERATOR.clone()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Concat {
    signature: Signature,
}

fn two<T>(all: &[T]) -> Result<(&T, &T)> {
    match all {
        [left, right] => Ok((left, right)),
        _ => Err(plan_datafusion_err!("`||` has two sides")),
    }
}

impl ScalarUDFImpl for Concat {
    fn name(&self) -> &str {
        "||"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let (left, right) = two(args)?;
        Ok(format!("{} || {}", left.schema_name(), right.schema_name()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let (left, right) = two(types)?;
        let (left, right) = BinaryTypeCoercer::new(left, &Operator::StringConcat, right).get_input_types()?;
        Ok(vec![left, right])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let (left, right) = two(types)?;
        BinaryTypeCoercer::new(left, &Operator::StringConcat, right).get_result_type()
    }

    /// NULL when either side is.
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let (left, right) = two(&arrays)?;
        let kind = args.return_type();
        Ok(ColumnarValue::Array(concat_elements_dyn(&cast(left, kind)?, &cast(right, kind)?)?))
    }
}

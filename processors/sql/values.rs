//! What SQL computes, as values of attributes.

use arrow::array::{Array, ArrayRef, AsArray, UnionArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use catchment_pipeline::batch::attributes::Value;
use datafusion::error::{DataFusionError, Result};

/// An array of anything that can be an attribute.
pub struct Values {
    array: ArrayRef,
    json: bool,
}

impl Values {
    /// Whether `kind` can be an attribute's value.
    pub fn takes(kind: &DataType) -> bool {
        match kind {
            DataType::Boolean | DataType::Null | DataType::Union(..) | DataType::Timestamp(..) | DataType::Date32 => {
                true
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
            kind => kind.is_numeric(),
        }
    }

    /// Numbers as 64 bits, times and dates as text.
    pub fn of(array: &ArrayRef) -> Result<Values> {
        let kind = match array.data_type() {
            DataType::Union(..) => return Ok(Values { array: array.clone(), json: true }),
            kind if kind.is_integer() => DataType::Int64,
            kind if kind.is_numeric() => DataType::Float64,
            DataType::Boolean | DataType::Null => array.data_type().clone(),
            _ => DataType::Utf8,
        };
        Ok(Values { array: if *array.data_type() == kind { array.clone() } else { cast(array, &kind)? }, json: false })
    }

    /// `None`: NULL.
    pub fn get(&self, row: usize) -> Result<Option<Value>> {
        if self.json {
            return match self.array.as_any().downcast_ref::<UnionArray>() {
                Some(union) => json(union, row),
                None => Ok(None),
            };
        }
        if !self.array.is_valid(row) || *self.array.data_type() == DataType::Null {
            return Ok(None);
        }
        Ok(match self.array.data_type() {
            DataType::Boolean => self.array.as_boolean_opt().map(|array| Value::Bool(array.value(row))),
            DataType::Int64 => self.array.as_primitive_opt::<Int64Type>().map(|array| Value::Int(array.value(row))),
            DataType::Float64 => {
                self.array.as_primitive_opt::<Float64Type>().map(|array| Value::Double(array.value(row)))
            }
            _ => self.array.as_string_opt::<i32>().map(|array| Value::String(array.value(row).to_owned())),
        })
    }
}

/// A value of datafusion-functions-json: which child of the union it is, and there.
fn json(union: &UnionArray, row: usize) -> Result<Option<Value>> {
    let child = union.child(union.type_id(row));
    let at = union.value_offset(row);
    let DataType::Union(fields, _) = union.data_type() else { return Ok(None) };
    let name = fields.iter().find(|(id, _)| *id == union.type_id(row)).map_or("", |(_, field)| field.name().as_str());
    if child.is_null(at) {
        return Ok(None);
    }
    Ok(match child.data_type() {
        DataType::Boolean => child.as_boolean_opt().map(|array| Value::Bool(array.value(at))),
        DataType::Int64 => child.as_primitive_opt::<Int64Type>().map(|array| Value::Int(array.value(at))),
        DataType::Float64 => child.as_primitive_opt::<Float64Type>().map(|array| Value::Double(array.value(at))),
        DataType::Utf8 => {
            let text = child.as_string_opt::<i32>().map(|array| array.value(at));
            let parsed = |text: &str| Value::parse(text).map_err(|error| DataFusionError::Execution(error.to_string()));
            match (name, text) {
                ("array" | "object", Some(text)) => Some(parsed(text)?),
                (_, text) => text.map(|text| Value::String(text.to_owned())),
            }
        }
        _ => None,
    })
}

//! From rows to labels and values: texts, booleans and whole numbers are labels, `attributes` are labels each, `value` (or the one number there is) is the
//! value. Other numbers, times and what has parts are left out.

use std::collections::HashMap;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema};
use catchment_pipeline::alerts::{Labels, Sample};
use serde_json::Value as Json;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Label,
    /// JSON whose keys are labels.
    Set,
    Value,
    None,
}

fn is_number(kind: &DataType) -> bool {
    kind.is_numeric()
}

fn roles(schema: &Schema) -> Result<Vec<Role>, String> {
    let fields = schema.fields();
    let named = fields.iter().position(|field| field.name() == "value" && is_number(field.data_type()));
    let numbers: Vec<usize> =
        (0..fields.len()).filter(|at| fields.get(*at).is_some_and(|field| is_number(field.data_type()))).collect();
    let value = match (named, numbers.as_slice()) {
        (Some(named), _) => Some(named),
        (None, []) => None,
        (None, [one]) => Some(*one),
        (None, _) => return Err("several columns are numbers: name the one that is the value `AS value`".to_owned()),
    };
    let role = |(at, field): (usize, &std::sync::Arc<arrow::datatypes::Field>)| {
        let kind = match field.data_type() {
            DataType::Dictionary(_, kind) => kind,
            kind => kind,
        };
        let is_text = matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        match field.name().as_str() {
            _ if Some(at) == value => Role::Value,
            "attributes" | "resource_attributes" if is_text => Role::Set,
            _ if is_text || *kind == DataType::Boolean || kind.is_integer() => Role::Label,
            _ => Role::None,
        }
    };
    Ok(fields.iter().enumerate().map(role).collect())
}

pub fn samples(batches: &[RecordBatch]) -> Result<Vec<Sample>, String> {
    let mut samples = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    let mut sets = HashMap::new();
    for batch in batches {
        let roles = roles(batch.schema_ref())?;
        let from = samples.len();
        samples.extend((0..batch.num_rows()).map(|_| Sample { labels: Labels::default(), value: None }));
        let new = samples.get_mut(from..).unwrap_or_default();
        // A column's own name comes before the same key of a set.
        for wanted in [Role::Set, Role::Label, Role::Value] {
            for (at, role) in roles.iter().enumerate().filter(|(_, role)| **role == wanted) {
                fill(batch, at, *role, &mut sets, new)?;
            }
        }
    }
    Ok(samples)
}

type Sets = HashMap<String, Vec<(String, String)>>;

fn fill(batch: &RecordBatch, at: usize, role: Role, sets: &mut Sets, samples: &mut [Sample]) -> Result<(), String> {
    let (schema, column) = (batch.schema(), batch.column(at));
    let kind = if role == Role::Value { DataType::Float64 } else { DataType::Utf8 };
    let column = cast(column, &kind).map_err(|error| error.to_string())?;
    if role == Role::Value {
        let values = column.as_primitive::<Float64Type>();
        for (sample, value) in samples.iter_mut().zip(values) {
            sample.value = value.filter(|value| value.is_finite());
        }
        return Ok(());
    }
    let name = schema.field(at).name();
    for (sample, text) in samples.iter_mut().zip(column.as_string::<i32>()) {
        let Some(text) = text else { continue };
        match role {
            Role::Set => {
                if !sets.contains_key(text) {
                    sets.insert(text.to_owned(), set(text));
                }
                let pairs = sets.get(text).map(Vec::as_slice).unwrap_or_default();
                for (name, value) in pairs {
                    sample.labels.set(name.as_str(), value.as_str());
                }
            }
            _ => sample.labels.set(name.as_str(), text),
        }
    }
    Ok(())
}

/// Names as columns have them: `host.name` is `host_name`.
fn set(text: &str) -> Vec<(String, String)> {
    let Ok(Json::Object(pairs)) = serde_json::from_str(text) else { return Vec::new() };
    let pair = |(name, value): (String, Json)| {
        let name = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let value = match value {
            Json::String(text) => text,
            other => other.to_string(),
        };
        (name, value)
    };
    pairs.into_iter().map(pair).collect()
}

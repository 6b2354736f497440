//! Which conditions the spans of a batch meet: a bit a condition, found once a distinct value.

use arrow::array::{Array, RecordBatch};
use catchment_pipeline::batch::attributes::{self, Value};

use super::policy::Leaf;
use crate::sql::{ErrorMode, Failures, Frame};
use crate::state::columns::Columns;

const SAMPLED: i64 = 1;

/// `None` when columns are missing, which a table of ours does not come to.
pub fn found(leaves: &[Leaf], rows: &RecordBatch, failures: &mut Failures) -> Option<Vec<u64>> {
    let (status, flags) = (rows.int32("status_code")?, rows.int64("flags")?);
    let each = |of: &dyn Fn(&Leaf) -> bool| {
        leaves.iter().enumerate().fold(0u64, |all, (number, leaf)| all | u64::from(of(leaf)) << (number % 64))
    };
    let of_set = |json: &str| each(&|leaf| in_set(leaf, json));
    let attributes = rows.dict("attributes")?.each(of_set);
    let resource = rows.dict("resource_attributes")?.each(of_set);
    let state = rows.dict("trace_state")?.each(|text| each(&|leaf| in_state(leaf, text)));
    let by_status = [0, 1, 2].map(|code| each(&|leaf| matches!(leaf, Leaf::Status(codes) if codes.contains(&code))));
    let flagged = each(&|leaf| matches!(leaf, Leaf::Flag));
    let found = attributes.zip(resource).zip(state).zip(status.iter().zip(flags));
    let found = found.map(|(((attributes, resource), state), (status, flags))| {
        let status = usize::try_from(*status).ok().and_then(|code| by_status.get(code)).copied().unwrap_or_default();
        attributes | resource | state | status | if flags & SAMPLED != 0 { flagged } else { 0 }
    });
    let mut found: Vec<u64> = found.collect();
    let conditions = leaves.iter().enumerate().filter_map(|(number, leaf)| match leaf {
        Leaf::Sql(conditions) => Some((number, conditions)),
        _ => None,
    });
    let mut frame = Frame::new(rows);
    for (number, conditions) in conditions {
        for program in conditions.iter().flat_map(|condition| &condition.programs) {
            match program.matches(&mut frame, ErrorMode::Ignore, failures) {
                Ok(Some(spans)) => spans.set_indices().for_each(|row| found[row] |= 1 << (number % 64)),
                Ok(None) => {}
                Err(error) => {
                    failures.rows += rows.num_rows();
                    failures.first.get_or_insert(crate::sql::message(&error));
                }
            }
        }
    }
    Some(found)
}

fn in_set(leaf: &Leaf, json: &str) -> bool {
    match leaf {
        Leaf::Text { key, values } => attributes::get_str(json, key).is_some_and(|text| values.has(&text)),
        Leaf::Number { key, min, max } => match attributes::get(json, key) {
            Some(Value::Int(int)) => (*min..=*max).contains(&int),
            Some(Value::Double(double)) => double >= *min as f64 && double <= *max as f64,
            _ => false,
        },
        Leaf::Bool { key, value } => attributes::get(json, key) == Some(Value::Bool(*value)),
        _ => false,
    }
}

/// W3C: `key=value` pairs with commas between them.
fn in_state(leaf: &Leaf, state: &str) -> bool {
    let Leaf::TraceState { key, values } = leaf else { return false };
    let mut pairs = state.split(',').filter_map(|pair| pair.trim().split_once('='));
    pairs.any(|(k, v)| k.trim() == key && values.iter().any(|value| value == v.trim()))
}

/// Whether a trace has its root among these rows.
pub fn roots(rows: &RecordBatch) -> Vec<bool> {
    match rows.ids("parent_span_id") {
        Some(parents) => (0..rows.num_rows())
            .map(|row| parents.is_null(row) || parents.value(row).iter().all(|byte| *byte == 0))
            .collect(),
        None => vec![false; rows.num_rows()],
    }
}

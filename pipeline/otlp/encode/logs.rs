//! Log records.

use arrow::array::{Array, BooleanArray, FixedSizeBinaryArray, RecordBatch, StringArray};

use super::Items;
use super::columns::{Columns, Dict, Sets, id};
use crate::otlp::any_value::json_to_any;
use crate::otlp::wire::Writer;

pub(super) struct Logs<'a> {
    time: &'a [i64],
    observed_time: &'a [i64],
    severity_number: &'a [i32],
    severity_text: Dict<'a>,
    event_name: Dict<'a>,
    body: &'a StringArray,
    body_is_json: &'a BooleanArray,
    attributes: Sets<'a>,
    dropped: &'a [i64],
    flags: &'a [i64],
    trace_id: &'a FixedSizeBinaryArray,
    span_id: &'a FixedSizeBinaryArray,
    scratch: Vec<u8>,
}

impl<'a> Logs<'a> {
    pub fn new(rows: &'a RecordBatch) -> Option<Self> {
        Some(Logs {
            time: rows.times("time_unix_nano")?,
            observed_time: rows.times("observed_time_unix_nano")?,
            severity_number: rows.int32("severity_number")?,
            severity_text: rows.dict("severity_text")?,
            event_name: rows.dict("event_name")?,
            body: rows.text("body")?,
            body_is_json: rows.bools("body_is_json")?,
            attributes: rows.sets("attributes", 6)?,
            dropped: rows.int64("dropped_attributes_count")?,
            flags: rows.int64("flags")?,
            trace_id: rows.ids("trace_id")?,
            span_id: rows.ids("span_id")?,
            scratch: Vec::new(),
        })
    }
}

impl Items for Logs<'_> {
    fn item(&mut self, row: usize, out: &mut Writer) {
        let start = out.mark();
        out.string(12, self.event_name.get(row).as_bytes());
        out.fixed64(11, self.observed_time[row] as u64);
        out.string(10, id(self.span_id, row));
        out.string(9, id(self.trace_id, row));
        out.fixed32(8, self.flags[row] as u32);
        out.number(7, u64::from(self.dropped[row] as u32));
        self.attributes.write(row, out);
        if self.body.is_valid(row) {
            let mark = out.mark();
            if self.body_is_json.value(row) {
                self.scratch.clear();
                json_to_any(self.body.value(row), &mut self.scratch);
                out.bytes(&self.scratch);
            } else {
                out.len_field(1, self.body.value(row).as_bytes());
            }
            out.close(5, mark);
        }
        out.string(3, self.severity_text.get(row).as_bytes());
        out.int32(2, self.severity_number[row]);
        out.fixed64(1, self.time[row] as u64);
        out.close(2, start);
    }
}

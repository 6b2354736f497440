//! Resource and scope groups.

use arrow::array::RecordBatch;

use super::Level;
use super::columns::{Columns, Dict, Sets, mark};
use crate::batch::attributes::Value;
use crate::otlp::wire::Writer;

pub(super) struct Origin<'a> {
    resource_attributes: Sets<'a>,
    resource_dropped: &'a [i64],
    resource_schema_url: Dict<'a>,
    entity_refs: Dict<'a>,
    scope_name: Dict<'a>,
    scope_version: Dict<'a>,
    scope_attributes: Sets<'a>,
    scope_dropped: &'a [i64],
    scope_schema_url: Dict<'a>,
}

impl<'a> Origin<'a> {
    pub fn new(rows: &'a RecordBatch) -> Option<Self> {
        Some(Origin {
            resource_attributes: rows.sets("resource_attributes", 1)?,
            resource_dropped: rows.int64("resource_dropped_attributes_count")?,
            resource_schema_url: rows.dict("resource_schema_url")?,
            entity_refs: rows.dict("resource_entity_refs")?,
            scope_name: rows.dict("scope_name")?,
            scope_version: rows.dict("scope_version")?,
            scope_attributes: rows.sets("scope_attributes", 3)?,
            scope_dropped: rows.int64("scope_dropped_attributes_count")?,
            scope_schema_url: rows.dict("scope_schema_url")?,
        })
    }

    pub fn mark(&self, levels: &mut [Level]) {
        for column in [&self.scope_name, &self.scope_version, self.scope_attributes.dict(), &self.scope_schema_url] {
            column.mark(Level::Scope, levels);
        }
        mark(self.scope_dropped, Level::Scope, levels);
        for column in [self.resource_attributes.dict(), &self.resource_schema_url, &self.entity_refs] {
            column.mark(Level::Resource, levels);
        }
        mark(self.resource_dropped, Level::Resource, levels);
    }

    /// Closes the scope group that `row` begins around what was written since `start`.
    pub fn scope(&mut self, row: usize, start: usize, out: &mut Writer) {
        out.string(3, self.scope_schema_url.get(row).as_bytes());
        let mark = out.mark();
        out.number(4, u64::from(self.scope_dropped[row] as u32));
        self.scope_attributes.write(row, out);
        out.string(2, self.scope_version.get(row).as_bytes());
        out.string(1, self.scope_name.get(row).as_bytes());
        if out.mark() > mark {
            out.close(1, mark);
        }
        out.close(2, start);
    }

    pub fn resource(&mut self, row: usize, start: usize, out: &mut Writer) {
        out.string(3, self.resource_schema_url.get(row).as_bytes());
        let mark = out.mark();
        write_entity_refs(self.entity_refs.get(row), out);
        out.number(2, u64::from(self.resource_dropped[row] as u32));
        self.resource_attributes.write(row, out);
        if out.mark() > mark {
            out.close(1, mark);
        }
        out.close(1, start);
    }
}

/// The inverse of `decode::origin::entity_to_json`.
fn write_entity_refs(json: &str, out: &mut Writer) {
    if json == "[]" {
        return;
    }
    let Ok(Value::List(entities)) = Value::parse(json) else { return };
    for entity in entities.iter().rev() {
        let Value::Map(entity) = entity else { continue };
        let mark = out.mark();
        for (field, key) in [(4, "description_keys"), (3, "id_keys")] {
            if let Some(Value::List(names)) = entity.get(key) {
                for name in names.iter().rev() {
                    if let Value::String(name) = name {
                        out.len_field(field, name.as_bytes());
                    }
                }
            }
        }
        for (field, key) in [(2, "type"), (1, "schema_url")] {
            if let Some(Value::String(text)) = entity.get(key) {
                out.string(field, text.as_bytes());
            }
        }
        out.close(3, mark);
    }
}

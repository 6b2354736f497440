//! Resource and scope: read once a group, filled in as runs.

use std::borrow::Cow;

use arrow::array::ArrayRef;
use arrow::error::ArrowError;
use xxhash_rust::xxh3::xxh3_64;

use super::columns::{Dict, int64};
use super::each;
use crate::batch::attributes::write_string;
use crate::otlp::MAX_DEPTH;
use crate::otlp::sets::Sets;
use crate::otlp::wire::{Fault, Reader, Value};

/// The bytes of an attribute set, which are one slice unless a sender scattered them.
#[derive(Default)]
pub(super) struct RawSet<'a>(Cow<'a, [u8]>);

impl<'a> RawSet<'a> {
    /// The `KeyValue` that `reader` just read, and those that follow it.
    #[inline]
    pub fn add(&mut self, reader: &mut Reader<'a>) {
        let run = reader.run();
        if self.0.is_empty() {
            self.0 = Cow::Borrowed(run);
        } else {
            self.0.to_mut().extend_from_slice(run);
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A set outside a table's `attributes` column.
pub(super) fn set_json(raw: &RawSet<'_>, sets: &mut Sets) -> Result<Vec<u8>, Fault> {
    let found = sets.find(raw.bytes())?;
    let mut json = Vec::new();
    sets.write(found, raw.bytes(), &mut json)?;
    Ok(json)
}

pub(super) struct Resource<'a> {
    pub id: i64,
    attributes: Vec<u8>,
    dropped: u32,
    entity_refs: Vec<u8>,
    schema_url: &'a [u8],
}

impl<'a> Resource<'a> {
    pub fn read(bytes: &[u8], schema_url: &'a [u8], sets: &mut Sets) -> Result<Self, Fault> {
        let (mut raw, mut dropped, mut entity_refs) = (RawSet::default(), 0, vec![b'[']);
        let mut reader = Reader::new(bytes);
        while let Some((field, value)) = reader.next()? {
            match (field, value) {
                (1, Value::Len(_)) => raw.add(&mut reader),
                (2, Value::Varint(count)) => dropped = count as u32,
                (3, Value::Len(entity)) => {
                    if entity_refs.len() > 1 {
                        entity_refs.push(b',');
                    }
                    entity_to_json(entity, &mut entity_refs)?;
                }
                _ => reader.skip(field, value, MAX_DEPTH)?,
            }
        }
        entity_refs.push(b']');
        let attributes = set_json(&raw, sets)?;
        Ok(Resource { id: xxh3_64(&attributes) as i64, attributes, dropped, entity_refs, schema_url })
    }
}

/// An `EntityRef` as an object; empty fields are left out.
fn entity_to_json(entity: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    out.push(b'{');
    let start = out.len();
    for (number, key) in [(4, "description_keys"), (3, "id_keys")] {
        let mut any = false;
        each(entity, number, |name| {
            if any {
                out.push(b',');
            } else {
                comma(out, start);
                write_string(key.as_bytes(), out);
                out.extend_from_slice(b":[");
            }
            any = true;
            write_string(name, out);
            Ok(())
        })?;
        if any {
            out.push(b']');
        }
    }
    for (number, key) in [(1, "schema_url"), (2, "type")] {
        let mut text = &[][..];
        each(entity, number, |last| {
            text = last;
            Ok(())
        })?;
        if !text.is_empty() {
            comma(out, start);
            write_string(key.as_bytes(), out);
            out.push(b':');
            write_string(text, out);
        }
    }
    out.push(b'}');
    Ok(())
}

fn comma(out: &mut Vec<u8>, start: usize) {
    if out.len() > start {
        out.push(b',');
    }
}

pub(super) struct Scope<'a> {
    name: &'a [u8],
    version: &'a [u8],
    attributes: Vec<u8>,
    dropped: u32,
    schema_url: &'a [u8],
    /// Hashes of name, version and attributes.
    pub identity: [u64; 3],
}

impl<'a> Scope<'a> {
    pub fn read(bytes: &'a [u8], schema_url: &'a [u8], sets: &mut Sets) -> Result<Self, Fault> {
        let (mut name, mut version, mut raw, mut dropped) = (&[][..], &[][..], RawSet::default(), 0);
        let mut reader = Reader::new(bytes);
        while let Some((field, value)) = reader.next()? {
            match (field, value) {
                (1, Value::Len(text)) => name = text,
                (2, Value::Len(text)) => version = text,
                (3, Value::Len(_)) => raw.add(&mut reader),
                (4, Value::Varint(count)) => dropped = count as u32,
                _ => reader.skip(field, value, MAX_DEPTH)?,
            }
        }
        let attributes = set_json(&raw, sets)?;
        let identity = [xxh3_64(name), xxh3_64(version), xxh3_64(&attributes)];
        Ok(Scope { name, version, attributes, dropped, schema_url, identity })
    }
}

/// The first ten columns of every table.
#[derive(Default)]
pub(super) struct Origin {
    resource_id: Vec<i64>,
    resource_attributes: Dict,
    resource_dropped: Vec<i64>,
    resource_schema_url: Dict,
    resource_entity_refs: Dict,
    scope_name: Dict,
    scope_version: Dict,
    scope_attributes: Dict,
    scope_dropped: Vec<i64>,
    scope_schema_url: Dict,
}

impl Origin {
    pub fn reserve(&mut self, rows: usize) {
        self.resource_id.reserve_exact(rows);
        self.resource_dropped.reserve_exact(rows);
        self.scope_dropped.reserve_exact(rows);
        for column in [
            &mut self.resource_attributes,
            &mut self.resource_schema_url,
            &mut self.resource_entity_refs,
            &mut self.scope_name,
            &mut self.scope_version,
            &mut self.scope_attributes,
            &mut self.scope_schema_url,
        ] {
            column.reserve(rows);
        }
    }

    pub fn end_scope(&mut self, scope: &Scope<'_>, rows: usize) {
        if self.scope_dropped.len() == rows {
            return;
        }
        self.scope_name.fill(scope.name, rows);
        self.scope_version.fill(scope.version, rows);
        self.scope_attributes.fill(&scope.attributes, rows);
        self.scope_dropped.resize(rows, i64::from(scope.dropped));
        self.scope_schema_url.fill(scope.schema_url, rows);
    }

    pub fn end_resource(&mut self, resource: &Resource<'_>, rows: usize) {
        if self.resource_id.len() == rows {
            return;
        }
        self.resource_id.resize(rows, resource.id);
        self.resource_attributes.fill(&resource.attributes, rows);
        self.resource_dropped.resize(rows, i64::from(resource.dropped));
        self.resource_schema_url.fill(resource.schema_url, rows);
        self.resource_entity_refs.fill(&resource.entity_refs, rows);
    }

    pub fn finish(self) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut columns = Vec::with_capacity(40);
        columns.push(int64(self.resource_id));
        columns.push(self.resource_attributes.finish()?);
        columns.push(int64(self.resource_dropped));
        columns.push(self.resource_schema_url.finish()?);
        columns.push(self.resource_entity_refs.finish()?);
        columns.push(self.scope_name.finish()?);
        columns.push(self.scope_version.finish()?);
        columns.push(self.scope_attributes.finish()?);
        columns.push(int64(self.scope_dropped));
        columns.push(self.scope_schema_url.finish()?);
        Ok(columns)
    }
}

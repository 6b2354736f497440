//! Spans, their events and links.

use super::columns::{Dict, Ids, Text, int32, int64, structs, times};
use super::origin::{Origin, RawSet, Resource, Scope};
use super::{Error, Items, Within, record_batch};
use crate::batch::{EVENT, LINK, Rows, Table};
use crate::otlp::MAX_DEPTH;
use crate::otlp::sets::Sets;
use crate::otlp::wire::{Fault, Reader, Value};

#[derive(Default)]
pub(super) struct Builder {
    origin: Origin,
    trace_id: Ids<16>,
    span_id: Ids<8>,
    trace_state: Dict,
    parent_span_id: Ids<8>,
    flags: Vec<i64>,
    name: Dict,
    kind: Vec<i32>,
    start: Vec<i64>,
    end: Vec<i64>,
    attributes: Dict,
    dropped_attributes: Vec<i64>,
    events: Events,
    dropped_events: Vec<i64>,
    links: Links,
    dropped_links: Vec<i64>,
    status_code: Vec<i32>,
    status_message: Dict,
}

#[derive(Default)]
struct Events {
    ends: Vec<i32>,
    time: Vec<i64>,
    name: Text,
    attributes: Text,
    dropped: Vec<i64>,
}

#[derive(Default)]
struct Links {
    ends: Vec<i32>,
    trace_id: Ids<16>,
    span_id: Ids<8>,
    trace_state: Text,
    attributes: Text,
    dropped: Vec<i64>,
    flags: Vec<i64>,
}

impl Events {
    fn push(&mut self, bytes: &[u8], sets: &mut Sets) -> Result<(), Fault> {
        let (mut time, mut name, mut attributes, mut dropped) = (0, &[][..], RawSet::default(), 0u32);
        let mut reader = Reader::new(bytes);
        while let Some((field, value)) = reader.next()? {
            match (field, value) {
                (1, Value::Fixed64(nanos)) => time = nanos as i64,
                (2, Value::Len(text)) => name = text,
                (3, Value::Len(_)) => attributes.add(&mut reader),
                (4, Value::Varint(count)) => dropped = count as u32,
                _ => reader.skip(field, value, MAX_DEPTH)?,
            }
        }
        self.time.push(time);
        self.name.push(name);
        self.attributes.push_set(attributes.bytes(), sets)?;
        self.dropped.push(i64::from(dropped));
        Ok(())
    }
}

impl Links {
    fn push(&mut self, bytes: &[u8], sets: &mut Sets) -> Result<(), Fault> {
        let (mut trace_id, mut span_id, mut trace_state) = (&[][..], &[][..], &[][..]);
        let (mut attributes, mut dropped, mut flags) = (RawSet::default(), 0u32, 0u32);
        let mut reader = Reader::new(bytes);
        while let Some((field, value)) = reader.next()? {
            match (field, value) {
                (1, Value::Len(id)) => trace_id = id,
                (2, Value::Len(id)) => span_id = id,
                (3, Value::Len(text)) => trace_state = text,
                (4, Value::Len(_)) => attributes.add(&mut reader),
                (5, Value::Varint(count)) => dropped = count as u32,
                (6, Value::Fixed32(bits)) => flags = bits,
                _ => reader.skip(field, value, MAX_DEPTH)?,
            }
        }
        self.trace_id.push(trace_id);
        self.span_id.push(span_id);
        self.trace_state.push(trace_state);
        self.attributes.push_set(attributes.bytes(), sets)?;
        self.dropped.push(i64::from(dropped));
        self.flags.push(i64::from(flags));
        Ok(())
    }
}

/// The last message and code of a status; parts of a split status follow one another.
fn status<'a>(bytes: &'a [u8], message: &mut &'a [u8], code: &mut i32) -> Result<(), Fault> {
    let mut reader = Reader::new(bytes);
    while let Some((field, value)) = reader.next()? {
        match (field, value) {
            (2, Value::Len(text)) => *message = text,
            (3, Value::Varint(number)) => *code = number as i32,
            _ => reader.skip(field, value, MAX_DEPTH)?,
        }
    }
    Ok(())
}

impl Builder {
    pub fn with_capacity(rows: usize) -> Builder {
        let mut builder = Builder::default();
        builder.origin.reserve(rows);
        builder.trace_id.reserve(rows);
        builder.span_id.reserve(rows);
        builder.parent_span_id.reserve(rows);
        for column in [
            &mut builder.flags,
            &mut builder.start,
            &mut builder.end,
            &mut builder.dropped_attributes,
            &mut builder.dropped_events,
            &mut builder.dropped_links,
        ] {
            column.reserve_exact(rows);
        }
        for column in [&mut builder.kind, &mut builder.status_code, &mut builder.events.ends, &mut builder.links.ends] {
            column.reserve_exact(rows + 1);
        }
        for column in
            [&mut builder.trace_state, &mut builder.name, &mut builder.attributes, &mut builder.status_message]
        {
            column.reserve(rows);
        }
        builder
    }

    pub fn finish(self) -> Result<Rows, Error> {
        let mut columns = self.origin.finish()?;
        columns.push(self.trace_id.finish()?);
        columns.push(self.span_id.finish()?);
        columns.push(self.trace_state.finish()?);
        columns.push(self.parent_span_id.finish()?);
        columns.push(int64(self.flags));
        columns.push(self.name.finish()?);
        columns.push(int32(self.kind));
        columns.push(times(self.start));
        columns.push(times(self.end));
        columns.push(self.attributes.finish()?);
        columns.push(int64(self.dropped_attributes));
        let Events { ends, time, name, attributes, dropped } = self.events;
        let (name, attributes) = (name.finish(None)?, attributes.finish(None)?);
        let events = vec![times(time), std::sync::Arc::new(name), std::sync::Arc::new(attributes), int64(dropped)];
        columns.push(structs(ends, &EVENT, events)?);
        columns.push(int64(self.dropped_events));
        let links = vec![
            self.links.trace_id.finish()?,
            self.links.span_id.finish()?,
            std::sync::Arc::new(self.links.trace_state.finish(None)?),
            std::sync::Arc::new(self.links.attributes.finish(None)?),
            int64(self.links.dropped),
            int64(self.links.flags),
        ];
        columns.push(structs(self.links.ends, &LINK, links)?);
        columns.push(int64(self.dropped_links));
        columns.push(int32(self.status_code));
        columns.push(self.status_message.finish()?);
        Ok(Rows::new([record_batch(Table::Spans, columns)?]))
    }
}

impl Items for Builder {
    fn item(&mut self, bytes: &[u8], _: &Within<'_>, sets: &mut Sets) -> Result<(), Fault> {
        let (mut trace_id, mut span_id, mut parent, mut trace_state) = (&[][..], &[][..], &[][..], &[][..]);
        let (mut name, mut kind, mut start, mut end, mut flags) = (&[][..], 0, 0, 0, 0u32);
        let (mut attributes, mut dropped_attributes) = (RawSet::default(), 0u32);
        let (mut dropped_events, mut dropped_links, mut message, mut code) = (0u32, 0u32, &[][..], 0);
        let mut reader = Reader::new(bytes);
        while let Some((field, value)) = reader.next()? {
            match (field, value) {
                (1, Value::Len(id)) => trace_id = id,
                (2, Value::Len(id)) => span_id = id,
                (3, Value::Len(text)) => trace_state = text,
                (4, Value::Len(id)) => parent = id,
                (5, Value::Len(text)) => name = text,
                (6, Value::Varint(number)) => kind = number as i32,
                (7, Value::Fixed64(nanos)) => start = nanos as i64,
                (8, Value::Fixed64(nanos)) => end = nanos as i64,
                (9, Value::Len(_)) => attributes.add(&mut reader),
                (10, Value::Varint(count)) => dropped_attributes = count as u32,
                (11, Value::Len(event)) => self.events.push(event, sets)?,
                (12, Value::Varint(count)) => dropped_events = count as u32,
                (13, Value::Len(link)) => self.links.push(link, sets)?,
                (14, Value::Varint(count)) => dropped_links = count as u32,
                (15, Value::Len(bytes)) => status(bytes, &mut message, &mut code)?,
                (16, Value::Fixed32(bits)) => flags = bits,
                _ => reader.skip(field, value, MAX_DEPTH)?,
            }
        }
        self.trace_id.push(trace_id);
        self.span_id.push(span_id);
        self.trace_state.push(trace_state);
        self.parent_span_id.push(parent);
        self.flags.push(i64::from(flags));
        self.name.push(name);
        self.kind.push(kind);
        self.start.push(start);
        self.end.push(end);
        self.attributes.push_set(Table::Spans, attributes.bytes(), sets)?;
        self.dropped_attributes.push(i64::from(dropped_attributes));
        self.events.ends.push(self.events.time.len() as i32);
        self.dropped_events.push(i64::from(dropped_events));
        self.links.ends.push(self.links.dropped.len() as i32);
        self.dropped_links.push(i64::from(dropped_links));
        self.status_code.push(code);
        self.status_message.push(message);
        Ok(())
    }

    fn end_scope(&mut self, scope: &Scope<'_>) {
        self.origin.end_scope(scope, self.kind.len());
    }

    fn end_resource(&mut self, resource: &Resource<'_>) {
        self.origin.end_resource(resource, self.kind.len());
    }
}

//! Spans, their events and links.

use arrow::array::{AsArray, FixedSizeBinaryArray, ListArray, RecordBatch, StringArray};

use super::Items;
use super::columns::{Columns, Dict, Sets, id, items, write_set};
use crate::otlp::wire::Writer;

pub(super) struct Spans<'a> {
    trace_id: &'a FixedSizeBinaryArray,
    span_id: &'a FixedSizeBinaryArray,
    trace_state: Dict<'a>,
    parent_span_id: &'a FixedSizeBinaryArray,
    flags: &'a [i64],
    name: Dict<'a>,
    kind: &'a [i32],
    start: &'a [i64],
    end: &'a [i64],
    attributes: Sets<'a>,
    dropped_attributes: &'a [i64],
    events: Events<'a>,
    dropped_events: &'a [i64],
    links: Links<'a>,
    dropped_links: &'a [i64],
    status_code: &'a [i32],
    status_message: Dict<'a>,
    scratch: Vec<u8>,
}

struct Events<'a> {
    list: &'a ListArray,
    time: &'a [i64],
    name: &'a StringArray,
    attributes: &'a StringArray,
    dropped: &'a [i64],
}

struct Links<'a> {
    list: &'a ListArray,
    trace_id: &'a FixedSizeBinaryArray,
    span_id: &'a FixedSizeBinaryArray,
    trace_state: &'a StringArray,
    attributes: &'a StringArray,
    dropped: &'a [i64],
    flags: &'a [i64],
}

impl<'a> Spans<'a> {
    pub fn new(rows: &'a RecordBatch) -> Option<Self> {
        let events = rows.list("events")?;
        let event = events.values().as_struct_opt()?;
        let links = rows.list("links")?;
        let link = links.values().as_struct_opt()?;
        Some(Spans {
            trace_id: rows.ids("trace_id")?,
            span_id: rows.ids("span_id")?,
            trace_state: rows.dict("trace_state")?,
            parent_span_id: rows.ids("parent_span_id")?,
            flags: rows.int64("flags")?,
            name: rows.dict("name")?,
            kind: rows.int32("kind")?,
            start: rows.times("start_time_unix_nano")?,
            end: rows.times("end_time_unix_nano")?,
            attributes: rows.sets("attributes", 9)?,
            dropped_attributes: rows.int64("dropped_attributes_count")?,
            events: Events {
                list: events,
                time: event.times("time_unix_nano")?,
                name: event.text("name")?,
                attributes: event.text("attributes")?,
                dropped: event.int64("dropped_attributes_count")?,
            },
            dropped_events: rows.int64("dropped_events_count")?,
            links: Links {
                list: links,
                trace_id: link.ids("trace_id")?,
                span_id: link.ids("span_id")?,
                trace_state: link.text("trace_state")?,
                attributes: link.text("attributes")?,
                dropped: link.int64("dropped_attributes_count")?,
                flags: link.int64("flags")?,
            },
            dropped_links: rows.int64("dropped_links_count")?,
            status_code: rows.int32("status_code")?,
            status_message: rows.dict("status_message")?,
            scratch: Vec::new(),
        })
    }

    fn links(&mut self, row: usize, out: &mut Writer) {
        let links = &self.links;
        for link in items(links.list, row).rev() {
            let mark = out.mark();
            out.fixed32(6, links.flags[link] as u32);
            out.number(5, u64::from(links.dropped[link] as u32));
            write_set(links.attributes.value(link), 4, &mut self.scratch, out);
            out.string(3, links.trace_state.value(link).as_bytes());
            out.string(2, id(links.span_id, link));
            out.string(1, id(links.trace_id, link));
            out.close(13, mark);
        }
    }

    fn events(&mut self, row: usize, out: &mut Writer) {
        let events = &self.events;
        for event in items(events.list, row).rev() {
            let mark = out.mark();
            out.number(4, u64::from(events.dropped[event] as u32));
            write_set(events.attributes.value(event), 3, &mut self.scratch, out);
            out.string(2, events.name.value(event).as_bytes());
            out.fixed64(1, events.time[event] as u64);
            out.close(11, mark);
        }
    }
}

impl Items for Spans<'_> {
    fn item(&mut self, row: usize, out: &mut Writer) {
        let start = out.mark();
        out.fixed32(16, self.flags[row] as u32);
        let status = out.mark();
        out.int32(3, self.status_code[row]);
        out.string(2, self.status_message.get(row).as_bytes());
        if out.mark() > status {
            out.close(15, status);
        }
        out.number(14, u64::from(self.dropped_links[row] as u32));
        self.links(row, out);
        out.number(12, u64::from(self.dropped_events[row] as u32));
        self.events(row, out);
        out.number(10, u64::from(self.dropped_attributes[row] as u32));
        self.attributes.write(row, out);
        out.fixed64(8, self.end[row] as u64);
        out.fixed64(7, self.start[row] as u64);
        out.int32(6, self.kind[row]);
        out.string(5, self.name.get(row).as_bytes());
        out.string(4, id(self.parent_span_id, row));
        out.string(3, self.trace_state.get(row).as_bytes());
        out.string(2, id(self.span_id, row));
        out.string(1, id(self.trace_id, row));
        out.close(2, start);
    }
}

//! The walk over a request's bytes, driven by a table of OTLP's messages.

use super::wire::{Fault, Reader, Value, short_field};
use super::{FREE_ITEMS, MAX_BYTES, MAX_DEPTH, MIN_ITEM_BYTES, Malformed, TOO_DEEP};
use crate::batch::{Signal, Times};

#[derive(Clone, Copy)]
enum Kind {
    Unknown,
    Varint,
    Fixed64,
    /// An item's time, and what counts where that is 0.
    Time,
    Observed,
    Fixed32,
    Text,
    Bytes,
    /// Bytes of this length, or none.
    Id(usize),
    /// Repeated, packed or not.
    Varints,
    Fixed64s,
    Message(&'static Message),
    /// A `KeyValue`: most of what there is.
    Pair,
    /// An `AnyValue`.
    Any,
    /// A message that is a point, record or span.
    Item(&'static Message),
    /// A message with items, of which only the kind that comes last counts.
    OneOf(&'static Message),
}

/// What makes an item invalid though its bytes are well-formed; see `otlp::valid`.
#[derive(Clone, Copy, PartialEq)]
enum Rule {
    None,
    /// Fields 1 and 2 are ids, and neither is empty or all zero.
    Ids,
    /// Fields 6 and 7 are both empty, or 6 has one value more.
    Buckets,
}

struct Message {
    name: &'static str,
    /// By field number.
    kinds: [Kind; 17],
    names: [&'static str; 17],
    rule: Rule,
}

const fn message(name: &'static str, fields: &[(usize, &'static str, Kind)]) -> Message {
    let (mut kinds, mut names) = ([Kind::Unknown; 17], [""; 17]);
    let mut i = 0;
    while i < fields.len() {
        let (number, name, kind) = fields[i];
        (kinds[number], names[number]) = (kind, name);
        i += 1;
    }
    Message { name, kinds, names, rule: Rule::None }
}

const fn ruled(rule: Rule, message: Message) -> Message {
    Message { rule, ..message }
}

use Kind::Message as Of;
use Kind::{Any, Bytes, Fixed32, Fixed64, Fixed64s, Id, Item, Observed, OneOf, Pair, Text, Time, Varint, Varints};

static ANY_VALUE: Message = message(
    "AnyValue",
    &[
        (1, "string_value", Text),
        (2, "bool_value", Varint),
        (3, "int_value", Varint),
        (4, "double_value", Fixed64),
        (5, "array_value", Of(&ARRAY_VALUE)),
        (6, "kvlist_value", Of(&KEY_VALUE_LIST)),
        (7, "bytes_value", Bytes),
        (8, "string_value_strindex", Varint),
    ],
);
static ARRAY_VALUE: Message = message("ArrayValue", &[(1, "values", Any)]);
static KEY_VALUE_LIST: Message = message("KeyValueList", &[(1, "values", Pair)]);
static KEY_VALUE: Message = message("KeyValue", &[(1, "key", Text), (2, "value", Any), (3, "key_strindex", Varint)]);
static ENTITY_REF: Message = message(
    "EntityRef",
    &[(1, "schema_url", Text), (2, "type", Text), (3, "id_keys", Text), (4, "description_keys", Text)],
);
static RESOURCE: Message = message(
    "Resource",
    &[(1, "attributes", Pair), (2, "dropped_attributes_count", Varint), (3, "entity_refs", Of(&ENTITY_REF))],
);
static SCOPE: Message = message(
    "InstrumentationScope",
    &[(1, "name", Text), (2, "version", Text), (3, "attributes", Pair), (4, "dropped_attributes_count", Varint)],
);

static METRICS: Message = message("ExportMetricsServiceRequest", &[(1, "resource_metrics", Of(&RESOURCE_METRICS))]);
static RESOURCE_METRICS: Message = message(
    "ResourceMetrics",
    &[(1, "resource", Of(&RESOURCE)), (2, "scope_metrics", Of(&SCOPE_METRICS)), (3, "schema_url", Text)],
);
static SCOPE_METRICS: Message =
    message("ScopeMetrics", &[(1, "scope", Of(&SCOPE)), (2, "metrics", Of(&METRIC)), (3, "schema_url", Text)]);
static METRIC: Message = message(
    "Metric",
    &[
        (1, "name", Text),
        (2, "description", Text),
        (3, "unit", Text),
        (5, "gauge", OneOf(&GAUGE)),
        (7, "sum", OneOf(&SUM)),
        (9, "histogram", OneOf(&HISTOGRAM)),
        (10, "exponential_histogram", OneOf(&EXPONENTIAL_HISTOGRAM)),
        (11, "summary", OneOf(&SUMMARY)),
        (12, "metadata", Pair),
    ],
);
static GAUGE: Message = message("Gauge", &[(1, "data_points", Item(&NUMBER_DATA_POINT))]);
static SUM: Message = message(
    "Sum",
    &[
        (1, "data_points", Item(&NUMBER_DATA_POINT)),
        (2, "aggregation_temporality", Varint),
        (3, "is_monotonic", Varint),
    ],
);
static HISTOGRAM: Message =
    message("Histogram", &[(1, "data_points", Item(&HISTOGRAM_DATA_POINT)), (2, "aggregation_temporality", Varint)]);
static EXPONENTIAL_HISTOGRAM: Message = message(
    "ExponentialHistogram",
    &[(1, "data_points", Item(&EXPONENTIAL_HISTOGRAM_DATA_POINT)), (2, "aggregation_temporality", Varint)],
);
static SUMMARY: Message = message("Summary", &[(1, "data_points", Item(&SUMMARY_DATA_POINT))]);
static NUMBER_DATA_POINT: Message = message(
    "NumberDataPoint",
    &[
        (2, "start_time_unix_nano", Fixed64),
        (3, "time_unix_nano", Time),
        (4, "as_double", Fixed64),
        (5, "exemplars", Of(&EXEMPLAR)),
        (6, "as_int", Fixed64),
        (7, "attributes", Pair),
        (8, "flags", Varint),
    ],
);
static HISTOGRAM_DATA_POINT: Message = ruled(
    Rule::Buckets,
    message(
        "HistogramDataPoint",
        &[
            (2, "start_time_unix_nano", Fixed64),
            (3, "time_unix_nano", Time),
            (4, "count", Fixed64),
            (5, "sum", Fixed64),
            (6, "bucket_counts", Fixed64s),
            (7, "explicit_bounds", Fixed64s),
            (8, "exemplars", Of(&EXEMPLAR)),
            (9, "attributes", Pair),
            (10, "flags", Varint),
            (11, "min", Fixed64),
            (12, "max", Fixed64),
        ],
    ),
);
static EXPONENTIAL_HISTOGRAM_DATA_POINT: Message = message(
    "ExponentialHistogramDataPoint",
    &[
        (1, "attributes", Pair),
        (2, "start_time_unix_nano", Fixed64),
        (3, "time_unix_nano", Time),
        (4, "count", Fixed64),
        (5, "sum", Fixed64),
        (6, "scale", Varint),
        (7, "zero_count", Fixed64),
        (8, "positive", Of(&BUCKETS)),
        (9, "negative", Of(&BUCKETS)),
        (10, "flags", Varint),
        (11, "exemplars", Of(&EXEMPLAR)),
        (12, "min", Fixed64),
        (13, "max", Fixed64),
        (14, "zero_threshold", Fixed64),
    ],
);
static BUCKETS: Message = message("Buckets", &[(1, "offset", Varint), (2, "bucket_counts", Varints)]);
static SUMMARY_DATA_POINT: Message = message(
    "SummaryDataPoint",
    &[
        (2, "start_time_unix_nano", Fixed64),
        (3, "time_unix_nano", Time),
        (4, "count", Fixed64),
        (5, "sum", Fixed64),
        (6, "quantile_values", Of(&VALUE_AT_QUANTILE)),
        (7, "attributes", Pair),
        (8, "flags", Varint),
    ],
);
static VALUE_AT_QUANTILE: Message = message("ValueAtQuantile", &[(1, "quantile", Fixed64), (2, "value", Fixed64)]);
static EXEMPLAR: Message = message(
    "Exemplar",
    &[
        (2, "time_unix_nano", Fixed64),
        (3, "as_double", Fixed64),
        (4, "span_id", Id(8)),
        (5, "trace_id", Id(16)),
        (6, "as_int", Fixed64),
        (7, "filtered_attributes", Pair),
    ],
);

static LOGS: Message = message("ExportLogsServiceRequest", &[(1, "resource_logs", Of(&RESOURCE_LOGS))]);
static RESOURCE_LOGS: Message = message(
    "ResourceLogs",
    &[(1, "resource", Of(&RESOURCE)), (2, "scope_logs", Of(&SCOPE_LOGS)), (3, "schema_url", Text)],
);
static SCOPE_LOGS: Message =
    message("ScopeLogs", &[(1, "scope", Of(&SCOPE)), (2, "log_records", Item(&LOG_RECORD)), (3, "schema_url", Text)]);
static LOG_RECORD: Message = message(
    "LogRecord",
    &[
        (1, "time_unix_nano", Time),
        (2, "severity_number", Varint),
        (3, "severity_text", Text),
        (5, "body", Any),
        (6, "attributes", Pair),
        (7, "dropped_attributes_count", Varint),
        (8, "flags", Fixed32),
        (9, "trace_id", Id(16)),
        (10, "span_id", Id(8)),
        (11, "observed_time_unix_nano", Observed),
        (12, "event_name", Text),
    ],
);

static TRACES: Message = message("ExportTraceServiceRequest", &[(1, "resource_spans", Of(&RESOURCE_SPANS))]);
static RESOURCE_SPANS: Message = message(
    "ResourceSpans",
    &[(1, "resource", Of(&RESOURCE)), (2, "scope_spans", Of(&SCOPE_SPANS)), (3, "schema_url", Text)],
);
static SCOPE_SPANS: Message =
    message("ScopeSpans", &[(1, "scope", Of(&SCOPE)), (2, "spans", Item(&SPAN)), (3, "schema_url", Text)]);
static SPAN: Message = ruled(
    Rule::Ids,
    message(
        "Span",
        &[
            (1, "trace_id", Id(16)),
            (2, "span_id", Id(8)),
            (3, "trace_state", Text),
            (4, "parent_span_id", Id(8)),
            (5, "name", Text),
            (6, "kind", Varint),
            (7, "start_time_unix_nano", Time),
            (8, "end_time_unix_nano", Fixed64),
            (9, "attributes", Pair),
            (10, "dropped_attributes_count", Varint),
            (11, "events", Of(&EVENT)),
            (12, "dropped_events_count", Varint),
            (13, "links", Of(&LINK)),
            (14, "dropped_links_count", Varint),
            (15, "status", Of(&STATUS)),
            (16, "flags", Fixed32),
        ],
    ),
);
static EVENT: Message = message(
    "Span.Event",
    &[
        (1, "time_unix_nano", Fixed64),
        (2, "name", Text),
        (3, "attributes", Pair),
        (4, "dropped_attributes_count", Varint),
    ],
);
static LINK: Message = message(
    "Span.Link",
    &[
        (1, "trace_id", Id(16)),
        (2, "span_id", Id(8)),
        (3, "trace_state", Text),
        (4, "attributes", Pair),
        (5, "dropped_attributes_count", Varint),
        (6, "flags", Fixed32),
    ],
);
static STATUS: Message = message("Status", &[(2, "message", Text), (3, "code", Varint)]);

pub(crate) fn check(signal: Signal, bytes: &[u8]) -> Result<Checked, Malformed> {
    let root = match signal {
        Signal::Metrics => &METRICS,
        Signal::Logs | Signal::Alerts => &LOGS,
        Signal::Traces => &TRACES,
    };
    let refuse = |offset, what| Err(Malformed { offset, place: root.name.to_owned(), what });
    if bytes.len() > MAX_BYTES {
        return refuse(MAX_BYTES, "a request over 128 MiB");
    }
    let mut walk = Walk { found: Checked::default(), time: 0, observed: 0, place: None };
    if let Err(fault) = walk.message(root, bytes, MAX_DEPTH) {
        let place = match walk.place {
            None => root.name.to_owned(),
            Some((message, "")) => message.to_owned(),
            Some((message, field)) => format!("{message}.{field}"),
        };
        return Err(Malformed { offset: fault.offset(bytes), place, what: fault.what });
    }
    let items = walk.found.items;
    if items > FREE_ITEMS && items - FREE_ITEMS > bytes.len() / MIN_ITEM_BYTES {
        return refuse(bytes.len(), "over 1000 items of under 8 bytes each: items without time or content");
    }
    Ok(walk.found)
}

/// What a walk counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    pub items: usize,
    /// Of `items`, those that OTLP's data model calls invalid.
    pub invalid: usize,
    /// Of `items`; and of points that another kind of data replaced, so that it may be wider than the truth.
    pub times: Times,
}

impl Checked {
    fn minus(self, other: Checked) -> Checked {
        Checked { items: self.items - other.items, invalid: self.invalid - other.invalid, times: self.times }
    }
}

impl Rule {
    #[inline]
    fn holds(self, ids: u32, [counts, bounds]: [usize; 2]) -> bool {
        match self {
            Rule::None => true,
            Rule::Ids => ids & 0b110 == 0b110,
            Rule::Buckets => counts == bounds + 1 || counts + bounds == 0,
        }
    }
}

struct Walk {
    found: Checked,
    /// Of the item that is being walked: items are not in one another.
    time: u64,
    observed: u64,
    /// Message and field of the innermost fault.
    place: Option<(&'static str, &'static str)>,
}

impl Walk {
    fn message(&mut self, message: &'static Message, bytes: &[u8], depth: u32) -> Result<(), Fault> {
        let mut reader = Reader::new(bytes);
        // The kind of a `OneOf` and what was found in it, which another kind replaces.
        let mut one_of = (0, Checked::default());
        // For the message's rule: which ids are there, by field number; the lengths of fields 6 and 7.
        let (mut ids, mut lists) = (0u32, [0usize; 2]);
        loop {
            let (number, value) = match reader.next() {
                Ok(Some(field)) => field,
                Ok(None) => {
                    self.found.invalid += usize::from(!message.rule.holds(ids, lists));
                    return Ok(());
                }
                Err(fault) => return self.fault(fault, (message.name, "")),
            };
            let kind = message.kinds.get(number as usize).copied().unwrap_or(Kind::Unknown);
            let outcome = match (kind, value) {
                (Text, Value::Len(text)) if is_utf8(text) => Ok(()),
                (Pair, Value::Len(pair)) if depth > 1 && is_plain_pair(pair) => {
                    reader.skip_neighbours(is_plain_pair);
                    Ok(())
                }
                (Pair, Value::Len(pair)) if depth > 0 => self.message(&KEY_VALUE, pair, depth - 1),
                (Any, Value::Len(value)) if depth > 0 && is_plain_value(value) => Ok(()),
                (Any, Value::Len(value)) if depth > 0 => self.message(&ANY_VALUE, value, depth - 1),
                (Of(inner), Value::Len(bytes)) if depth > 0 => self.message(inner, bytes, depth - 1),
                (Item(inner), Value::Len(bytes)) if depth > 0 => {
                    self.found.items += 1;
                    (self.time, self.observed) = (0, 0);
                    let outcome = self.message(inner, bytes, depth - 1);
                    self.found.times.note(if self.time == 0 { self.observed } else { self.time });
                    outcome
                }
                (OneOf(inner), Value::Len(bytes)) if depth > 0 => {
                    if number != one_of.0 {
                        self.found = self.found.minus(one_of.1);
                        one_of = (number, Checked::default());
                    }
                    let others = self.found.minus(one_of.1);
                    let outcome = self.message(inner, bytes, depth - 1);
                    one_of.1 = self.found.minus(others);
                    outcome
                }
                (Varint | Varints, Value::Varint(_)) => Ok(()),
                (Fixed64, Value::Fixed64(_)) => Ok(()),
                (Time, Value::Fixed64(time)) => {
                    self.time = time;
                    Ok(())
                }
                (Observed, Value::Fixed64(time)) => {
                    self.observed = time;
                    Ok(())
                }
                (Fixed32, Value::Fixed32(_)) => Ok(()),
                (Bytes, Value::Len(_)) => Ok(()),
                (Id(len), Value::Len(id)) if id.len() == len || id.is_empty() => {
                    let there = u32::from(id.iter().any(|byte| *byte != 0));
                    ids = ids & !(1 << number) | there << number;
                    Ok(())
                }
                (Varints, Value::Len(packed)) => packed_varints(packed),
                (Fixed64s, Value::Fixed64(_)) => {
                    lists[number as usize & 1] += 1;
                    Ok(())
                }
                (Fixed64s, Value::Len(packed)) if packed.len() % 8 == 0 => {
                    lists[number as usize & 1] += packed.len() / 8;
                    Ok(())
                }
                (Kind::Unknown, value) => reader.skip(number, value, depth),
                (kind, value) => Err(Fault::new(reader.start(), complaint(kind, value))),
            };
            if let Err(fault) = outcome {
                let field = message.names.get(number as usize).copied().unwrap_or_default();
                return self.fault(fault, (message.name, field));
            }
        }
    }

    #[cold]
    fn fault(&mut self, fault: Fault, place: (&'static str, &'static str)) -> Result<(), Fault> {
        self.place.get_or_insert(place);
        Err(fault)
    }
}

#[cold]
fn complaint(kind: Kind, value: Value<'_>) -> &'static str {
    match (kind, value) {
        (Text, Value::Len(_)) => "text is not UTF-8",
        (Id(16), Value::Len(_)) => "a trace id has 16 bytes, or none",
        (Id(_), Value::Len(_)) => "a span id has 8 bytes, or none",
        (Fixed64s, Value::Len(_)) => "not a whole number of 8-byte values",
        (Of(_) | Pair | Any | Item(_) | OneOf(_), Value::Len(_)) => TOO_DEEP,
        _ => "another wire type than this field has",
    }
}

/// A key and a string or number, written the one short way that nearly every sender writes them. Whatever else there is
/// goes through the table.
#[inline]
fn is_plain_pair(pair: &[u8]) -> bool {
    let Some((key, rest)) = short_field(0x0a, pair) else { return false };
    let Some((value, [])) = short_field(0x12, rest) else { return false };
    is_utf8(key) && is_plain_value(value)
}

#[inline]
fn is_plain_value(value: &[u8]) -> bool {
    if let Some((text, [])) = short_field(0x0a, value) {
        return is_utf8(text);
    }
    match value {
        // A boolean or an integer, but for the longest varints.
        [0x10 | 0x18, ..0x80] => true,
        [0x18, varint @ .., ..0x80] => varint.len() < 9 && varint.iter().all(|byte| *byte >= 0x80),
        // A double.
        [0x21, double @ ..] => double.len() == 8,
        _ => false,
    }
}

fn packed_varints(packed: &[u8]) -> Result<(), Fault> {
    let mut reader = Reader::new(packed);
    while !reader.is_empty() {
        reader.varint()?;
    }
    Ok(())
}

#[inline]
fn is_utf8(text: &[u8]) -> bool {
    // Short and ASCII is the rule; simdutf8 pays from some 64 bytes on.
    if text.len() < 64 {
        is_ascii(text) || std::str::from_utf8(text).is_ok()
    } else {
        simdutf8::basic::from_utf8(text).is_ok()
    }
}

/// The standard library's looks at the odd bytes at the end one by one, which for short text is most of the time.
#[inline]
fn is_ascii(text: &[u8]) -> bool {
    let ends = |first: &[u8; 4], last: &[u8; 4]| u32::from_ne_bytes(*first) | u32::from_ne_bytes(*last);
    match (text.first_chunk(), text.last_chunk(), text.last_chunk::<8>()) {
        (_, _, Some(last)) => {
            let words = text.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word));
            words.fold(u64::from_ne_bytes(*last), |all, word| all | word) & 0x8080_8080_8080_8080 == 0
        }
        (Some(first), Some(last), None) => ends(first, last) & 0x8080_8080 == 0,
        _ => text.iter().all(u8::is_ascii),
    }
}

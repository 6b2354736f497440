//! The messages of OTLP 1.x as data: names, numbers and kinds of their fields, from opentelemetry-proto.

pub(super) struct Message {
    pub(super) fields: &'static [Field],
}

pub(super) struct Field {
    /// As JSON has it.
    pub(super) name: &'static str,
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) repeated: bool,
    /// Of its message's one `oneof`: of those that are there, the last one counts.
    pub(super) one_of: bool,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Bool,
    Uint32,
    Sint32,
    /// Names by number.
    Enum(&'static [&'static str]),
    Int64,
    Uint64,
    Fixed32,
    Fixed64,
    Sfixed64,
    Double,
    String,
    /// Base64 in JSON.
    Bytes,
    /// Hex in JSON.
    Id,
    Message(&'static Message),
}

impl Kind {
    pub(super) fn wire_type(self) -> u8 {
        match self {
            Kind::Bool | Kind::Uint32 | Kind::Sint32 | Kind::Enum(_) | Kind::Int64 | Kind::Uint64 => 0,
            Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => 1,
            Kind::String | Kind::Bytes | Kind::Id | Kind::Message(_) => 2,
            Kind::Fixed32 => 5,
        }
    }
}

impl Message {
    pub(super) fn by_name(&self, name: &str) -> Option<&'static Field> {
        let found = self.fields.iter().find(|field| field.name == name);
        if found.is_some() || !name.contains('_') {
            return found;
        }
        self.fields.iter().find(|field| snake_case_of(field.name).eq(name.bytes()))
    }

    pub(super) fn by_number(&self, number: u32) -> Option<usize> {
        self.fields.iter().position(|field| field.number == number)
    }
}

fn snake_case_of(camel: &str) -> impl Iterator<Item = u8> {
    camel
        .bytes()
        .flat_map(|byte| byte.is_ascii_uppercase().then_some(b'_').into_iter().chain([byte.to_ascii_lowercase()]))
}

const fn one(name: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, number, kind, repeated: false, one_of: false }
}

const fn many(name: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, number, kind, repeated: true, one_of: false }
}

const fn one_of(name: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, number, kind, repeated: false, one_of: true }
}

const TEMPORALITY: Kind = Kind::Enum(&[
    "AGGREGATION_TEMPORALITY_UNSPECIFIED",
    "AGGREGATION_TEMPORALITY_DELTA",
    "AGGREGATION_TEMPORALITY_CUMULATIVE",
]);
const SPAN_KIND: Kind = Kind::Enum(&[
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
]);
const STATUS_CODE: Kind = Kind::Enum(&["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"]);
const SEVERITY: Kind = Kind::Enum(&[
    "SEVERITY_NUMBER_UNSPECIFIED",
    "SEVERITY_NUMBER_TRACE",
    "SEVERITY_NUMBER_TRACE2",
    "SEVERITY_NUMBER_TRACE3",
    "SEVERITY_NUMBER_TRACE4",
    "SEVERITY_NUMBER_DEBUG",
    "SEVERITY_NUMBER_DEBUG2",
    "SEVERITY_NUMBER_DEBUG3",
    "SEVERITY_NUMBER_DEBUG4",
    "SEVERITY_NUMBER_INFO",
    "SEVERITY_NUMBER_INFO2",
    "SEVERITY_NUMBER_INFO3",
    "SEVERITY_NUMBER_INFO4",
    "SEVERITY_NUMBER_WARN",
    "SEVERITY_NUMBER_WARN2",
    "SEVERITY_NUMBER_WARN3",
    "SEVERITY_NUMBER_WARN4",
    "SEVERITY_NUMBER_ERROR",
    "SEVERITY_NUMBER_ERROR2",
    "SEVERITY_NUMBER_ERROR3",
    "SEVERITY_NUMBER_ERROR4",
    "SEVERITY_NUMBER_FATAL",
    "SEVERITY_NUMBER_FATAL2",
    "SEVERITY_NUMBER_FATAL3",
    "SEVERITY_NUMBER_FATAL4",
]);

pub(super) static METRICS_REQUEST: Message =
    Message { fields: &[many("resourceMetrics", 1, Kind::Message(&RESOURCE_METRICS))] };
pub(super) static LOGS_REQUEST: Message = Message { fields: &[many("resourceLogs", 1, Kind::Message(&RESOURCE_LOGS))] };
pub(super) static TRACES_REQUEST: Message =
    Message { fields: &[many("resourceSpans", 1, Kind::Message(&RESOURCE_SPANS))] };

static KEY_VALUE: Message =
    Message { fields: &[one("key", 1, Kind::String), one("value", 2, Kind::Message(&ANY_VALUE))] };

static ANY_VALUE: Message = Message {
    fields: &[
        one_of("stringValue", 1, Kind::String),
        one_of("boolValue", 2, Kind::Bool),
        one_of("intValue", 3, Kind::Int64),
        one_of("doubleValue", 4, Kind::Double),
        one_of("arrayValue", 5, Kind::Message(&ARRAY_VALUE)),
        one_of("kvlistValue", 6, Kind::Message(&KEY_VALUE_LIST)),
        one_of("bytesValue", 7, Kind::Bytes),
        // An int32; for profiles only.
        one_of("stringValueStrindex", 8, Kind::Enum(&[])),
    ],
};
static ARRAY_VALUE: Message = Message { fields: &[many("values", 1, Kind::Message(&ANY_VALUE))] };
static KEY_VALUE_LIST: Message = Message { fields: &[many("values", 1, Kind::Message(&KEY_VALUE))] };

static RESOURCE: Message = Message {
    fields: &[
        many("attributes", 1, Kind::Message(&KEY_VALUE)),
        one("droppedAttributesCount", 2, Kind::Uint32),
        many("entityRefs", 3, Kind::Message(&ENTITY_REF)),
    ],
};
static ENTITY_REF: Message = Message {
    fields: &[
        one("schemaUrl", 1, Kind::String),
        one("type", 2, Kind::String),
        many("idKeys", 3, Kind::String),
        many("descriptionKeys", 4, Kind::String),
    ],
};
static SCOPE: Message = Message {
    fields: &[
        one("name", 1, Kind::String),
        one("version", 2, Kind::String),
        many("attributes", 3, Kind::Message(&KEY_VALUE)),
        one("droppedAttributesCount", 4, Kind::Uint32),
    ],
};

static RESOURCE_METRICS: Message = Message {
    fields: &[
        one("resource", 1, Kind::Message(&RESOURCE)),
        many("scopeMetrics", 2, Kind::Message(&SCOPE_METRICS)),
        one("schemaUrl", 3, Kind::String),
    ],
};
static SCOPE_METRICS: Message = Message {
    fields: &[
        one("scope", 1, Kind::Message(&SCOPE)),
        many("metrics", 2, Kind::Message(&METRIC)),
        one("schemaUrl", 3, Kind::String),
    ],
};
static METRIC: Message = Message {
    fields: &[
        one("name", 1, Kind::String),
        one("description", 2, Kind::String),
        one("unit", 3, Kind::String),
        one_of("gauge", 5, Kind::Message(&GAUGE)),
        one_of("sum", 7, Kind::Message(&SUM)),
        one_of("histogram", 9, Kind::Message(&HISTOGRAM)),
        one_of("exponentialHistogram", 10, Kind::Message(&EXP_HISTOGRAM)),
        one_of("summary", 11, Kind::Message(&SUMMARY)),
        many("metadata", 12, Kind::Message(&KEY_VALUE)),
    ],
};
static GAUGE: Message = Message { fields: &[many("dataPoints", 1, Kind::Message(&NUMBER_POINT))] };
static SUM: Message = Message {
    fields: &[
        many("dataPoints", 1, Kind::Message(&NUMBER_POINT)),
        one("aggregationTemporality", 2, TEMPORALITY),
        one("isMonotonic", 3, Kind::Bool),
    ],
};
static HISTOGRAM: Message = Message {
    fields: &[many("dataPoints", 1, Kind::Message(&HISTOGRAM_POINT)), one("aggregationTemporality", 2, TEMPORALITY)],
};
static EXP_HISTOGRAM: Message = Message {
    fields: &[
        many("dataPoints", 1, Kind::Message(&EXP_HISTOGRAM_POINT)),
        one("aggregationTemporality", 2, TEMPORALITY),
    ],
};
static SUMMARY: Message = Message { fields: &[many("dataPoints", 1, Kind::Message(&SUMMARY_POINT))] };

static NUMBER_POINT: Message = Message {
    fields: &[
        many("attributes", 7, Kind::Message(&KEY_VALUE)),
        one("startTimeUnixNano", 2, Kind::Fixed64),
        one("timeUnixNano", 3, Kind::Fixed64),
        one_of("asDouble", 4, Kind::Double),
        one_of("asInt", 6, Kind::Sfixed64),
        many("exemplars", 5, Kind::Message(&EXEMPLAR)),
        one("flags", 8, Kind::Uint32),
    ],
};
static HISTOGRAM_POINT: Message = Message {
    fields: &[
        many("attributes", 9, Kind::Message(&KEY_VALUE)),
        one("startTimeUnixNano", 2, Kind::Fixed64),
        one("timeUnixNano", 3, Kind::Fixed64),
        one("count", 4, Kind::Fixed64),
        one("sum", 5, Kind::Double),
        many("bucketCounts", 6, Kind::Fixed64),
        many("explicitBounds", 7, Kind::Double),
        many("exemplars", 8, Kind::Message(&EXEMPLAR)),
        one("flags", 10, Kind::Uint32),
        one("min", 11, Kind::Double),
        one("max", 12, Kind::Double),
    ],
};
static EXP_HISTOGRAM_POINT: Message = Message {
    fields: &[
        many("attributes", 1, Kind::Message(&KEY_VALUE)),
        one("startTimeUnixNano", 2, Kind::Fixed64),
        one("timeUnixNano", 3, Kind::Fixed64),
        one("count", 4, Kind::Fixed64),
        one("sum", 5, Kind::Double),
        one("scale", 6, Kind::Sint32),
        one("zeroCount", 7, Kind::Fixed64),
        one("positive", 8, Kind::Message(&BUCKETS)),
        one("negative", 9, Kind::Message(&BUCKETS)),
        one("flags", 10, Kind::Uint32),
        many("exemplars", 11, Kind::Message(&EXEMPLAR)),
        one("min", 12, Kind::Double),
        one("max", 13, Kind::Double),
        one("zeroThreshold", 14, Kind::Double),
    ],
};
static BUCKETS: Message = Message { fields: &[one("offset", 1, Kind::Sint32), many("bucketCounts", 2, Kind::Uint64)] };
static SUMMARY_POINT: Message = Message {
    fields: &[
        many("attributes", 7, Kind::Message(&KEY_VALUE)),
        one("startTimeUnixNano", 2, Kind::Fixed64),
        one("timeUnixNano", 3, Kind::Fixed64),
        one("count", 4, Kind::Fixed64),
        one("sum", 5, Kind::Double),
        many("quantileValues", 6, Kind::Message(&QUANTILE)),
        one("flags", 8, Kind::Uint32),
    ],
};
static QUANTILE: Message = Message { fields: &[one("quantile", 1, Kind::Double), one("value", 2, Kind::Double)] };
static EXEMPLAR: Message = Message {
    fields: &[
        many("filteredAttributes", 7, Kind::Message(&KEY_VALUE)),
        one("timeUnixNano", 2, Kind::Fixed64),
        one_of("asDouble", 3, Kind::Double),
        one_of("asInt", 6, Kind::Sfixed64),
        one("spanId", 4, Kind::Id),
        one("traceId", 5, Kind::Id),
    ],
};

static RESOURCE_LOGS: Message = Message {
    fields: &[
        one("resource", 1, Kind::Message(&RESOURCE)),
        many("scopeLogs", 2, Kind::Message(&SCOPE_LOGS)),
        one("schemaUrl", 3, Kind::String),
    ],
};
static SCOPE_LOGS: Message = Message {
    fields: &[
        one("scope", 1, Kind::Message(&SCOPE)),
        many("logRecords", 2, Kind::Message(&LOG_RECORD)),
        one("schemaUrl", 3, Kind::String),
    ],
};
static LOG_RECORD: Message = Message {
    fields: &[
        one("timeUnixNano", 1, Kind::Fixed64),
        one("observedTimeUnixNano", 11, Kind::Fixed64),
        one("severityNumber", 2, SEVERITY),
        one("severityText", 3, Kind::String),
        one("body", 5, Kind::Message(&ANY_VALUE)),
        many("attributes", 6, Kind::Message(&KEY_VALUE)),
        one("droppedAttributesCount", 7, Kind::Uint32),
        one("flags", 8, Kind::Fixed32),
        one("traceId", 9, Kind::Id),
        one("spanId", 10, Kind::Id),
        one("eventName", 12, Kind::String),
    ],
};

static RESOURCE_SPANS: Message = Message {
    fields: &[
        one("resource", 1, Kind::Message(&RESOURCE)),
        many("scopeSpans", 2, Kind::Message(&SCOPE_SPANS)),
        one("schemaUrl", 3, Kind::String),
    ],
};
static SCOPE_SPANS: Message = Message {
    fields: &[
        one("scope", 1, Kind::Message(&SCOPE)),
        many("spans", 2, Kind::Message(&SPAN)),
        one("schemaUrl", 3, Kind::String),
    ],
};
static SPAN: Message = Message {
    fields: &[
        one("traceId", 1, Kind::Id),
        one("spanId", 2, Kind::Id),
        one("traceState", 3, Kind::String),
        one("parentSpanId", 4, Kind::Id),
        one("flags", 16, Kind::Fixed32),
        one("name", 5, Kind::String),
        one("kind", 6, SPAN_KIND),
        one("startTimeUnixNano", 7, Kind::Fixed64),
        one("endTimeUnixNano", 8, Kind::Fixed64),
        many("attributes", 9, Kind::Message(&KEY_VALUE)),
        one("droppedAttributesCount", 10, Kind::Uint32),
        many("events", 11, Kind::Message(&EVENT)),
        one("droppedEventsCount", 12, Kind::Uint32),
        many("links", 13, Kind::Message(&LINK)),
        one("droppedLinksCount", 14, Kind::Uint32),
        one("status", 15, Kind::Message(&STATUS)),
    ],
};
static EVENT: Message = Message {
    fields: &[
        one("timeUnixNano", 1, Kind::Fixed64),
        one("name", 2, Kind::String),
        many("attributes", 3, Kind::Message(&KEY_VALUE)),
        one("droppedAttributesCount", 4, Kind::Uint32),
    ],
};
static LINK: Message = Message {
    fields: &[
        one("traceId", 1, Kind::Id),
        one("spanId", 2, Kind::Id),
        one("traceState", 3, Kind::String),
        many("attributes", 4, Kind::Message(&KEY_VALUE)),
        one("droppedAttributesCount", 5, Kind::Uint32),
        one("flags", 6, Kind::Fixed32),
    ],
};
static STATUS: Message = Message { fields: &[one("message", 2, Kind::String), one("code", 3, STATUS_CODE)] };

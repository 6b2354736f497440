//! The tables in flight and their columns, as ARCHITECTURE.md "Rows in flight" gives them.
//!
//! List items are fields named `item`, never null. Nothing is null but the columns built by [`Columns::nullable`]
//! and the children written with `true` here.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use super::Signal;

/// One table per kind of row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    Metrics,
    Histograms,
    ExpHistograms,
    Summaries,
    Logs,
    Spans,
    /// Of signal `alerts`: like log records.
    Alerts,
}

impl Table {
    pub const ALL: [Table; 7] = [
        Table::Metrics,
        Table::Histograms,
        Table::ExpHistograms,
        Table::Summaries,
        Table::Logs,
        Table::Spans,
        Table::Alerts,
    ];

    /// Its rows are metric points, which have series.
    pub fn is_metric(self) -> bool {
        self.signal() == Signal::Metrics
    }

    pub fn signal(self) -> Signal {
        match self {
            Table::Metrics | Table::Histograms | Table::ExpHistograms | Table::Summaries => Signal::Metrics,
            Table::Logs => Signal::Logs,
            Table::Spans => Signal::Traces,
            Table::Alerts => Signal::Alerts,
        }
    }

    /// Its SQL name.
    pub fn name(self) -> &'static str {
        match self {
            Table::Metrics => "metrics",
            Table::Histograms => "histograms",
            Table::ExpHistograms => "exp_histograms",
            Table::Summaries => "summaries",
            Table::Logs => "logs",
            Table::Spans => "spans",
            Table::Alerts => "alerts",
        }
    }

    /// Its columns; always the same allocation, so comparing two is comparing pointers.
    pub fn schema(self) -> SchemaRef {
        static SCHEMAS: LazyLock<[SchemaRef; 7]> = LazyLock::new(|| Table::ALL.map(build));
        SCHEMAS[self as usize].clone()
    }
}

pub(crate) fn dict() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

pub(crate) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some(Arc::from("UTC")))
}

pub(crate) fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, false)))
}

const TRACE_ID: DataType = DataType::FixedSizeBinary(16);
const SPAN_ID: DataType = DataType::FixedSizeBinary(8);

/// Children of one exemplar.
pub(crate) static EXEMPLAR: LazyLock<Fields> = LazyLock::new(|| {
    Fields::from(vec![
        Field::new("time_unix_nano", timestamp(), false),
        Field::new("value_int", DataType::Int64, true),
        Field::new("value_double", DataType::Float64, true),
        Field::new("span_id", SPAN_ID, true),
        Field::new("trace_id", TRACE_ID, true),
        Field::new("filtered_attributes", DataType::Utf8, false),
    ])
});

/// Children of one summary quantile.
pub(crate) static QUANTILE: LazyLock<Fields> = LazyLock::new(|| {
    Fields::from(vec![Field::new("quantile", DataType::Float64, false), Field::new("value", DataType::Float64, false)])
});

/// Children of one span event.
pub(crate) static EVENT: LazyLock<Fields> = LazyLock::new(|| {
    Fields::from(vec![
        Field::new("time_unix_nano", timestamp(), false),
        Field::new("name", DataType::Utf8, false),
        Field::new("attributes", DataType::Utf8, false),
        Field::new("dropped_attributes_count", DataType::Int64, false),
    ])
});

/// Children of one span link.
pub(crate) static LINK: LazyLock<Fields> = LazyLock::new(|| {
    Fields::from(vec![
        Field::new("trace_id", TRACE_ID, true),
        Field::new("span_id", SPAN_ID, true),
        Field::new("trace_state", DataType::Utf8, false),
        Field::new("attributes", DataType::Utf8, false),
        Field::new("dropped_attributes_count", DataType::Int64, false),
        Field::new("flags", DataType::Int64, false),
    ])
});

struct Columns(Vec<Field>);

impl Columns {
    fn add(&mut self, kind: DataType, names: &[&str]) -> &mut Self {
        self.0.extend(names.iter().map(|name| Field::new(*name, kind.clone(), false)));
        self
    }

    fn nullable(&mut self, kind: DataType, names: &[&str]) -> &mut Self {
        self.0.extend(names.iter().map(|name| Field::new(*name, kind.clone(), true)));
        self
    }

    fn dict(&mut self, names: &[&str]) -> &mut Self {
        self.add(dict(), names)
    }

    fn int64(&mut self, names: &[&str]) -> &mut Self {
        self.add(DataType::Int64, names)
    }

    fn int32(&mut self, names: &[&str]) -> &mut Self {
        self.add(DataType::Int32, names)
    }

    fn time(&mut self, names: &[&str]) -> &mut Self {
        self.add(timestamp(), names)
    }

    fn structs(&mut self, name: &str, children: &Fields) -> &mut Self {
        self.add(list(DataType::Struct(children.clone())), &[name])
    }

    fn origin(&mut self) -> &mut Self {
        self.int64(&["resource_id"])
            .dict(&["resource_attributes"])
            .int64(&["resource_dropped_attributes_count"])
            .dict(&["resource_schema_url", "resource_entity_refs"])
            .dict(&["scope_name", "scope_version", "scope_attributes"])
            .int64(&["scope_dropped_attributes_count"])
            .dict(&["scope_schema_url"])
    }

    fn point(&mut self) -> &mut Self {
        self.int64(&["series_id"])
            .dict(&["metric_name", "description", "unit", "metadata", "attributes"])
            .time(&["start_time_unix_nano", "time_unix_nano"])
            .int64(&["flags"])
    }
}

fn build(table: Table) -> SchemaRef {
    let mut columns = Columns(Vec::new());
    columns.origin();
    match table {
        Table::Metrics => columns
            .point()
            .dict(&["metric_type"])
            .int32(&["aggregation_temporality"])
            .add(DataType::Boolean, &["is_monotonic"])
            .nullable(DataType::Int64, &["value_int"])
            .nullable(DataType::Float64, &["value_double"])
            .structs("exemplars", &EXEMPLAR),
        Table::Histograms => columns
            .point()
            .int32(&["aggregation_temporality"])
            .int64(&["count"])
            .nullable(DataType::Float64, &["sum", "min", "max"])
            .add(list(DataType::Int64), &["bucket_counts"])
            .add(list(DataType::Float64), &["explicit_bounds"])
            .structs("exemplars", &EXEMPLAR),
        Table::ExpHistograms => columns
            .point()
            .int32(&["aggregation_temporality"])
            .int64(&["count"])
            .nullable(DataType::Float64, &["sum", "min", "max"])
            .int32(&["scale"])
            .int64(&["zero_count"])
            .add(DataType::Float64, &["zero_threshold"])
            .nullable(DataType::Int32, &["positive_offset"])
            .add(list(DataType::Int64), &["positive_bucket_counts"])
            .nullable(DataType::Int32, &["negative_offset"])
            .add(list(DataType::Int64), &["negative_bucket_counts"])
            .structs("exemplars", &EXEMPLAR),
        Table::Summaries => {
            columns.point().int64(&["count"]).add(DataType::Float64, &["sum"]).structs("quantile_values", &QUANTILE)
        }
        Table::Logs | Table::Alerts => columns
            .time(&["time_unix_nano", "observed_time_unix_nano"])
            .int32(&["severity_number"])
            .dict(&["severity_text", "event_name"])
            .nullable(DataType::Utf8, &["body"])
            .add(DataType::Boolean, &["body_is_json"])
            .dict(&["attributes"])
            .int64(&["dropped_attributes_count", "flags"])
            .nullable(TRACE_ID, &["trace_id"])
            .nullable(SPAN_ID, &["span_id"]),
        Table::Spans => columns
            .nullable(TRACE_ID, &["trace_id"])
            .nullable(SPAN_ID, &["span_id"])
            .dict(&["trace_state"])
            .nullable(SPAN_ID, &["parent_span_id"])
            .int64(&["flags"])
            .dict(&["name"])
            .int32(&["kind"])
            .time(&["start_time_unix_nano", "end_time_unix_nano"])
            .dict(&["attributes"])
            .int64(&["dropped_attributes_count"])
            .structs("events", &EVENT)
            .int64(&["dropped_events_count"])
            .structs("links", &LINK)
            .int64(&["dropped_links_count"])
            .int32(&["status_code"])
            .dict(&["status_message"]),
    };
    Arc::new(Schema::new(columns.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_begins_with_its_origin_and_is_one_allocation() {
        for table in Table::ALL {
            let schema = table.schema();
            assert_eq!(schema.field(0).name(), "resource_id");
            assert_eq!(schema.field(9).name(), "scope_schema_url");
            assert!(Arc::ptr_eq(&schema, &table.schema()));
        }
        assert_eq!(Table::Metrics.schema().field(10).name(), "series_id");
        assert_eq!(Table::Spans.schema().field(10).name(), "trace_id");
    }
}

//! The lake's tables and columns, derived from the tables in flight and the promoted attributes.
//!
//! Times become microseconds (`ts`, `start_ts`) or plain nanoseconds as Int64, ids hex text, strings top-level
//! dictionaries while hot, `Utf8` in files and `Utf8View` in SQL. Everything is nullable, so that columns can be added.
//! At most [`MAX_PROMOTED`] promoted columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use catchment_pipeline::batch::Table;

use crate::sql::COMPUTED;

pub(crate) const MAX_PROMOTED: usize = 64;

/// Resource attributes that are columns of their own unless told otherwise.
const DEFAULT_PROMOTED: [&str; 9] = [
    "service.name",
    "service.namespace",
    "service.instance.id",
    "host.name",
    "deployment.environment.name",
    "k8s.namespace.name",
    "k8s.pod.name",
    "k8s.container.name",
    "k8s.node.name",
];

/// A table of the lake: one per table in flight, `series`, and rollups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum LakeTable {
    Rows(Table),
    Series,
    /// One row per series and step.
    Rollup(Rolled, Step),
}

/// Tables that are rolled up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Rolled {
    Metrics,
    Histograms,
    ExpHistograms,
}

/// How much time a row of a rollup stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Step {
    FiveMinutes,
    Hour,
}

impl Rolled {
    pub(crate) const ALL: [Rolled; 3] = [Rolled::Metrics, Rolled::Histograms, Rolled::ExpHistograms];

    pub(crate) fn raw(self) -> Table {
        match self {
            Rolled::Metrics => Table::Metrics,
            Rolled::Histograms => Table::Histograms,
            Rolled::ExpHistograms => Table::ExpHistograms,
        }
    }
}

impl Step {
    pub(crate) const ALL: [Step; 2] = [Step::FiveMinutes, Step::Hour];

    pub(crate) const fn micros(self) -> i64 {
        match self {
            Step::FiveMinutes => 300_000_000,
            Step::Hour => 3_600_000_000,
        }
    }
}

pub(crate) const TABLES: [LakeTable; 14] = [
    LakeTable::Rows(Table::Metrics),
    LakeTable::Rows(Table::Histograms),
    LakeTable::Rows(Table::ExpHistograms),
    LakeTable::Rows(Table::Summaries),
    LakeTable::Rows(Table::Logs),
    LakeTable::Rows(Table::Spans),
    LakeTable::Rows(Table::Alerts),
    LakeTable::Series,
    LakeTable::Rollup(Rolled::Metrics, Step::FiveMinutes),
    LakeTable::Rollup(Rolled::Metrics, Step::Hour),
    LakeTable::Rollup(Rolled::Histograms, Step::FiveMinutes),
    LakeTable::Rollup(Rolled::Histograms, Step::Hour),
    LakeTable::Rollup(Rolled::ExpHistograms, Step::FiveMinutes),
    LakeTable::Rollup(Rolled::ExpHistograms, Step::Hour),
];

impl LakeTable {
    pub(crate) fn index(self) -> usize {
        match self {
            LakeTable::Rows(table) => table as usize,
            LakeTable::Series => Table::ALL.len(),
            LakeTable::Rollup(rolled, step) => Table::ALL.len() + 1 + rolled as usize * Step::ALL.len() + step as usize,
        }
    }

    /// Its SQL name, and its folder.
    pub(crate) fn name(self) -> &'static str {
        match self {
            LakeTable::Rows(table) => table.name(),
            LakeTable::Series => "series",
            LakeTable::Rollup(Rolled::Metrics, Step::FiveMinutes) => "metrics_5m",
            LakeTable::Rollup(Rolled::Metrics, Step::Hour) => "metrics_1h",
            LakeTable::Rollup(Rolled::Histograms, Step::FiveMinutes) => "histograms_5m",
            LakeTable::Rollup(Rolled::Histograms, Step::Hour) => "histograms_1h",
            LakeTable::Rollup(Rolled::ExpHistograms, Step::FiveMinutes) => "exp_histograms_5m",
            LakeTable::Rollup(Rolled::ExpHistograms, Step::Hour) => "exp_histograms_1h",
        }
    }

    pub(crate) fn by_name(name: &str) -> Option<LakeTable> {
        TABLES.into_iter().find(|table| table.name() == name)
    }

    /// What rows in a file are sorted by: a string column, then integers; `ts` last.
    pub(crate) fn sort_columns(self) -> &'static [&'static str] {
        match self {
            LakeTable::Rows(table) if !table.is_metric() => &["service_name", "ts"],
            _ => &["metric_name", "resource_id", "series_id", "ts"],
        }
    }

    /// Days that rows are kept unless told otherwise; `None`: for ever.
    pub(crate) fn retention_days(self) -> Option<u32> {
        match self {
            LakeTable::Rows(Table::Logs | Table::Spans) => Some(30),
            LakeTable::Rows(Table::Alerts) => Some(365),
            LakeTable::Rows(_) => Some(15),
            LakeTable::Series => None,
            LakeTable::Rollup(_, Step::FiveMinutes) => Some(90),
            LakeTable::Rollup(_, Step::Hour) => Some(730),
        }
    }

    /// Of a table that is rolled up.
    pub(crate) fn rolled(self) -> Option<Rolled> {
        Rolled::ALL.into_iter().find(|rolled| self == LakeTable::Rows(rolled.raw()))
    }

    /// [`LakeTable::sort_columns`] without `ts`.
    pub(crate) fn identity(self) -> &'static [&'static str] {
        let columns = self.sort_columns();
        &columns[..columns.len() - 1]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PromotedType {
    String,
    Int,
    Double,
    Bool,
}

impl PromotedType {
    pub(crate) fn parse(name: &str) -> Option<PromotedType> {
        Some(match name {
            "string" => PromotedType::String,
            "int" => PromotedType::Int,
            "double" => PromotedType::Double,
            "bool" => PromotedType::Bool,
            _ => return None,
        })
    }

    fn data_type(self) -> DataType {
        match self {
            PromotedType::String => dict(),
            PromotedType::Int => DataType::Int64,
            PromotedType::Double => DataType::Float64,
            PromotedType::Bool => DataType::Boolean,
        }
    }
}

/// A resource attribute with a column of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Promoted {
    pub(crate) key: String,
    pub(crate) column: String,
    pub(crate) kind: PromotedType,
}

/// `service.name` is `service_name`.
pub(crate) fn column_name(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

/// The default ones, then the user's in their order; says what is wrong with them.
pub(crate) fn promoted(wanted: &BTreeMap<String, String>) -> Result<Vec<Promoted>, String> {
    let mut all = Vec::<Promoted>::new();
    let defaults = DEFAULT_PROMOTED.iter().filter(|key| !wanted.contains_key(**key)).map(|key| (*key, "string"));
    for (key, kind) in defaults.chain(wanted.iter().map(|(key, kind)| (key.as_str(), kind.as_str()))) {
        let kind = PromotedType::parse(kind)
            .ok_or_else(|| format!("promoted attribute `{key}`: `{kind}` is not one of string, int, double, bool"))?;
        let column = column_name(key);
        if let Some(other) = all.iter().find(|other| other.column == column) {
            return Err(format!("promoted attributes `{key}` and `{}` would both be column `{column}`", other.key));
        }
        let taken = TABLES.iter().any(|table| layout(*table, &[]).columns.iter().any(|c| c.field.name() == &column));
        if taken || column == "date" || COMPUTED.contains(&column.as_str()) {
            return Err(format!("promoted attribute `{key}`: the tables have a column `{column}` already"));
        }
        all.push(Promoted { key: key.to_owned(), column, kind });
    }
    if all.len() > MAX_PROMOTED {
        return Err(format!("{} promoted attributes; at most {MAX_PROMOTED} can be columns", all.len()));
    }
    Ok(all)
}

/// Where a lake column's values come from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// The row's own time: microseconds of the first of these columns that is not zero.
    Micros(&'static [&'static str]),
    /// A column in flight, in lake types.
    Column(String),
    /// The n-th promoted attribute.
    Promoted(usize),
    /// Made here: `catalog` does it for `series`, `rollup` for rollups.
    Made,
}

#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) field: Field,
    pub(crate) source: Source,
}

/// A table's columns in order, without the partition column `date`.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) columns: Vec<Column>,
    /// Strings as dictionaries: hot rows, and what is handed to the Parquet writer.
    pub(crate) hot: SchemaRef,
    /// Strings as views, and `date` last: what DataFusion sees.
    pub(crate) sql: SchemaRef,
}

pub(crate) fn dict() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

pub(crate) fn micros() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// A type in flight as the lake keeps it, below `ts` and `start_ts`.
pub(crate) fn lake_type(kind: &DataType) -> DataType {
    match kind {
        DataType::Timestamp(..) => DataType::Int64,
        DataType::FixedSizeBinary(_) => DataType::Utf8,
        DataType::List(item) => DataType::List(Arc::new(Field::new("element", lake_type(item.data_type()), true))),
        DataType::Struct(fields) => DataType::Struct(
            fields.iter().map(|f| Field::new(f.name(), lake_type(f.data_type()), true)).collect::<Fields>(),
        ),
        other => other.clone(),
    }
}

/// Columns that come first, by table; `*` stands for the promoted ones.
fn leading(table: Table) -> &'static [&'static str] {
    match table {
        Table::Logs | Table::Alerts => &[
            "ts",
            "resource_id",
            "*",
            "severity_number",
            "severity_text",
            "event_name",
            "body",
            "attributes",
            "trace_id",
            "span_id",
            "time_unix_nano",
        ],
        Table::Spans => &[
            "ts",
            "resource_id",
            "*",
            "name",
            "kind",
            "status_code",
            "trace_id",
            "span_id",
            "parent_span_id",
            "start_time_unix_nano",
            "end_time_unix_nano",
            "attributes",
        ],
        _ => &["ts", "metric_name", "series_id", "resource_id", "*", "attributes", "value_int", "value_double"],
    }
}

fn time_columns(table: Table) -> &'static [&'static str] {
    match table {
        Table::Logs | Table::Alerts => &["time_unix_nano", "observed_time_unix_nano"],
        Table::Spans => &["start_time_unix_nano"],
        _ => &["time_unix_nano"],
    }
}

fn row_columns(table: Table, promoted: &[Promoted]) -> Vec<Column> {
    let in_flight = table.schema();
    let metric = table.is_metric();
    let mut rest = Vec::new();
    rest.push(Column { field: Field::new("ts", micros(), true), source: Source::Micros(time_columns(table)) });
    for field in in_flight.fields() {
        let source = Source::Column(field.name().clone());
        rest.push(match field.name().as_str() {
            "time_unix_nano" if metric => continue,
            "start_time_unix_nano" if metric => Column {
                field: Field::new("start_ts", micros(), true),
                source: Source::Micros(&["start_time_unix_nano"]),
            },
            name => Column { field: Field::new(name, lake_type(field.data_type()), true), source },
        });
    }
    let mut columns = Vec::new();
    for name in leading(table) {
        if *name == "*" {
            columns.extend(promoted_columns(promoted));
        } else if let Some(at) = rest.iter().position(|column| column.field.name() == name) {
            columns.push(rest.remove(at));
        }
    }
    columns.extend(rest);
    columns
}

fn promoted_columns(promoted: &[Promoted]) -> impl Iterator<Item = Column> {
    promoted.iter().enumerate().map(|(n, promoted)| Column {
        field: Field::new(&promoted.column, promoted.kind.data_type(), true),
        source: Source::Promoted(n),
    })
}

fn series_columns(promoted: &[Promoted]) -> Vec<Column> {
    let column = |name: &str, kind: DataType| Column { field: Field::new(name, kind, true), source: Source::Made };
    let mut columns = vec![
        column("ts", micros()),
        column("metric_name", dict()),
        column("series_id", DataType::Int64),
        column("resource_id", DataType::Int64),
    ];
    columns.extend(promoted_columns(promoted));
    columns.extend(
        ["attributes", "metric_type", "unit", "description", "scope_name", "resource_attributes"]
            .map(|name| column(name, dict())),
    );
    columns
}

/// What a row of a rollup says of its time, by the table it is made of.
pub(crate) fn rollup_values(rolled: Rolled) -> Vec<Field> {
    let field = |name: &str, kind: DataType| Field::new(name, kind, true);
    let own = match rolled {
        // Rows with a value; what those of a counter added.
        Rolled::Metrics => {
            let doubles = ["sum", "min", "max", "first", "last", "increase"].map(|name| field(name, DataType::Float64));
            [field("count", DataType::Int64)].into_iter().chain(doubles).collect()
        }
        // As a point of delta temporality has them.
        Rolled::Histograms | Rolled::ExpHistograms => {
            let raw = row_columns(rolled.raw(), &[]);
            let values = raw.into_iter().map(|column| column.field).filter(|field| is_value(rolled, field.name()));
            values.collect::<Vec<_>>()
        }
    };
    [field("points", DataType::Int64), field("last_ts", micros())].into_iter().chain(own).collect()
}

/// Columns whose rows differ along a series.
fn is_value(rolled: Rolled, name: &str) -> bool {
    match rolled {
        Rolled::Metrics => matches!(name, "value_int" | "value_double"),
        Rolled::Histograms => {
            matches!(
                name,
                "count" | "sum" | "min" | "max" | "bucket_counts" | "explicit_bounds" | "aggregation_temporality"
            )
        }
        Rolled::ExpHistograms => {
            matches!(
                name,
                "count" | "sum" | "min" | "max" | "scale" | "zero_count" | "zero_threshold" | "aggregation_temporality"
            ) || name.starts_with("positive_")
                || name.starts_with("negative_")
        }
    }
}

/// A rollup is made from this column of the raw table.
pub(crate) fn is_rolled_up(name: &str) -> bool {
    !matches!(name, "start_ts" | "flags" | "exemplars")
}

/// The raw table's columns, its values replaced by what there is to say of all of them.
fn rollup_columns(rolled: Rolled, promoted: &[Promoted]) -> Vec<Column> {
    let gone = |name: &str| !is_rolled_up(name) || is_value(rolled, name);
    let mut columns = row_columns(rolled.raw(), promoted);
    columns.retain(|column| !gone(column.field.name()));
    let at = columns.iter().position(|column| column.field.name() == "attributes").map_or(columns.len(), |at| at + 1);
    let values = rollup_values(rolled).into_iter().map(|field| Column { field, source: Source::Made });
    columns.splice(at..at, values);
    columns
}

pub(crate) fn layout(table: LakeTable, promoted: &[Promoted]) -> Layout {
    let columns = match table {
        LakeTable::Rows(table) => row_columns(table, promoted),
        LakeTable::Series => series_columns(promoted),
        LakeTable::Rollup(rolled, _) => rollup_columns(rolled, promoted),
    };
    let fields = columns.iter().map(|column| column.field.clone()).collect::<Vec<_>>();
    let date = Field::new("date", DataType::Date32, true);
    let view = |field: &Field| match field.data_type() {
        DataType::Dictionary(..) | DataType::Utf8 => field.clone().with_data_type(DataType::Utf8View),
        _ => field.clone(),
    };
    let sql = Schema::new(fields.iter().map(view).chain([date]).collect::<Vec<_>>());
    Layout { columns, hot: Arc::new(Schema::new(fields)), sql: Arc::new(sql) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn identity_and_time_come_first() {
        let promoted = promoted(&BTreeMap::new()).unwrap();
        for table in Table::ALL {
            let layout = layout(LakeTable::Rows(table), &promoted);
            assert_eq!(layout.hot.field(0).name(), "ts");
            assert_eq!(layout.sql.fields().last().unwrap().name(), "date");
            assert!(layout.hot.index_of("service_name").unwrap() < 16, "{}", table.name());
        }
    }

    #[test]
    fn mistakes_in_promoted_are_named() {
        let wanted = |key: &str, kind: &str| BTreeMap::from([(key.to_owned(), kind.to_owned())]);
        assert!(promoted(&wanted("a", "text")).unwrap_err().contains("`text` is not one of"));
        assert!(promoted(&wanted("host_name", "string")).unwrap_err().contains("both be column `host_name`"));
        assert!(promoted(&wanted("attributes", "string")).unwrap_err().contains("already"));
        let many = (0..60).map(|n| (format!("k{n}"), "int".to_owned())).collect();
        assert!(promoted(&many).unwrap_err().contains("at most 64"));
    }
}

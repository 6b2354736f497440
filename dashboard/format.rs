//! Query answers as bytes: JSON, NDJSON, CSV or an Arrow IPC stream, a slice of rows at a time.
//!
//! What JSON numbers cannot say is said as proto3's JSON mapping says it: 64-bit integers outside ±(2^53 - 1) are
//! decimal strings, not-a-number and infinities are `"NaN"`, `"Infinity"`, `"-Infinity"`. Binary is lower-case hex,
//! times are RFC 3339, lists and structs are JSON arrays and objects. CSV carries lists and structs as JSON text and
//! NULL as nothing.

use std::io::Write as _;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, RecordBatch, RecordBatchOptions, StringBuilder,
};
use arrow::compute::cast;
use arrow::csv;
use arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type, Int64Type, Schema, SchemaRef, UInt64Type};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::json::writer::{Encoder, EncoderFactory, EncoderOptions, NullableEncoder, make_encoder};
use serde_json::json;

use crate::problem::Problem;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Ndjson,
    Csv,
    Arrow,
}

impl Format {
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Ndjson => "application/x-ndjson",
            Format::Csv => "text/csv; charset=utf-8; header=present",
            Format::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    /// What an `Accept` header asks for most; JSON when it does not mind. `None`: nothing we speak (406).
    pub fn negotiate(accept: Option<&str>) -> Option<Format> {
        let Some(accept) = accept.filter(|text| !text.trim().is_empty()) else {
            return Some(Format::Json);
        };
        let mut best: Option<(Format, f32)> = None;
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let format = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "application/json" | "application/*" | "*/*" => Format::Json,
                "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Format::Ndjson,
                "text/csv" | "text/*" => Format::Csv,
                "application/vnd.apache.arrow.stream" => Format::Arrow,
                _ => continue,
            };
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
            if weight > 0.0 && best.is_none_or(|(_, heaviest)| weight > heaviest) {
                best = Some((format, weight));
            }
        }
        best.map(|(format, _)| format)
    }
}

/// What the end of an answer says about it.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    pub row_count: u64,
    /// There were more rows than the limit.
    pub truncated: bool,
    pub elapsed_ms: f64,
}

/// Turns rows into one answer: `begin`, then `rows` any number of times, then `end`.
pub enum Answer {
    Json { schema: SchemaRef, options: EncoderOptions, any: bool },
    Ndjson { keys: Vec<Vec<u8>>, options: EncoderOptions },
    Csv { schema: SchemaRef, options: EncoderOptions },
    Arrow { schema: SchemaRef, writer: StreamWriter<Vec<u8>> },
}

impl Answer {
    pub fn new(format: Format, schema: &SchemaRef) -> Result<Answer, ArrowError> {
        let options = EncoderOptions::default().with_explicit_nulls(true).with_encoder_factory(Arc::new(Exact));
        Ok(match format {
            Format::Json => Answer::Json { schema: schema.clone(), options, any: false },
            Format::Ndjson => Answer::Ndjson { keys: object_keys(schema), options },
            Format::Csv => Answer::Csv { schema: schema.clone(), options },
            Format::Arrow => {
                let fields = schema.fields().iter().map(plain_field).collect::<Vec<_>>();
                let schema = Arc::new(Schema::new(fields));
                Answer::Arrow { writer: StreamWriter::try_new(Vec::new(), &schema)?, schema }
            }
        })
    }

    pub fn begin(&mut self) -> Result<Vec<u8>, ArrowError> {
        match self {
            Answer::Json { schema, .. } => {
                let columns =
                    schema.fields().iter().map(|f| json!({"name": f.name(), "type": type_name(f.data_type())}));
                let columns = serde_json::Value::Array(columns.collect());
                Ok(format!("{{\"columns\":{columns},\n\"rows\":[").into_bytes())
            }
            Answer::Ndjson { .. } => Ok(Vec::new()),
            Answer::Csv { schema, options } => csv_rows(&RecordBatch::new_empty(schema.clone()), options, true),
            Answer::Arrow { writer, .. } => Ok(std::mem::take(writer.get_mut())),
        }
    }

    pub fn rows(&mut self, rows: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        match self {
            Answer::Json { options, any, .. } => {
                let mut out = Vec::with_capacity(rows.num_rows() * 64);
                let batch_schema = rows.schema();
                let mut columns = encoders(rows, &batch_schema, options)?;
                for row in 0..rows.num_rows() {
                    out.extend_from_slice(if *any { b",\n[" } else { b"\n[" });
                    *any = true;
                    for (i, column) in columns.iter_mut().enumerate() {
                        if i > 0 {
                            out.push(b',');
                        }
                        value(column, row, &mut out);
                    }
                    out.push(b']');
                }
                Ok(out)
            }
            Answer::Ndjson { keys, options } => {
                let mut out = Vec::with_capacity(rows.num_rows() * 96);
                let batch_schema = rows.schema();
                let mut columns = encoders(rows, &batch_schema, options)?;
                for row in 0..rows.num_rows() {
                    out.push(b'{');
                    for (i, (key, column)) in keys.iter().zip(&mut columns).enumerate() {
                        if i > 0 {
                            out.push(b',');
                        }
                        out.extend_from_slice(key);
                        value(column, row, &mut out);
                    }
                    out.extend_from_slice(b"}\n");
                }
                Ok(out)
            }
            Answer::Csv { options, .. } => csv_rows(rows, options, false),
            Answer::Arrow { schema, writer } => {
                let columns = schema.fields().iter().zip(rows.columns());
                let columns = columns.map(|(field, column)| cast(column, field.data_type()));
                let columns = columns.collect::<Result<Vec<_>, _>>()?;
                let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
                writer.write(&RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)?;
                Ok(std::mem::take(writer.get_mut()))
            }
        }
    }

    /// The last bytes. With an error, JSON ends as a whole document with an `error` member and NDJSON with an
    /// `{"error": ..}` line; CSV and Arrow have no place for one, so there only the broken transfer tells.
    pub fn end(&mut self, summary: Summary, error: Option<&Problem>) -> Result<Vec<u8>, ArrowError> {
        match self {
            Answer::Json { .. } => {
                let mut tail = json!({
                    "row_count": summary.row_count,
                    "truncated": summary.truncated,
                    "elapsed_ms": summary.elapsed_ms,
                });
                if let Some(error) = error {
                    tail["error"] = error.as_json();
                }
                let tail = tail.to_string();
                Ok(format!("\n],\n{}\n", tail.trim_start_matches('{')).into_bytes())
            }
            Answer::Ndjson { .. } => {
                Ok(error.map(|e| format!("{}\n", json!({"error": e.as_json()})).into_bytes()).unwrap_or_default())
            }
            Answer::Csv { .. } => Ok(Vec::new()),
            Answer::Arrow { writer, .. } => {
                if error.is_none() {
                    writer.finish()?;
                }
                Ok(std::mem::take(writer.get_mut()))
            }
        }
    }
}

/// Views and run-end encoding are young: many readers (pandas of last year, browsers) do not know them.
fn plain_field(field: &FieldRef) -> FieldRef {
    let plain = plain_type(field.data_type());
    if plain == *field.data_type() { field.clone() } else { Arc::new(field.as_ref().clone().with_data_type(plain)) }
}

fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::List(item) | DataType::ListView(item) => DataType::List(plain_field(item)),
        DataType::LargeList(item) | DataType::LargeListView(item) => DataType::LargeList(plain_field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(plain_field(item), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        DataType::RunEndEncoded(_, values) => plain_type(values.data_type()),
        other => other.clone(),
    }
}

/// The type's name in an answer's `columns`: what a reader must know to read the values.
pub fn type_name(data_type: &DataType) -> &'static str {
    use DataType::*;
    match data_type {
        Null => "null",
        Boolean => "boolean",
        Int8 => "int8",
        Int16 => "int16",
        Int32 => "int32",
        Int64 => "int64",
        UInt8 => "uint8",
        UInt16 => "uint16",
        UInt32 => "uint32",
        UInt64 => "uint64",
        Float16 | Float32 => "float32",
        Float64 => "float64",
        Utf8 | LargeUtf8 | Utf8View => "string",
        Binary | LargeBinary | BinaryView | FixedSizeBinary(_) => "binary",
        Timestamp(..) => "timestamp",
        Date32 | Date64 => "date",
        Time32(_) | Time64(_) => "time",
        Duration(_) => "duration",
        Interval(_) => "interval",
        Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..) => "decimal",
        List(_) | LargeList(_) | FixedSizeList(..) | ListView(_) | LargeListView(_) => "list",
        Struct(_) => "struct",
        Map(..) => "map",
        Union(..) => "union",
        Dictionary(_, values) => type_name(values),
        RunEndEncoded(_, values) => type_name(values.data_type()),
    }
}

/// `"name":` for every column; a name that comes again gets `_2`, `_3`: an object cannot hold it twice.
fn object_keys(schema: &Schema) -> Vec<Vec<u8>> {
    let mut seen = std::collections::HashSet::new();
    let unique = |name: &str, seen: &mut std::collections::HashSet<String>| {
        let mut key = name.to_owned();
        let mut n = 1;
        while !seen.insert(key.clone()) {
            n += 1;
            key = format!("{name}_{n}");
        }
        key
    };
    let keys = schema.fields().iter().map(|field| unique(field.name(), &mut seen));
    keys.map(|key| format!("{}:", serde_json::Value::String(key)).into_bytes()).collect()
}

fn encoders<'a>(
    rows: &'a RecordBatch,
    schema: &'a Schema,
    options: &'a EncoderOptions,
) -> Result<Vec<NullableEncoder<'a>>, ArrowError> {
    schema.fields().iter().zip(rows.columns()).map(|(field, column)| make_encoder(field, column, options)).collect()
}

fn value(column: &mut NullableEncoder<'_>, row: usize, out: &mut Vec<u8>) {
    if column.is_null(row) { out.extend_from_slice(b"null") } else { column.encode(row, out) }
}

fn csv_rows(rows: &RecordBatch, options: &EncoderOptions, header: bool) -> Result<Vec<u8>, ArrowError> {
    let mut fields = Vec::with_capacity(rows.num_columns());
    let mut columns = Vec::with_capacity(rows.num_columns());
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        let (field, column) = if is_nested(field.data_type()) {
            (Arc::new(Field::new(field.name(), DataType::Utf8, true)), json_text(field, column, options)?)
        } else {
            (field.clone(), column.clone())
        };
        fields.push(field);
        columns.push(column);
    }
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
    let mut out = Vec::with_capacity(rows.num_rows() * 64);
    csv::WriterBuilder::new().with_header(header).build(&mut out).write(&rows)?;
    Ok(out)
}

fn is_nested(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_nested(values),
        other => other.is_nested(),
    }
}

fn json_text(field: &FieldRef, column: &ArrayRef, options: &EncoderOptions) -> Result<ArrayRef, ArrowError> {
    let mut encoder = make_encoder(field, column, options)?;
    let mut text = StringBuilder::with_capacity(column.len(), column.len() * 32);
    let mut buffer = Vec::new();
    for row in 0..column.len() {
        if encoder.is_null(row) {
            text.append_null();
            continue;
        }
        buffer.clear();
        encoder.encode(row, &mut buffer);
        text.append_value(String::from_utf8_lossy(&buffer));
    }
    Ok(Arc::new(text.finish()))
}

/// Numbers that survive a reader whose only number is a double.
#[derive(Debug)]
struct Exact;

impl EncoderFactory for Exact {
    fn make_default_encoder<'a>(
        &self,
        _field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder + 'a> = match array.data_type() {
            DataType::Int64 => Box::new(Numbers(array.as_primitive::<Int64Type>())),
            DataType::UInt64 => Box::new(Numbers(array.as_primitive::<UInt64Type>())),
            DataType::Float64 => Box::new(Numbers(array.as_primitive::<Float64Type>())),
            DataType::Float32 => Box::new(Numbers(array.as_primitive::<Float32Type>())),
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

struct Numbers<'a, T: ArrowPrimitiveType>(&'a PrimitiveArray<T>);

impl<T: ArrowPrimitiveType> Encoder for Numbers<'_, T>
where
    T::Native: ExactJson,
{
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        self.0.value(row).write(out);
    }
}

trait ExactJson: Copy {
    fn write(self, out: &mut Vec<u8>);
}

const SAFE: u64 = (1 << 53) - 1;

impl ExactJson for i64 {
    fn write(self, out: &mut Vec<u8>) {
        // Writing into a Vec does not fail.
        let _ = if self.unsigned_abs() <= SAFE { write!(out, "{self}") } else { write!(out, "\"{self}\"") };
    }
}

impl ExactJson for u64 {
    fn write(self, out: &mut Vec<u8>) {
        let _ = if self <= SAFE { write!(out, "{self}") } else { write!(out, "\"{self}\"") };
    }
}

macro_rules! float {
    ($t:ty) => {
        impl ExactJson for $t {
            fn write(self, out: &mut Vec<u8>) {
                if self.is_nan() {
                    out.extend_from_slice(b"\"NaN\"");
                } else if self.is_infinite() {
                    out.extend_from_slice(if self > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" });
                } else {
                    // serde_json writes the shortest text that reads back the same.
                    let _ = serde_json::to_writer(out, &self);
                }
            }
        }
    };
}
float!(f64);
float!(f32);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use arrow::array::{
        BinaryArray, BooleanArray, DictionaryArray, Float64Array, Int64Array, ListArray, StringArray, StringViewArray,
        TimestampMicrosecondArray, UInt64Array,
    };
    use arrow::datatypes::Int32Type;
    use serde_json::Value;

    use super::*;

    const DONE: Summary = Summary { row_count: 2, truncated: false, elapsed_ms: 1.5 };

    fn all(format: Format, rows: &RecordBatch) -> Vec<u8> {
        let mut answer = Answer::new(format, &rows.schema()).unwrap();
        let mut out = answer.begin().unwrap();
        // Two slices, so that what joins them is tested too.
        let middle = rows.num_rows() / 2;
        out.extend(answer.rows(&rows.slice(0, middle)).unwrap());
        out.extend(answer.rows(&rows.slice(middle, rows.num_rows() - middle)).unwrap());
        out.extend(answer.end(DONE, None).unwrap());
        out
    }

    fn sample() -> RecordBatch {
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), Some(i64::MAX)]), None]);
        let dictionary: DictionaryArray<Int32Type> = [Some("a\"b,c"), None].into_iter().collect();
        RecordBatch::try_from_iter([
            ("i", Arc::new(Int64Array::from(vec![9_007_199_254_740_991, 9_007_199_254_740_992])) as ArrayRef),
            ("u", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
            ("f", Arc::new(Float64Array::from(vec![f64::NAN, f64::NEG_INFINITY]))),
            ("g", Arc::new(Float64Array::from(vec![0.1, 1e300]))),
            ("b", Arc::new(BooleanArray::from(vec![true, false]))),
            ("s", Arc::new(StringArray::from(vec![Some("line\nbreak </script> ü"), None]))),
            ("d", Arc::new(dictionary)),
            ("t", Arc::new(TimestampMicrosecondArray::from(vec![1, 1_700_000_000_000_000]).with_timezone("UTC"))),
            ("x", Arc::new(BinaryArray::from(vec![b"\x00\xff".as_slice(), b""]))),
            ("l", Arc::new(list)),
        ])
        .unwrap()
    }

    #[test]
    fn json_keeps_what_doubles_cannot_hold() {
        let answer: Value = serde_json::from_slice(&all(Format::Json, &sample())).unwrap();
        assert_eq!(
            answer["rows"],
            json!([
                [
                    9_007_199_254_740_991_i64,
                    "18446744073709551615",
                    "NaN",
                    0.1,
                    true,
                    "line\nbreak </script> ü",
                    "a\"b,c",
                    "1970-01-01T00:00:00.000001Z",
                    "00ff",
                    [1, "9223372036854775807"]
                ],
                ["9007199254740992", null, "-Infinity", 1e300, false, null, null, "2023-11-14T22:13:20Z", "", null],
            ])
        );
        let types = answer["columns"].as_array().unwrap().iter().map(|c| c["type"].as_str().unwrap());
        let expected =
            ["int64", "uint64", "float64", "float64", "boolean", "string", "string", "timestamp", "binary", "list"];
        assert_eq!(types.collect::<Vec<_>>(), expected);
        assert_eq!(answer["row_count"], 2);
        assert_eq!(answer["truncated"], false);
    }

    #[test]
    fn ndjson_is_one_object_a_line_with_distinct_keys() {
        let one = || Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef;
        let rows = RecordBatch::try_from_iter([("n", one()), ("n", one()), ("n_2", one())]).unwrap();
        let text = String::from_utf8(all(Format::Ndjson, &rows)).unwrap();
        assert_eq!(text, "{\"n\":1,\"n_2\":1,\"n_2_2\":1}\n{\"n\":2,\"n_2\":2,\"n_2_2\":2}\n");
    }

    #[test]
    fn csv_carries_nested_values_as_json_text() {
        let text = String::from_utf8(all(Format::Csv, &sample())).unwrap();
        assert!(text.starts_with("i,u,f,g,b,s,d,t,x,l\n"), "{text}");
        assert!(text.contains("\"[1,\"\"9223372036854775807\"\"]\""), "{text}");
        assert!(text.contains("\"a\"\"b,c\""), "{text}");
        assert!(text.contains("9007199254740992,,-inf"), "{text}");
    }

    #[test]
    fn arrow_streams_read_back_the_same() {
        let rows = sample();
        let bytes = all(Format::Arrow, &rows);
        let reader = arrow::ipc::reader::StreamReader::try_new(bytes.as_slice(), None).unwrap();
        let read = reader.map(Result::unwrap).collect::<Vec<_>>();
        let read = arrow::compute::concat_batches(&rows.schema(), &read).unwrap();
        assert_eq!(format!("{read:?}"), format!("{rows:?}"));
    }

    #[test]
    fn arrow_streams_have_no_views() {
        let text = ["a", "a text longer than a view holds inline"];
        let view = Arc::new(StringViewArray::from_iter_values(text)) as ArrayRef;
        let mut list = arrow::array::ListBuilder::new(arrow::array::StringViewBuilder::new());
        list.append_value([Some("b"), None]);
        list.append_null();
        let rows = RecordBatch::try_from_iter([("s", view), ("l", Arc::new(list.finish()) as ArrayRef)]).unwrap();
        let bytes = all(Format::Arrow, &rows);
        let reader = arrow::ipc::reader::StreamReader::try_new(bytes.as_slice(), None).unwrap();
        let types = reader.schema().fields().iter().map(|field| field.data_type().to_string()).collect::<Vec<_>>();
        assert_eq!(types, ["Utf8", "List(Utf8)"]);
        let read = reader.map(Result::unwrap).collect::<Vec<_>>();
        let read = arrow::compute::concat_batches(&read[0].schema(), &read).unwrap();
        let shown = |rows: &RecordBatch| {
            arrow::util::pretty::pretty_format_batches(std::slice::from_ref(rows)).unwrap().to_string()
        };
        assert_eq!(shown(&read), shown(&rows));
    }

    #[test]
    fn an_answer_without_rows_is_whole() {
        let rows = sample().slice(0, 0);
        let answer: Value = serde_json::from_slice(&all(Format::Json, &rows)).unwrap();
        assert_eq!(answer["rows"], json!([]));
        assert_eq!(all(Format::Csv, &rows), b"i,u,f,g,b,s,d,t,x,l\n");
        assert_eq!(all(Format::Ndjson, &rows), b"");
    }

    #[test]
    fn an_error_under_way_is_seen() {
        let rows = sample();
        let failed = Problem::timeout("no answer within 1s");
        let mut answer = Answer::new(Format::Json, &rows.schema()).unwrap();
        let mut text = answer.begin().unwrap();
        text.extend(answer.rows(&rows).unwrap());
        text.extend(answer.end(DONE, Some(&failed)).unwrap());
        let answer: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(answer["error"]["kind"], "timeout");

        let mut answer = Answer::new(Format::Arrow, &rows.schema()).unwrap();
        answer.begin().unwrap();
        let tail = answer.end(DONE, Some(&failed)).unwrap();
        assert_eq!(tail, b"", "no end-of-stream marker after an error");
    }

    #[test]
    fn accept_is_negotiated() {
        let check = |accept: Option<&str>, expect| assert_eq!(Format::negotiate(accept), expect, "{accept:?}");
        check(None, Some(Format::Json));
        check(Some("*/*"), Some(Format::Json));
        check(Some("text/csv"), Some(Format::Csv));
        check(Some("Application/X-NDJSON"), Some(Format::Ndjson));
        check(Some("text/html, application/json;q=0.5, text/csv;q=0.9"), Some(Format::Csv));
        check(Some("application/vnd.apache.arrow.stream, */*;q=0.1"), Some(Format::Arrow));
        check(Some("application/json;q=0"), None);
        check(Some("image/png"), None);
    }
}

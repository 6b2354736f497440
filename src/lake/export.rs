//! Rows of a table as one file: batch by batch from SQL to a file aside, which takes its name once it is whole and on disk.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use arrow::array::{Array, ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::json::LineDelimitedWriter;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use catchment_storage::{Lake, QueryLimits, RaisedBy};
use futures::StreamExt;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::json;

use super::print;
use crate::cli::Export;
use crate::control::{self, Answer, Request};

/// An export goes on for as long as it takes, and has as many rows as there are; only its memory is bounded.
const LIMITS: QueryLimits = QueryLimits {
    deadline: Duration::from_secs(30 * 86_400),
    max_rows: usize::MAX,
    memory: 256 << 20,
    rollups: false,
    raised_by: RaisedBy::NOTHING,
};
/// Rows of a Parquet row group, which is in memory until it is written.
const ROW_GROUP: usize = 131_072;
const ZSTD: i32 = 3;

pub fn run(export: &Export, lake: &Path, as_json: bool) -> anyhow::Result<String> {
    let kind = Kind::of(&export.to)?;
    if export.to.exists() {
        bail!("{} is there already: name a file that is not", export.to.display());
    }
    // What is in memory only would be missing.
    if let Some(Answer::Failed(why)) = control::ask(lake, &Request::Flush)? {
        bail!("the running instance cannot write its rows to files, and the export would lack them: {why}");
    }
    let lake = Lake::open_read_only(lake)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let rows = runtime.block_on(async {
        tokio::select! {
            rows = write(export, kind, &lake) => rows,
            _ = tokio::signal::ctrl_c() => bail!("interrupted; {} was not made", export.to.display()),
        }
    })?;
    match as_json {
        true => print::json(&json!({ "rows": rows, "file": export.to })),
        false => Ok(format!("Wrote {rows} rows to {}.\n", export.to.display())),
    }
}

async fn write(export: &Export, kind: Kind, lake: &Lake) -> anyhow::Result<u64> {
    let mut query = lake.query(&sql(export), LIMITS).await?;
    let aside = Aside::beside(&export.to)?;
    let mut sink = Sink::new(kind, aside.create()?, &query.schema)?;
    let mut rows = 0;
    while let Some(batch) = query.next().await {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        sink.write(&batch)?;
    }
    let written = || format!("writing {}", export.to.display());
    sink.finish()?.sync_all().with_context(written)?;
    aside.put_in_place(&export.to).with_context(written)?;
    Ok(rows)
}

fn sql(export: &Export) -> String {
    let time = |time: SystemTime| {
        let time = humantime::format_rfc3339_micros(time);
        format!("arrow_cast('{time}', 'Timestamp(Microsecond, Some(\"UTC\"))')")
    };
    let mut conditions = Vec::new();
    conditions.extend(export.from.map(|from| format!("ts >= {}", time(from))));
    conditions.extend(export.until.map(|until| format!("ts < {}", time(until))));
    // It may end in a comment.
    conditions.extend(export.condition.as_ref().map(|condition| format!("({condition}\n)")));
    let condition = if conditions.is_empty() { "true".to_owned() } else { conditions.join(" AND ") };
    format!("SELECT * FROM \"{}\" WHERE {condition}", export.table.replace('"', "\"\""))
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Parquet,
    Csv,
    JsonLines,
}

impl Kind {
    fn of(file: &Path) -> anyhow::Result<Kind> {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("parquet") => Ok(Kind::Parquet),
            Some("csv") => Ok(Kind::Csv),
            Some("jsonl" | "ndjson") => Ok(Kind::JsonLines),
            _ => bail!("{}: the name has to end in .parquet, .csv or .jsonl", file.display()),
        }
    }
}

/// A file in the making, gone unless it is put in its place.
struct Aside(PathBuf);

impl Aside {
    fn beside(file: &Path) -> anyhow::Result<Aside> {
        let name = file.file_name().with_context(|| format!("{} names no file", file.display()))?;
        Ok(Aside(file.with_file_name(format!(".tmp-{}-{}", std::process::id(), name.to_string_lossy()))))
    }

    fn create(&self) -> anyhow::Result<File> {
        File::create_new(&self.0).with_context(|| format!("making {}", self.0.display()))
    }

    /// Fails when there is a file of that name by now.
    fn put_in_place(&self, file: &Path) -> std::io::Result<()> {
        fs::hard_link(&self.0, file)?;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

enum Sink {
    Parquet(Box<ArrowWriter<File>>),
    Csv(Box<arrow::csv::Writer<BufWriter<File>>>, SchemaRef),
    JsonLines(LineDelimitedWriter<BufWriter<File>>),
}

impl Sink {
    fn new(kind: Kind, file: File, schema: &SchemaRef) -> anyhow::Result<Sink> {
        Ok(match kind {
            Kind::Parquet => {
                let properties = WriterProperties::builder()
                    .set_created_by(concat!("catchment ", env!("CARGO_PKG_VERSION"), " export").to_owned())
                    .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD)?))
                    .set_max_row_group_row_count(Some(ROW_GROUP));
                Sink::Parquet(Box::new(ArrowWriter::try_new(file, schema.clone(), Some(properties.build()))?))
            }
            Kind::Csv => {
                let flat = schema.fields().iter().map(|field| match field.data_type().is_nested() {
                    true => Arc::new(Field::new(field.name(), DataType::Utf8, true)),
                    false => field.clone(),
                });
                let flat = Arc::new(Schema::new(flat.collect::<Vec<_>>()));
                let mut csv = arrow::csv::WriterBuilder::new().with_header(true).build(BufWriter::new(file));
                csv.write(&RecordBatch::new_empty(flat.clone()))?;
                Sink::Csv(Box::new(csv), flat)
            }
            Kind::JsonLines => Sink::JsonLines(LineDelimitedWriter::new(BufWriter::new(file))),
        })
    }

    fn write(&mut self, rows: &RecordBatch) -> anyhow::Result<()> {
        match self {
            Sink::Parquet(parquet) => parquet.write(rows)?,
            Sink::Csv(csv, flat) => {
                let columns = rows.columns().iter().map(flatten).collect::<anyhow::Result<Vec<_>>>()?;
                csv.write(&RecordBatch::try_new(flat.clone(), columns)?)?;
            }
            Sink::JsonLines(lines) => lines.write(rows)?,
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<File> {
        let mut buffered = match self {
            Sink::Parquet(parquet) => return Ok(parquet.into_inner()?),
            Sink::Csv(csv, _) => csv.into_inner(),
            Sink::JsonLines(mut lines) => {
                lines.finish()?;
                lines.into_inner()
            }
        };
        buffered.flush()?;
        buffered.into_inner().map_err(|error| error.into_error().into())
    }
}

/// CSV has no lists: those become text.
fn flatten(column: &ArrayRef) -> anyhow::Result<ArrayRef> {
    if !column.data_type().is_nested() {
        return Ok(column.clone());
    }
    let options = FormatOptions::new();
    let format = ArrayFormatter::try_new(column, &options)?;
    let texts = (0..column.len()).map(|row| match column.is_null(row) {
        true => Ok(None),
        false => format.value(row).try_to_string().map(Some),
    });
    Ok(Arc::new(texts.collect::<Result<StringArray, _>>()?))
}

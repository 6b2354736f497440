//! Delta checkpoints: a table's whole state in one Parquet file, so that opening reads few commits.
//!
//! Actions are JSON in commits and columns in checkpoints; Arrow's JSON reader and writer turn one into the other.
//! Reads single-file checkpoints by anybody; a table with multi-part ones is read from its commits.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::json::{LineDelimitedWriter, ReaderBuilder};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use crate::disk::{Disk, Source};

fn path(folder: &Path, version: i64) -> PathBuf {
    folder.join(format!("{version:020}.checkpoint.parquet"))
}

pub(super) fn write(disk: &dyn Disk, folder: &Path, version: i64, actions: &[Value]) -> anyhow::Result<()> {
    let schema = schema();
    let mut decoder = ReaderBuilder::new(schema.clone()).with_batch_size(actions.len().max(1)).build_decoder()?;
    decoder.serialize(actions)?;
    let rows = decoder.flush()?.context("a checkpoint of nothing")?;
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema, None)?;
    writer.write(&rows)?;
    writer.close()?;
    disk.replace(&path(folder, version), &bytes)?;
    let last = json!({"version": version, "size": actions.len()}).to_string();
    Ok(disk.replace(&folder.join("_last_checkpoint"), last.as_bytes())?)
}

/// The version of the newest checkpoint.
pub(super) fn last(disk: &dyn Disk, folder: &Path) -> anyhow::Result<Option<i64>> {
    let last = match disk.read(&folder.join("_last_checkpoint")) {
        Ok(bytes) => serde_json::from_slice::<Value>(&bytes).unwrap_or_default(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("reading {}", folder.display())),
    };
    Ok(last["version"].as_i64())
}

/// The version and actions of the checkpoint that `_last_checkpoint` names.
pub(super) fn read_last(disk: &dyn Disk, folder: &Path) -> anyhow::Result<Option<(i64, Vec<Value>)>> {
    let Some(version) = last(disk, folder)? else { return Ok(None) };
    let path = path(folder, version);
    match read(disk, &path) {
        Ok(actions) => Ok(Some((version, actions))),
        Err(error) if disk.exists(&folder.join(format!("{:020}.json", 0))) => {
            tracing::warn!("{}: reading all commits instead: {error:#}", path.display());
            Ok(None)
        }
        Err(error) => bail!("{}: {error:#}, and the commits before it are gone", path.display()),
    }
}

fn read(disk: &dyn Disk, path: &Path) -> anyhow::Result<Vec<Value>> {
    let mut actions = Vec::new();
    for rows in ParquetRecordBatchReaderBuilder::try_new(Source::open(disk, path)?)?.build()? {
        let mut lines = LineDelimitedWriter::new(Vec::new());
        lines.write(&rows?)?;
        lines.finish()?;
        for line in lines.into_inner().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            actions.push(serde_json::from_slice(line)?);
        }
    }
    Ok(actions)
}

fn schema() -> SchemaRef {
    let field = |name: &str, kind: DataType| Field::new(name, kind, true);
    let strings = |names: &[&str]| names.iter().map(|name| field(name, DataType::Utf8)).collect::<Vec<_>>();
    let longs = |names: &[&str]| names.iter().map(|name| field(name, DataType::Int64)).collect::<Vec<_>>();
    let action = |name: &str, fields: Vec<Vec<Field>>| {
        field(name, DataType::Struct(Fields::from(fields.into_iter().flatten().collect::<Vec<_>>())))
    };
    let map = |name: &str| {
        let entry = Fields::from(vec![Field::new("key", DataType::Utf8, false), field("value", DataType::Utf8)]);
        field(name, DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entry), false)), false))
    };
    let list = |name: &str| field(name, DataType::List(Arc::new(field("element", DataType::Utf8))));
    let int = |name: &str| field(name, DataType::Int32);
    let format = action("format", vec![strings(&["provider"]), vec![map("options")]]);
    Arc::new(Schema::new(vec![
        action("txn", vec![strings(&["appId"]), longs(&["version", "lastUpdated"])]),
        action(
            "add",
            vec![
                strings(&["path"]),
                vec![map("partitionValues")],
                longs(&["size", "modificationTime"]),
                vec![field("dataChange", DataType::Boolean)],
                strings(&["stats"]),
                vec![map("tags")],
            ],
        ),
        action(
            "remove",
            vec![strings(&["path"]), longs(&["deletionTimestamp"]), vec![field("dataChange", DataType::Boolean)]],
        ),
        action(
            "metaData",
            vec![
                strings(&["id", "name", "description"]),
                vec![format],
                strings(&["schemaString"]),
                vec![list("partitionColumns"), map("configuration")],
                longs(&["createdTime"]),
            ],
        ),
        action("protocol", vec![vec![int("minReaderVersion"), int("minWriterVersion")]]),
    ]))
}

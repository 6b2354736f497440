//! `query`: SQL to a running instance over HTTP, or straight to a lake folder.
//!
//! Both give Arrow record batches, printed here: the answer looks the same wherever it is from. A table or JSON is
//! held in memory whole, at most the million rows that an instance gives.

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, bail};
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use catchment_storage::{Lake, LakePlan, QueryPlan};

use crate::cli::{Exit, Format, Query, Source, complain};
use crate::components;
use crate::extensions::lake_plan;

const DEFAULT_URL: &str = "http://localhost:8080";
const ARROW_STREAM: &str = "application/vnd.apache.arrow.stream";

struct Answer {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

pub fn run(query: &Query, source: &Source) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let answer = runtime.block_on(answer(query, source))?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    match print(&answer, query.format, &mut out).and_then(|()| Ok(out.flush()?)) {
        Err(error) if is_broken_pipe(&error) => {}
        printed => printed?,
    }
    Ok(Exit::Done)
}

async fn answer(query: &Query, source: &Source) -> anyhow::Result<Answer> {
    if let Some(path) = &query.lake {
        let given = !source.configs.is_empty() || !source.sets.is_empty();
        let plan = given.then(|| components::plan(source)).transpose();
        let Ok(plan) = plan else { bail!("the configuration is wrong: see `catchment validate`") };
        let limits = plan.as_ref().and_then(lake_plan).map(|lake| lake.query.clone());
        return from_lake(path, limits.unwrap_or_default(), &query.sql).await;
    }
    let url = query.url.as_deref().unwrap_or(DEFAULT_URL);
    match from_instance(url, &query.sql).await {
        Err(Unanswered::Unreachable(error)) if query.url.is_none() => {
            let lake = match components::plan(source) {
                Ok(plan) => lake_plan(&plan).cloned(),
                Err(_) => {
                    bail!("no instance answers at {url}, and the configuration is wrong: see `catchment validate`")
                }
            };
            let Some(LakePlan { path, query: limits, .. }) = lake else {
                return Err(error).context(format!("no instance answers at {url}, and the configuration has no lake"));
            };
            complain(&format!("No instance answers at {url}: reading the lake in {}.", path.display()));
            from_lake(&path, limits, &query.sql).await
        }
        Err(Unanswered::Unreachable(error) | Unanswered::Failed(error)) => Err(error),
        Ok(answer) => Ok(answer),
    }
}

enum Unanswered {
    Unreachable(anyhow::Error),
    Failed(anyhow::Error),
}

async fn from_instance(url: &str, sql: &str) -> Result<Answer, Unanswered> {
    let failed = |error: reqwest::Error| Unanswered::Failed(anyhow::Error::new(error).context(format!("asking {url}")));
    let client = reqwest::Client::builder().no_proxy().build().map_err(failed)?;
    let request = client
        .post(format!("{}/api/v1/query", url.trim_end_matches('/')))
        .header("content-type", "application/json")
        .header("accept", ARROW_STREAM)
        .body(serde_json::json!({ "sql": sql }).to_string());
    let response = request.send().await.map_err(|error| match error.is_connect() {
        true => Unanswered::Unreachable(anyhow::Error::new(error).context(format!("asking {url}"))),
        false => failed(error),
    })?;
    let status = response.status();
    let body = response.bytes().await.map_err(failed)?;
    if !status.is_success() {
        return Err(Unanswered::Failed(refusal(status.as_u16(), &body)));
    }
    read_stream(&body).map_err(Unanswered::Failed)
}

fn read_stream(body: &[u8]) -> anyhow::Result<Answer> {
    let reader = StreamReader::try_new(body, None).context("the answer is not an Arrow stream")?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<_, _>>().context("the answer broke off")?;
    Ok(Answer { schema, batches })
}

/// The message of an error body, or what there is.
fn refusal(status: u16, body: &[u8]) -> anyhow::Error {
    let json = serde_json::from_slice::<serde_json::Value>(body).unwrap_or_default();
    let error = json.get("error").unwrap_or(&json);
    let message = ["detail", "message", "title"].iter().find_map(|key| error.get(key)?.as_str());
    match message.or(error.as_str()) {
        Some(message) => anyhow::anyhow!("{message}"),
        None => {
            anyhow::anyhow!("HTTP {status}: {}", String::from_utf8_lossy(body).chars().take(500).collect::<String>())
        }
    }
}

async fn from_lake(path: &Path, limits: QueryPlan, sql: &str) -> anyhow::Result<Answer> {
    let folder = path.to_owned();
    let lake = tokio::task::spawn_blocking(move || Lake::open_read_only(folder)).await??;
    lake.set_query(limits);
    let query = lake.query(sql, lake.limits()).await?;
    let schema = query.schema.clone();
    Ok(Answer { schema, batches: query.collect().await? })
}

fn print(answer: &Answer, format: Format, out: &mut impl Write) -> anyhow::Result<()> {
    match format {
        Format::Table if answer.schema.fields().is_empty() => {}
        Format::Table => {
            let table = arrow::util::pretty::pretty_format_batches_with_schema(answer.schema.clone(), &answer.batches)?;
            writeln!(out, "{table}")?;
        }
        Format::Json => {
            let mut writer = arrow::json::WriterBuilder::new()
                .with_explicit_nulls(true)
                .build::<_, arrow::json::writer::JsonArray>(&mut *out);
            writer.write_batches(&answer.batches.iter().collect::<Vec<_>>())?;
            writer.finish()?;
            writeln!(out)?;
        }
        Format::Csv => {
            let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(&mut *out);
            match answer.batches.is_empty() {
                true => writer.write(&RecordBatch::new_empty(answer.schema.clone()))?,
                false => answer.batches.iter().try_for_each(|batch| writer.write(batch))?,
            }
        }
        Format::Arrow => {
            let mut writer = StreamWriter::try_new(&mut *out, &answer.schema)?;
            answer.batches.iter().try_for_each(|batch| writer.write(batch))?;
            writer.finish()?;
        }
    }
    Ok(())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

//! What there is to ask about: metrics, series, labels and their values.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use catchment_storage::{SeriesFilter, SeriesInfo};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::App;
use crate::problem::Problem;
use crate::query::late;
use crate::turns::Client;

/// Of one answer, when the request names no `limit`.
const DEFAULT_LIMIT: usize = 1_000;
const MAX_LIMIT: usize = 100_000;

type Parameters = Query<Vec<(String, String)>>;
type Answer = Result<Json<Value>, Problem>;

pub async fn metrics(State(app): State<Arc<App>>, Query(parameters): Parameters) -> Answer {
    let mut search = None;
    let mut limit = MAX_LIMIT;
    for (key, value) in parameters {
        match key.as_str() {
            "search" => search = Some(value.to_lowercase()),
            "limit" => limit = parse_limit(&value)?,
            _ => return Err(unknown(&key, "search, limit")),
        }
    }
    let mut found = app.lake()?.metrics();
    if let Some(search) = search {
        found.retain(|metric| metric.name.to_lowercase().contains(&search));
    }
    let truncated = found.len() > limit;
    let metrics = found.iter().take(limit).map(|metric| {
        json!({
            "name": metric.name, "type": metric.kind, "unit": metric.unit, "description": metric.description,
            "series": metric.series, "attributes": metric.attributes,
        })
    });
    Ok(Json(json!({"metrics": metrics.collect::<Vec<_>>(), "truncated": truncated})))
}

pub async fn series(State(app): State<Arc<App>>, client: Client, Query(parameters): Parameters) -> Answer {
    let mut filter = SeriesFilter::default();
    let mut limit = DEFAULT_LIMIT;
    for (key, value) in parameters {
        match key.as_str() {
            "metric" => filter.metric = Some(value),
            "match" => match value.split_once('=') {
                Some((key, value)) => filter.matchers.push((key.to_owned(), value.to_owned())),
                None => return Err(Problem::bad_request(format!("`match={value}` is not match=<attribute>=<value>"))),
            },
            "limit" => limit = parse_limit(&value)?,
            _ => return Err(unknown(&key, "metric, match, limit")),
        }
    }
    let lake = app.lake()?;
    let mut found = bounded(&app, client, lake.series(&filter, limit + 1)).await?;
    let truncated = found.len() > limit;
    found.truncate(limit);
    let series = found.iter().map(series_json).collect::<Vec<_>>();
    Ok(Json(json!({"series": series, "truncated": truncated})))
}

fn series_json(series: &SeriesInfo) -> Value {
    let object = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|_| json!({}));
    json!({
        "metric": series.metric,
        // Hashes use all 64 bits, more than a JSON number keeps.
        "series_id": series.series_id.to_string(),
        "resource_id": series.resource_id.to_string(),
        "attributes": object(&series.attributes),
        "resource_attributes": object(&series.resource_attributes),
    })
}

pub async fn labels(State(app): State<Arc<App>>, Query(parameters): Parameters) -> Answer {
    let mut wanted = None;
    for (key, value) in parameters {
        match key.as_str() {
            "metric" => wanted = Some(value),
            _ => return Err(unknown(&key, "metric")),
        }
    }
    let metrics = app.lake()?.metrics();
    let of = metrics.iter().filter(|metric| wanted.as_ref().is_none_or(|wanted| metric.name == *wanted));
    let labels = of.flat_map(|metric| metric.attributes.iter()).collect::<BTreeSet<_>>();
    Ok(Json(json!({"labels": labels})))
}

pub async fn label_values(
    State(app): State<Arc<App>>,
    client: Client,
    Path(name): Path<String>,
    Query(parameters): Parameters,
) -> Answer {
    let mut metric = None;
    let mut limit = DEFAULT_LIMIT;
    for (key, value) in parameters {
        match key.as_str() {
            "metric" => metric = Some(value),
            "limit" => limit = parse_limit(&value)?,
            _ => return Err(unknown(&key, "metric, limit")),
        }
    }
    let lake = app.lake()?;
    let mut values = bounded(&app, client, lake.label_values(metric.as_deref(), &name, limit + 1)).await?;
    let truncated = values.len() > limit;
    values.truncate(limit);
    Ok(Json(json!({"values": values, "truncated": truncated})))
}

/// These scan the lake as queries do: they take a turn, and have a query's time.
async fn bounded<T>(app: &App, client: Client, ask: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    let _turn = app.turns.take(client).await?;
    let limits = app.settings.limits(app.lake()?.limits());
    timeout(limits.deadline, ask).await.unwrap_or_else(|_| Err(late(&limits)))
}

fn parse_limit(text: &str) -> Result<usize, Problem> {
    match text.parse() {
        Ok(limit @ 1..=MAX_LIMIT) => Ok(limit),
        _ => Err(Problem::bad_request(format!("`limit={text}`: write a number from 1 to {MAX_LIMIT}"))),
    }
}

fn unknown(key: &str, known: &str) -> Problem {
    Problem::bad_request(format!("unknown parameter `{key}`; known: {known}"))
}

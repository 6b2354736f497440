//! Silences.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use catchment_pipeline::alerts::{Input, Labels, Matcher, Silence, SilenceState, time};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::parameters::{Pairs, matchers, yes_or_no};
use super::{Connectors, Failure, body, now};
use crate::App;

const MOST_MATCHERS: usize = 100;
const MOST_BYTES: usize = 16 << 10;

pub async fn list(State(app): State<Arc<App>>, Query(parameters): Query<Pairs>) -> Result<Json<Value>, Failure> {
    let connectors = Connectors::of(&app.sources.alerts)?;
    let (mut active, mut pending, mut expired, mut filter) = (true, true, true, Vec::new());
    for (key, value) in parameters {
        match key.as_str() {
            "active" => active = yes_or_no(&key, &value)?,
            "pending" => pending = yes_or_no(&key, &value)?,
            "expired" => expired = yes_or_no(&key, &value)?,
            "filter" => filter.extend(matchers(&value)?),
            // Others are let be, as Alertmanager and Prometheus do.
            _ => {}
        }
    }
    let (view, now) = (connectors.view(), now());
    let wanted = |silence: &&Silence| match silence.state(now) {
        SilenceState::Active => active,
        SilenceState::Pending => pending,
        SilenceState::Expired => expired,
    };
    let mut found: Vec<_> = view.silences.iter().filter(wanted).filter(|silence| is_about(silence, &filter)).collect();
    // In force first, and of those what ends first; then what comes; then what was, the last first.
    found.sort_by_key(|silence| match silence.state(now) {
        SilenceState::Active => (0, silence.ends_at),
        SilenceState::Pending => (1, silence.starts_at),
        SilenceState::Expired => (2, -silence.ends_at),
    });
    Ok(Json(found.into_iter().map(|silence| shown(silence, now)).collect()))
}

/// For each condition the silence has a matcher that says the same, as Alertmanager compares them: names and values, as if they were labels.
fn is_about(silence: &Silence, filter: &[Matcher]) -> bool {
    let labels: Labels = silence.matchers.iter().map(|matcher| (matcher.name(), matcher.value())).collect();
    Matcher::all(filter, &labels)
}

fn shown(silence: &Silence, now: i64) -> Value {
    json!({
        "annotations": {},
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "endsAt": time::format(silence.ends_at),
        "id": silence.id,
        "matchers": silence.matchers,
        "startsAt": time::format(silence.starts_at),
        "status": {"state": silence.state(now)},
        "updatedAt": time::format(silence.updated_at),
    })
}

fn find(connectors: &Connectors, id: &str) -> Result<Silence, Failure> {
    let found = connectors.view().silences.iter().find(|silence| silence.id == id).cloned();
    found.ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, "silence not found"))
}

pub async fn one(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Value>, Failure> {
    Ok(Json(shown(&find(&Connectors::of(&app.sources.alerts)?, &id)?, now())))
}

pub async fn expire(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<(), Failure> {
    let connectors = Connectors::of(&app.sources.alerts)?;
    let silence = find(&connectors, &id)?;
    if silence.state(now()) == SilenceState::Expired {
        return Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, format!("silence {id} already expired")));
    }
    connectors.submit(vec![Input::Expire { silence: id.clone() }]).await?;
    connectors.shows(|view| is_over(view.silences.iter().find(|silence| silence.id == id))).await;
    Ok(())
}

fn is_over(silence: Option<&Silence>) -> bool {
    silence.is_none_or(|silence| silence.state(now()) == SilenceState::Expired)
}

/// A new one, or an edit. What it mutes cannot be changed under the same id: then the old one ends, and the edit has an id of its own.
pub async fn put(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Result<Json<Value>, Failure> {
    let connectors = Connectors::of(&app.sources.alerts)?;
    let mut silence: Silence = body::read(&app.places, &headers, body).await?;
    let now = now();
    check(&mut silence, now)?;
    let mut inputs = Vec::new();
    let old = (!silence.id.is_empty()).then(|| find(&connectors, &silence.id)).transpose()?;
    if !old.as_ref().is_some_and(|old| old.can_become(&silence, now)) {
        silence.starts_at = silence.starts_at.max(now);
        inputs.extend(
            old.filter(|old| old.state(now) != SilenceState::Expired).map(|old| Input::Expire { silence: old.id }),
        );
        silence.id = uuid::Uuid::new_v4().to_string();
    }
    let (id, ends_at) = (silence.id.clone(), silence.ends_at);
    inputs.push(Input::Silence(silence));
    connectors.submit(inputs).await?;
    connectors.shows(|view| view.silences.iter().any(|silence| silence.id == id && silence.ends_at == ends_at)).await;
    Ok(Json(json!({"silenceID": id})))
}

fn check(silence: &mut Silence, now: i64) -> Result<(), Failure> {
    if silence.starts_at == 0 {
        silence.starts_at = now;
    }
    let wrong = |what: &str| Err(Failure::bad_request(what));
    if silence.starts_at >= silence.ends_at {
        return wrong("Failed to create silence: start time must be before end time");
    }
    if silence.ends_at < now {
        return wrong("Failed to create silence: end time can't be in the past");
    }
    says_something(&silence.matchers).map_err(|what| Failure::bad_request(format!("invalid silence: {what}")))?;
    if silence.comment.len() + silence.created_by.len() > MOST_BYTES || silence.id.len() > 64 {
        return wrong("invalid silence: the comment is too long");
    }
    Ok(())
}

/// Matchers that hold for everything are a mistake.
pub fn says_something(matchers: &[Matcher]) -> Result<(), String> {
    if matchers.is_empty() {
        return Err("at least one matcher required".to_owned());
    }
    let bytes = matchers.iter().map(|matcher| matcher.name().len() + matcher.value().len()).sum::<usize>();
    if matchers.len() > MOST_MATCHERS || bytes > MOST_BYTES {
        return Err(format!("at most {MOST_MATCHERS} matchers, and {MOST_BYTES} bytes of them"));
    }
    if Matcher::all(matchers, &Labels::default()) {
        return Err("at least one matcher must not match the empty string".to_owned());
    }
    Ok(())
}

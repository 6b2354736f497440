//! `/api/v1/rules` and `/api/v1/alerts`, as Prometheus answers them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use catchment_pipeline::alerts::{AlertView, RuleGroupView, RuleView, View, time};
use serde_json::{Value, json};

use super::parameters::{Pairs, yes_or_no};
use super::{Connectors, Failure};
use crate::App;

pub async fn alerts(State(app): State<Arc<App>>) -> Result<Json<Value>, Failure> {
    let view = Connectors::of(&app.sources.alerts)?.view();
    let alerts: Vec<_> = view.alerts.iter().filter(|view| !view.rule.is_empty()).map(alert).collect();
    Ok(success(json!({"alerts": alerts})))
}

fn success(data: Value) -> Json<Value> {
    Json(json!({"status": "success", "data": data}))
}

fn alert(view: &AlertView) -> Value {
    // Go's shortest form with an exponent.
    let value = view.value.map_or_else(|| "NaN".to_owned(), |value| format!("{value:e}"));
    json!({
        "labels": view.alert.labels,
        "annotations": view.alert.annotations,
        "state": if view.pending { "pending" } else { "firing" },
        "activeAt": time::format(view.alert.starts_at),
        "value": value,
    })
}

#[derive(Default)]
struct Wanted {
    /// `alert` or `record`.
    kind: Option<String>,
    names: Vec<String>,
    groups: Vec<String>,
    files: Vec<String>,
    without_alerts: bool,
}

pub async fn rules(State(app): State<Arc<App>>, Query(parameters): Query<Pairs>) -> Result<Json<Value>, Failure> {
    let view = Connectors::of(&app.sources.alerts)?.view();
    let mut wanted = Wanted::default();
    for (key, value) in parameters {
        match key.as_str() {
            "type" if ["alert", "record"].contains(&value.as_str()) => wanted.kind = Some(value),
            "type" => return Err(Failure::bad_request(format!("`type={value}`: write alert or record"))),
            "rule_name[]" => wanted.names.push(value),
            "rule_group[]" => wanted.groups.push(value),
            "file[]" => wanted.files.push(value),
            "exclude_alerts" => wanted.without_alerts = yes_or_no(&key, &value)?,
            // Others are let be, as Alertmanager and Prometheus do.
            _ => {}
        }
    }
    let is_wanted = |group: &&RuleGroupView| {
        (wanted.groups.is_empty() || wanted.groups.contains(&group.name))
            && (wanted.files.is_empty() || wanted.files.contains(&group.file))
    };
    let groups = view.rules.iter().filter(is_wanted).map(|group| {
        let rules: Vec<_> = group
            .rules
            .iter()
            .filter(|rule| wanted.holds(rule))
            .map(|one| rule(&view, group, one, wanted.without_alerts))
            .collect();
        (!rules.is_empty() || group.rules.is_empty()).then(|| {
            json!({
                "name": group.name,
                "file": group.file,
                "interval": seconds(group.interval),
                "limit": 0,
                "rules": rules,
                "evaluationTime": seconds(group.took),
                "lastEvaluation": time::format(group.last_evaluation),
            })
        })
    });
    Ok(success(json!({"groups": groups.flatten().collect::<Vec<_>>()})))
}

impl Wanted {
    fn holds(&self, rule: &RuleView) -> bool {
        let kind = if rule.recording { "record" } else { "alert" };
        self.kind.as_ref().is_none_or(|wanted| wanted == kind)
            && (self.names.is_empty() || self.names.contains(&rule.name))
    }
}

fn rule(view: &View, group: &RuleGroupView, rule: &RuleView, without_alerts: bool) -> Value {
    let mut shown = json!({
        "name": rule.name,
        "query": rule.expr,
        "labels": rule.labels,
        "health": rule.health,
        "evaluationTime": seconds(rule.took),
        "lastEvaluation": time::format(rule.last_evaluation),
        "type": if rule.recording { "recording" } else { "alerting" },
    });
    // Ours, for who draws the rule's value: what `$range` is, and what the value is held against.
    if rule.window > 0 {
        shown["window"] = seconds(rule.window);
    }
    if !rule.thresholds.is_empty() {
        shown["thresholds"] = json!(rule.thresholds);
    }
    if !rule.last_error.is_empty() {
        shown["lastError"] = rule.last_error.as_str().into();
    }
    if !rule.recording {
        let mine = |view: &&AlertView| view.group == group.name && view.rule == rule.name;
        let alerts: Vec<_> = view.alerts.iter().filter(|_| !without_alerts).filter(mine).map(alert).collect();
        shown["alerts"] = alerts.into();
        shown["annotations"] = json!(rule.annotations);
        shown["duration"] = seconds(rule.hold);
        shown["keepFiringFor"] = seconds(rule.keep_firing_for);
        shown["state"] = rule.state.into();
    }
    shown
}

fn seconds(nanos: i64) -> Value {
    json!(nanos as f64 / 1e9)
}

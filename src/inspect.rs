//! `validate`, `components`, `print-config`: commands that open nothing.

use std::fmt::Write;

use catchment_pipeline::component::{Spec, Stability};
use catchment_pipeline::config::{Mistake, Plan, Severity};
use serde_json::json;

use crate::cli::{Exit, Mode, Source, complain, say};
use crate::components::{REGISTRY, plan};

pub fn validate(source: &Source) -> anyhow::Result<Exit> {
    let Some(plan) = checked(source) else { return Ok(Exit::BadConfig) };
    say(&format!("The configuration is fine: {}.\n", summary(&plan)))?;
    Ok(Exit::Done)
}

pub fn print_config(source: &Source, mode: Mode) -> anyhow::Result<Exit> {
    let Some(plan) = checked(source) else { return Ok(Exit::BadConfig) };
    say(&match mode {
        Mode::Redacted => plan.redacted(),
        Mode::Unredacted => plan.unredacted(),
        Mode::Unexpanded => plan.unexpanded(),
    })?;
    Ok(Exit::Done)
}

/// The plan, or `None` when there are mistakes. Both mistakes and remarks go to stderr.
pub fn checked(source: &Source) -> Option<Plan> {
    match plan(source) {
        Ok(plan) => {
            plan.remarks.iter().for_each(|remark| complain(&remark.to_string()));
            Some(plan)
        }
        Err(mistakes) => {
            mistakes.iter().for_each(|mistake| complain(&mistake.to_string()));
            complain(&tally(&mistakes));
            None
        }
    }
}

pub fn tally(mistakes: &[Mistake]) -> String {
    match mistakes.iter().filter(|mistake| mistake.severity == Severity::Error).count() {
        1 => "There is 1 mistake in the configuration.".to_owned(),
        count => format!("There are {count} mistakes in the configuration."),
    }
}

fn summary(plan: &Plan) -> String {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    [
        count(plan.pipelines.len(), "pipeline"),
        count(plan.receivers.len(), "receiver"),
        count(plan.processors.len(), "processor"),
        count(plan.exporters.len(), "exporter"),
        count(plan.extensions.len(), "extension"),
    ]
    .join(", ")
}

struct Line {
    kind: &'static str,
    aliases: &'static [&'static str],
    summary: &'static str,
    signals: Vec<&'static str>,
    stability: &'static str,
}

fn lines<P: ?Sized>(specs: &[&'static Spec<P>]) -> Vec<Line> {
    let line = |spec: &&'static Spec<P>| Line {
        kind: spec.kind,
        aliases: spec.aliases,
        summary: spec.summary,
        signals: spec.signals.iter().map(|signal| signal.name()).collect(),
        stability: match spec.stability {
            Stability::Alpha => "alpha",
            Stability::Beta => "beta",
            Stability::Stable => "stable",
        },
    };
    specs.iter().map(line).collect()
}

pub fn components(as_json: bool) -> anyhow::Result<Exit> {
    let roles = [
        ("receivers", lines(REGISTRY.receivers)),
        ("processors", lines(REGISTRY.processors)),
        ("connectors", lines(REGISTRY.connectors)),
        ("exporters", lines(REGISTRY.exporters)),
        ("extensions", lines(REGISTRY.extensions)),
    ];
    let mut out = String::new();
    if as_json {
        let role = |(role, lines): &(&str, Vec<Line>)| {
            let lines = lines.iter().map(|line| {
                json!({
                    "name": line.kind, "aliases": line.aliases, "summary": line.summary, "signals": line.signals,
                    "stability": line.stability,
                })
            });
            ((*role).to_owned(), lines.collect::<serde_json::Value>())
        };
        let all: serde_json::Map<_, _> = roles.iter().map(role).collect();
        writeln!(out, "{:#}", serde_json::Value::Object(all))?;
    } else {
        for (role, lines) in &roles {
            writeln!(out, "{role}:")?;
            for line in lines {
                writeln!(out, "  {:<20} {:<7} {}", line.kind, line.stability, line.summary)?;
                let signals = Some(line.signals.join(", ")).filter(|signals| !signals.is_empty());
                let aliases = Some(line.aliases.join(", ")).filter(|aliases| !aliases.is_empty());
                let details = [signals, aliases.map(|aliases| format!("also {aliases}"))];
                let details = details.into_iter().flatten().collect::<Vec<_>>().join("; ");
                if !details.is_empty() {
                    writeln!(out, "  {:<28} {details}", "")?;
                }
            }
        }
    }
    say(&out)?;
    Ok(Exit::Done)
}

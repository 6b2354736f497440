//! `routing`: each item goes to the pipelines of the first condition that holds for it.
//!
//! ```yaml
//! connectors:
//!   routing:
//!     default_pipelines: [traces/rest]        # where no condition holds; without it such items are dropped, counted as `unrouted`
//!     error_mode: ignore                      # of a condition that fails for a row: ignore (logged; it does not hold), silent, propagate (as ignore)
//!     table:
//!       - condition: "resource_attributes['tenant'] = 'acme'"
//!         pipelines: [traces/acme]
//! ```
//!
//! The Collector's keys, with conditions in SQL. `context` needs no saying: a condition is held against every kind of row that has its
//! columns, and `resource_attributes` are there beside `attributes`. A batch that goes one way whole goes as it came.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arrow::array::{BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use catchment_pipeline::batch::{self, Batch, Signal, Table};
use catchment_pipeline::component::{
    ConnectorPlan, ConnectorSpec, Context, Occasionally, Out, Relay, Spec, Stability, Tally,
};
use catchment_pipeline::config::Section;
use datafusion::error::DataFusionError;

use crate::sql::{self, ERROR_MODES, ErrorMode, Failures, Frame, Program, Rows};

pub static SPEC: ConnectorSpec = Spec {
    kind: "routing",
    aliases: &[],
    summary: "Sends each item to the pipelines of the first SQL condition that holds for it",
    signals: &Signal::TELEMETRY,
    stability: Stability::Beta,
    plan: |section| Box::new(read(section)),
};

const ALL: [Rows; 6] = [
    Rows::Of(Table::Metrics),
    Rows::Of(Table::Histograms),
    Rows::Of(Table::ExpHistograms),
    Rows::Of(Table::Summaries),
    Rows::Of(Table::Logs),
    Rows::Of(Table::Spans),
];

#[derive(Clone)]
struct Plan(Arc<Routes>);

struct Routes {
    routes: Vec<Route>,
    /// Where no condition holds.
    rest: Arc<[String]>,
    mode: ErrorMode,
}

struct Route {
    /// One for each kind of row that has the condition's columns.
    programs: Vec<Program>,
    pipelines: Arc<[String]>,
}

fn read(section: &mut Section) -> Plan {
    let mode = section.choice("error_mode", &ERROR_MODES).unwrap_or(ErrorMode::Ignore);
    let rest = section.or("default_pipelines", Vec::<String>::new()).into();
    let items = section.list("table");
    if items.is_empty() {
        section.mistake(
            "table",
            "there are no routes",
            "add table: [{ condition: \"...\", pipelines: [traces/acme] }]",
        );
    }
    let routes = items.into_iter().filter_map(|mut item| read_route(&mut item)).collect();
    Plan(Arc::new(Routes { routes, rest, mode }))
}

fn read_route(item: &mut Section) -> Option<Route> {
    let contexts = ["resource", "scope", "span", "metric", "datapoint", "log", "request"];
    if item.choice("context", &contexts.map(|name| (name, name))) == Some("request") {
        let what = "the request's metadata is not kept with its data";
        item.mistake("context", what, "route by what the data says: resource_attributes['tenant'] = 'acme'");
    }
    if let Some(action) = item.get::<String>("action").filter(|action| action != "move") {
        let what = format!("\"{action}\" is not done here: an item goes by the first route that takes it");
        item.mistake("action", what, "remove it, or list both pipelines in one route");
    }
    if item.get::<String>("statement").is_some() {
        item.mistake("statement", "routes have conditions, in SQL", "write condition: \"attributes['k'] = 'v'\"");
        let _ = (item.get::<String>("condition"), item.get::<Vec<String>>("pipelines"));
        return None;
    }
    let pipelines: Vec<String> = item.required("pipelines")?;
    if pipelines.is_empty() {
        item.mistake("pipelines", "a route leads to no pipeline", "list one; to drop items use filter");
    }
    let condition: String = item.required("condition")?;
    match sql::condition_for(&ALL, &condition) {
        Ok(programs) => Some(Route { programs, pipelines: pipelines.into() }),
        Err(wrong) => {
            item.mistake("condition", wrong.what, wrong.mend);
            None
        }
    }
}

impl ConnectorPlan for Plan {
    fn puts_out(&self, signal: Signal) -> &'static [Signal] {
        signal.alone()
    }

    fn sends_to(&self) -> Vec<&str> {
        let routes = self.0.routes.iter().flat_map(|route| route.pipelines.iter());
        routes.chain(self.0.rest.iter()).map(String::as_str).collect()
    }

    fn build(&self, context: Context) -> anyhow::Result<Box<dyn Relay>> {
        let said = Occasionally::new(Duration::from_secs(30));
        Ok(Box::new(Routing { plan: self.0.clone(), tally: context.tally, id: context.id, said }))
    }
}

struct Routing {
    plan: Arc<Routes>,
    tally: Arc<Tally>,
    id: String,
    said: Occasionally,
}

impl Relay for Routing {
    fn process(&mut self, batch: Batch, _: SystemTime, out: &mut Out) {
        let mut failures = Failures::default();
        // By route, and last what none of them took.
        let mut parts: Vec<Vec<(Table, RecordBatch)>> = vec![Vec::new(); self.plan.routes.len() + 1];
        for (table, rows) in batch.rows().tables() {
            match self.split(table, rows, &mut failures) {
                Ok(split) => {
                    parts.iter_mut().zip(split).for_each(|(part, rows)| part.extend(rows.map(|rows| (table, rows))))
                }
                Err(error) => {
                    failures.rows += rows.num_rows();
                    failures.first.get_or_insert(sql::message(&error));
                    if let Some(rest) = parts.last_mut() {
                        rest.push((table, rows.clone()));
                    }
                }
            }
        }
        self.say(&failures);
        let ways = self.plan.routes.iter().map(|route| &route.pipelines).chain([&self.plan.rest]);
        for (pipelines, part) in ways.zip(parts) {
            let rows = batch::Rows::new(part);
            if !rows.is_empty() && pipelines.is_empty() {
                self.tally.take_out("unrouted", rows.len());
            } else if rows.len() == batch.items() {
                out.push_to(pipelines.clone(), batch.clone());
            } else if !rows.is_empty() {
                out.push_to(pipelines.clone(), Batch::from_rows(batch.signal(), rows));
            }
        }
    }
}

impl Routing {
    /// One for each route, and one for what none of them took.
    fn split(
        &self,
        table: Table,
        rows: &RecordBatch,
        failures: &mut Failures,
    ) -> Result<Vec<Option<RecordBatch>>, DataFusionError> {
        let mut frame = Frame::new(rows);
        let mut unsaid = Failures::default();
        let failures = if self.plan.mode == ErrorMode::Silent { &mut unsaid } else { failures };
        let mut left = BooleanBuffer::new_set(rows.num_rows());
        let mut split = Vec::with_capacity(self.plan.routes.len() + 1);
        for route in &self.plan.routes {
            let program = route.programs.iter().find(|program| program.rows == Rows::Of(table));
            // What was acknowledged cannot be refused any more: `propagate` is `ignore` here.
            let held = match program {
                Some(program) if left.count_set_bits() > 0 => {
                    program.matches(&mut frame, ErrorMode::Ignore, failures)?
                }
                _ => None,
            };
            let Some(taken) = held.map(|held| &held & &left) else {
                split.push(None);
                continue;
            };
            left = &left & &!&taken;
            split.push(part(rows, taken)?);
        }
        split.push(part(rows, left)?);
        Ok(split)
    }

    fn say(&self, failures: &Failures) {
        let (rows, first) = (failures.rows, failures.first.as_deref().unwrap_or_default());
        if rows > 0
            && let Some(times) = self.said.due(Instant::now())
        {
            tracing::warn!(
                connector = self.id,
                rows,
                times,
                "a condition failed for rows, for which it does not hold: {first}"
            );
        }
    }
}

fn part(rows: &RecordBatch, mask: BooleanBuffer) -> Result<Option<RecordBatch>, DataFusionError> {
    match mask.count_set_bits() {
        0 => Ok(None),
        all if all == rows.num_rows() => Ok(Some(rows.clone())),
        _ => Ok(Some(arrow::compute::filter_record_batch(rows, &BooleanArray::from(mask))?)),
    }
}

#[cfg(test)]
mod tests;

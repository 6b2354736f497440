//! `redaction`: takes away attributes that are not on a list and masks what must not be kept, with the Collector's keys.
//!
//! ```yaml
//! redaction:
//!   allow_all_keys: false         # true: `allowed_keys` does not matter
//!   allowed_keys: [description]   # every other attribute is removed; none listed: all are
//!   ignored_keys: [safe]          # kept as they are, and so are those in `ignored_key_patterns`
//!   blocked_key_patterns: ['.*token.*', '.*api_key.*']   # the whole value is masked
//!   blocked_values: ['4[0-9]{12}(?:[0-9]{3})?']          # what matches in a value is masked
//!   allowed_values: ['.+@mycompany\.com']                # a value in which this is found is kept as it is
//!   redact_all_types: true        # numbers, lists and maps too, as text; else strings only
//!   hash_function: hmac-sha256    # in place of `****`: md5, sha1, sha3, hmac-sha256, hmac-sha512 (with `hmac_key`)
//!   summary: info                 # `redaction.*` attributes say how many (info), and which keys (debug); silent: none
//! ```
//!
//! Attributes of resources, scopes, points, log records, spans and span events, and log bodies, as in the Collector; also
//! those of span links and of exemplars, which it leaves. Each distinct set of a batch is looked at once. A key that is
//! blocked is masked as a whole, whatever lines its value has. Sanitizing of URLs and database statements is not built.
//! Taking an attribute away from metric points can make two series one: nothing is aggregated here.

mod rows;
mod rules;

use std::sync::Arc;
use std::time::SystemTime;

use catchment_pipeline::batch::{Batch, Signal};
use catchment_pipeline::component::{
    Context, Processor, ProcessorPlan, ProcessorSpec, Refused, Spec, Stability, Stage,
};
use rules::Rules;

pub static SPEC: ProcessorSpec = Spec {
    kind: "redaction",
    aliases: &[],
    summary: "Removes attributes that are not allowed, and masks or hashes values that are blocked",
    signals: &Signal::TELEMETRY,
    stability: Stability::Beta,
    plan: |section| Box::new(Plan(Arc::new(Rules::read(section)))),
};

struct Plan(Arc<Rules>);

impl ProcessorPlan for Plan {
    fn build(&self, _: Context) -> anyhow::Result<Stage> {
        Ok(Stage::Transform(Box::new(Redactor(self.0.clone()))))
    }
}

struct Redactor(Arc<Rules>);

impl Processor for Redactor {
    fn process(&mut self, batch: Batch, _: SystemTime, out: &mut Vec<Batch>) -> Result<(), Refused> {
        let rows = rows::redact(&self.0, batch.rows());
        let rows = rows.map_err(|error| Refused::Rejected { reason: format!("redaction: {error}") })?;
        // What did not change goes on as it came, OTLP bytes included.
        out.push(rows.map_or(batch.clone(), |rows| Batch::from_rows(batch.signal(), rows)));
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! How a stage that runs SQL ends: what is left goes on, and failures are said.

use std::time::{Duration, Instant};

use catchment_pipeline::batch::{Batch, Rows};
use catchment_pipeline::component::{Occasionally, Tally};

use super::Failures;

/// `None`: nothing changed, and the batch goes on as it came, OTLP bytes included. Rows that are no longer there are counted as `filtered`.
pub fn pass_on(batch: Batch, left: Option<Rows>, tally: &Tally, out: &mut Vec<Batch>) {
    let Some(rows) = left else {
        out.push(batch);
        return;
    };
    tally.take_out("filtered", batch.items().saturating_sub(rows.len()));
    if !rows.is_empty() {
        out.push(Batch::from_rows(batch.signal(), rows));
    }
}

/// Says now and then that expressions of a processor fail.
pub struct Complaints {
    id: String,
    said: Occasionally,
}

impl Complaints {
    pub fn new(id: String) -> Complaints {
        Complaints { id, said: Occasionally::new(Duration::from_secs(30)) }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// `what` failed, and what becomes of the rows.
    pub fn say(&self, what: &str, failures: &Failures) {
        let (rows, first) = (failures.rows, failures.first.as_deref().unwrap_or_default());
        if rows > 0
            && let Some(times) = self.said.due(Instant::now())
        {
            tracing::warn!(processor = self.id, rows, times, "{what}: {first}");
        }
    }
}

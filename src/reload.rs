//! SIGHUP: from one configuration to the next. All of it or nothing: what may fail (sockets, destinations, components) is
//! made first, and only when all is there does anything change. What changed is restarted, the rest runs on.
//!
//! | what | a reload |
//! |---|---|
//! | receivers, processors, exporters, pipelines | restarts what changed |
//! | `dashboard`, `health_check`, own metrics' Prometheus endpoints | starts, restarts, stops; a socket whose endpoint stays is kept |
//! | `lake`: `flush_interval`, `flush_size`, `accept`, `query`, `maintenance`, `retention`, `rollups` | applies |
//! | `service::telemetry`: level of logs, readers that push, traces | applies |
//! | the lake's and the log's place, size and columns; `logs::encoding`, `metrics::level`, `resource`; `admission` | says that it takes a restart |

use catchment_pipeline::config::{Mistake, Plan};
use catchment_pipeline::engine;

use crate::components;
use crate::extensions::StoresPlan;
use crate::inspect;
use crate::run::App;

impl App {
    pub async fn reload(&mut self) {
        tracing::info!("reading the configuration again");
        let plan = match components::plan(&self.source) {
            Ok(plan) => plan,
            Err(mistakes) => return self.refuse(&mistakes),
        };
        plan.remarks.iter().for_each(|remark| tracing::warn!("{remark}"));
        match self.go_over(plan).await {
            Ok(what) => {
                tracing::info!("reloaded: {what}");
                self.say_addresses();
                self.engine.reloaded(what);
            }
            Err(error) => {
                let message = format!("{error:#}");
                tracing::warn!("not reloaded, the running configuration stays: {message}");
                self.engine.not_reloaded(message);
            }
        }
    }

    fn refuse(&self, mistakes: &[Mistake]) {
        mistakes.iter().for_each(|mistake| tracing::warn!("{mistake}"));
        let message = format!("{} The running one stays.", inspect::tally(mistakes));
        tracing::warn!("{message}");
        self.engine.not_reloaded(message);
    }

    async fn go_over(&mut self, mut plan: Plan) -> anyhow::Result<String> {
        if !self.own.has_metrics() {
            plan.telemetry.prometheus.clear();
        }
        let own = self.own.prepare(&plan.telemetry).await?;
        let servers = self.servers.prepare(&plan).await?;
        let changes = match self.engine.reload(engine::Plan::take(&mut plan)).await {
            Ok(changes) => changes,
            Err(error) => {
                self.servers.abandon(servers).await;
                return Err(error);
            }
        };
        let changes = changes.and(self.servers.go_over(servers));
        let mut what = changes.to_string();
        if let Some(own) = own {
            self.own.go_over(own, &self.logging.spans);
            what.push_str("; own telemetry goes elsewhere");
        }
        self.logging.set_level(&plan.telemetry);
        let stores = StoresPlan::of(&plan);
        if let (Some(lake), Some((interval, size))) = (&self.lake, self.stores.new_flush(&stores)) {
            lake.set_flush(interval, size);
            what.push_str("; the lake flushes as told now");
        }
        if let (Some(lake), Some(limits)) = (&self.lake, self.stores.new_accept(&stores)) {
            lake.set_accepts(limits);
            what.push_str("; the lake takes the times it is told now");
        }
        if let (Some(lake), Some(query)) = (&self.lake, self.stores.new_query(&stores)) {
            lake.set_query(query);
            what.push_str("; queries have the limits they are told now");
        }
        if let (Some(lake), Some(maintenance)) = (&self.lake, self.stores.new_maintenance(&stores)) {
            lake.set_maintenance(maintenance);
            what.push_str("; the lake is kept in order as told now");
        }
        let fixed = self.fixed(&plan, &stores);
        if !fixed.is_empty() {
            let fixed = fixed.join(", ");
            tracing::warn!("what takes a restart of the process stays as it was: {fixed}");
            what = format!("{what}; not without a restart: {fixed}");
        }
        self.stores.take_over(stores);
        Ok(what)
    }

    /// What changed and cannot while the process runs.
    fn fixed(&self, plan: &Plan, stores: &StoresPlan) -> Vec<&'static str> {
        let mut fixed = self.stores.fixed(stores);
        fixed.extend(self.own.fixed(&plan.telemetry));
        if plan.admission != self.admission {
            fixed.push("service::admission");
        }
        fixed
    }
}

//! The names SQL can resolve, made when asked for: the lake's tables, and every metric seen.

use std::sync::Arc;

use async_trait::async_trait;
use catchment_pipeline::batch::Table;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::error::Result;

use super::Snapshot;
use super::latest::{self, LatestScan};
use super::views::{self, Source};
use crate::lake::lock;
use crate::schema::{LakeTable, Step, TABLES};

pub(super) const CATALOG: &str = "lake";
pub(super) const SCHEMA: &str = "public";
/// Metrics listed by SHOW TABLES; all of them resolve, and `series` has all of them.
const LISTED: usize = 1000;

#[derive(Debug)]
pub(super) struct Names(pub(super) Arc<Snapshot>);

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

impl Names {
    fn source(&self, table: LakeTable) -> Source<'_> {
        let rolled = table.rolled().filter(|_| self.0.rollups);
        let rollups = rolled.into_iter().flat_map(|rolled| Step::ALL.map(|step| LakeTable::Rollup(rolled, step)));
        let rollups = rollups.map(|rollup| self.0.tables[rollup.index()].clone()).collect();
        Source { table: &self.0.tables[table.index()], rollups }
    }
}

impl CatalogProvider for Names {
    fn schema_names(&self) -> Vec<String> {
        vec![SCHEMA.to_owned()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        (name == SCHEMA).then(|| Arc::new(Names(self.0.clone())) as Arc<dyn SchemaProvider>)
    }
}

#[async_trait]
impl SchemaProvider for Names {
    fn table_names(&self) -> Vec<String> {
        let catalog = lock(&self.0.catalog);
        let metrics = catalog.metrics().map(|(name, _)| name.clone()).take(LISTED);
        TABLES.iter().map(|table| table.name()).chain([latest::NAME]).map(str::to_owned).chain(metrics).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if name == latest::NAME {
            self.0.asked.note(LakeTable::Rows(Table::Metrics));
            return Ok(Some(Arc::new(LatestScan::new(self.0.clone()))));
        }
        if let Some(table) = LakeTable::by_name(name) {
            self.0.asked.note(table);
            return views::table(self.source(table)).map(Some);
        }
        let metric = lock(&self.0.catalog).metric(name).cloned();
        let Some(metric) = metric else {
            self.0.asked.note_missing(name);
            return Ok(None);
        };
        let table = LakeTable::Rows(metric.table);
        self.0.asked.note(table);
        views::metric(name, &metric, self.source(table)).map(Some)
    }

    fn table_exist(&self, name: &str) -> bool {
        name == latest::NAME || LakeTable::by_name(name).is_some() || lock(&self.0.catalog).metric(name).is_some()
    }
}

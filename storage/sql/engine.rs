//! Plans and runs queries on threads of its own, so that a heavy one slows no receiver and a deep one finds stack.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::catalog::{CatalogProviderList, MemoryCatalogProviderList};
use datafusion::config::Dialect;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::optimizer::OptimizerRule;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream, execute_stream};
use datafusion::prelude::{SQLOptions, SessionConfig};
use futures::{FutureExt, StreamExt};
use object_store::local::LocalFileSystem;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use super::bounds::{self, BoundRows};
use super::error::{QueryError, QueryErrorKind};
use super::increase::{ExpandIncreases, PlanIncreases};
use super::rollup::ChooseRollups;
use super::scan::STORE;
use super::spill::{self, OwnSortedRows, Shares, SortPool};
use super::tables::{CATALOG, Names, SCHEMA};
use super::{Query, QueryLimits, RaisedBy, Snapshot, Tables, functions, guard, projections};
use crate::config::QueryPlan;
use crate::lake::lock;

/// Virtual; only what is used becomes real. Enough for the deepest statement `guard` lets through, in a debug build.
const STACK: usize = 64 << 20;
/// Values of an `IN` up to which row groups and pages are left out by it.
pub(super) const LISTED: usize = 64;
/// Disk for operators that spill, all queries together.
const SPILL: u64 = 4 << 30;

pub(crate) struct Engine {
    runtime: Option<Runtime>,
    /// What every query begins with: its functions and rules take longer to make than most queries to plan.
    session: Arc<SessionState>,
    running: Arc<Semaphore>,
    plan: Mutex<QueryPlan>,
}

type Rows = Result<RecordBatch, QueryError>;

impl Engine {
    /// `spill`: the folder operators may spill to; the system's when `None`.
    pub(crate) fn new(lake: &Path, spill: Option<PathBuf>, plan: &QueryPlan) -> anyhow::Result<Engine> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(std::thread::available_parallelism().map_or(2, usize::from))
            .max_blocking_threads(16)
            .thread_name("sql")
            .thread_stack_size(STACK)
            .enable_time()
            .build()?;
        let mut builder = RuntimeEnvBuilder::new()
            .with_metadata_cache_limit(bytes(plan.metadata_cache))
            .with_max_temp_directory_size(SPILL)
            .with_max_spill_merge_fan_in(spill::FAN_IN);
        if let Some(spill) = spill {
            builder = builder.with_temp_file_path(spill);
        }
        let environment = builder.build_arc()?;
        let store = LocalFileSystem::new_with_prefix(lake)?;
        environment.register_object_store(ObjectStoreUrl::parse(STORE)?.as_ref(), Arc::new(store));
        let session = Arc::new(session(environment)?);
        Ok(Engine {
            runtime: Some(runtime),
            session,
            running: Arc::new(Semaphore::new(places(plan))),
            plan: Mutex::new(plan.clone()),
        })
    }

    pub(crate) fn limits(&self) -> QueryLimits {
        QueryLimits::from(&*lock(&self.plan))
    }

    /// For queries to come; those that run go on as they began.
    pub(crate) fn set_plan(&self, new: QueryPlan) {
        let mut plan = lock(&self.plan);
        self.session
            .runtime_env()
            .cache_manager
            .get_file_metadata_cache()
            .update_cache_limit(bytes(new.metadata_cache));
        let (had, wanted) = (places(&plan), places(&new));
        self.running.add_permits(wanted.saturating_sub(had));
        if wanted < had {
            // Places that are taken are given up as they become free.
            let (running, fewer) = (self.running.clone(), u32::try_from(had - wanted).unwrap_or(u32::MAX));
            let give_up = async move {
                if let Ok(places) = running.acquire_many_owned(fewer).await {
                    places.forget();
                }
            };
            if let Some(runtime) = &self.runtime {
                runtime.spawn(give_up);
            }
        }
        *plan = new;
    }

    /// Returns once the statement is planned.
    pub(crate) async fn query(
        &self,
        sql: &str,
        limits: QueryLimits,
        mut snapshot: Snapshot,
    ) -> Result<Query, QueryError> {
        let stopped = || QueryError::internal("the query engine has stopped");
        snapshot.rollups = limits.rollups;
        let position = snapshot.position;
        let (planned, plan) = oneshot::channel();
        let (rows, received) = mpsc::channel(2);
        let run = Run {
            sql: sql.to_owned(),
            limits,
            snapshot: Arc::new(snapshot),
            session: self.session.clone(),
            running: self.running.clone(),
        };
        let runtime = self.runtime.as_ref().ok_or_else(stopped)?;
        run.start(runtime, planned, rows);
        let Planned { schema, reads } = plan.await.map_err(|_| stopped())??;
        Ok(Query { schema, position, reads, rows: received })
    }
}

impl Drop for Engine {
    /// May be dropped by async code, where waiting for a runtime to end is not allowed.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

struct Planned {
    schema: SchemaRef,
    reads: Tables,
}

struct Run {
    sql: String,
    limits: QueryLimits,
    snapshot: Arc<Snapshot>,
    session: Arc<SessionState>,
    running: Arc<Semaphore>,
}

/// DataFusion's, and ours where literals have been computed and filters are still where they were written.
fn rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules = projections::rules();
    let simplified = rules.iter().position(|rule| rule.name() == "simplify_expressions");
    let at = simplified.map_or(0, |at| at + 1);
    let ours: [Arc<dyn OptimizerRule + Send + Sync>; 2] = [Arc::new(ChooseRollups), Arc::new(ExpandIncreases)];
    rules.splice(at..at, ours);
    rules
}

/// With no table in it yet.
fn session(environment: Arc<RuntimeEnv>) -> datafusion::error::Result<SessionState> {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(true);
    let options = config.options_mut();
    options.sql_parser.dialect = Dialect::PostgreSQL;
    options.sql_parser.collect_spans = true;
    options.execution.enable_recursive_ctes = false;
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.max_in_list_size = LISTED;
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(environment)
        .with_default_features()
        .with_optimizer_rules(rules())
        .with_query_planner(Arc::new(PlanIncreases))
        .with_physical_optimizer_rule(Arc::new(BoundRows))
        .with_physical_optimizer_rule(Arc::new(OwnSortedRows))
        .build();
    datafusion_functions_json::register_all(&mut state)?;
    functions::register(&mut state)?;
    bounds::register(&mut state)?;
    Ok(state)
}

impl Run {
    /// No future, so that the planner is compiled here: futures are compiled in every crate that awaits them, with all
    /// they hold.
    fn start(self, runtime: &Runtime, planned: oneshot::Sender<Result<Planned, QueryError>>, rows: mpsc::Sender<Rows>) {
        runtime.spawn(self.carry_out(planned, rows));
    }

    /// Whatever happens, the asker hears of it: a lost task would look like the end of the rows.
    async fn carry_out(self, planned: oneshot::Sender<Result<Planned, QueryError>>, rows: mpsc::Sender<Rows>) {
        let mut planned = Some(planned);
        let deadline = Instant::now() + self.limits.deadline;
        let work = AssertUnwindSafe(self.run(&mut planned, &rows)).catch_unwind();
        let failure = tokio::select! {
            done = tokio::time::timeout_at(deadline, work) => match done {
                Ok(Ok(Ok(()))) => return,
                Ok(Ok(Err(error))) => error,
                Ok(Err(_)) => QueryError::internal("the query failed in a way it should not; the rest goes on"),
                Err(_) => timed_out(&self.limits),
            },
            () = rows.closed() => return,
        };
        match planned {
            Some(planned) => drop(planned.send(Err(failure))),
            None => drop(rows.send(Err(failure)).await),
        }
    }

    async fn run(
        &self,
        planned: &mut Option<oneshot::Sender<Result<Planned, QueryError>>>,
        rows: &mpsc::Sender<Rows>,
    ) -> Result<(), QueryError> {
        let _turn = self.running.acquire().await;
        let mut stream = self.plan().await?;
        if let Some(planned) = planned.take() {
            let _ = planned.send(Ok(Planned { schema: stream.schema(), reads: self.snapshot.asked.tables() }));
        }
        let mut sent = 0;
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(|error| self.limits.explain(error))?;
            sent += batch.num_rows();
            if sent > self.limits.max_rows {
                let most = self.limits.max_rows;
                let advice = RaisedBy::advice(self.limits.raised_by.max_rows);
                return Err(QueryError::too_large(format!("more than {most} rows: add a LIMIT, {advice}")));
            }
            if batch.num_rows() > 0 && rows.send(Ok(batch)).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn plan(&self) -> Result<SendableRecordBatchStream, QueryError> {
        let statement = guard::check(&self.sql)?;
        let state = self.session();
        let plan = state
            .statement_to_plan(statement)
            .await
            .map_err(|error| self.snapshot.asked.explain(QueryError::from_datafusion(error), &self.snapshot.catalog))?;
        let read_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        read_only.verify_plan(&plan).map_err(|error| QueryError::refused(error.strip_backtrace()))?;
        bounds::check(&plan).map_err(QueryError::from_datafusion)?;
        let plan = state.create_physical_plan(&plan).await.map_err(QueryError::from_datafusion)?;
        let stream = self.task(&state, &plan).and_then(|task| execute_stream(plan, task));
        stream.map_err(|error| self.limits.explain(error))
    }

    /// Of this query: its snapshot, its `now()`.
    fn session(&self) -> SessionState {
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog(CATALOG.to_owned(), Arc::new(Names(self.snapshot.clone())));
        let mut state = SessionState::clone(&self.session);
        state.register_catalog_list(Arc::new(catalogs));
        if self.snapshot.in_order {
            state.config_mut().options_mut().execution.target_partitions = 1;
        }
        state.mark_start_execution();
        state
    }

    /// With this query's memory.
    fn task(&self, state: &SessionState, plan: &Arc<dyn ExecutionPlan>) -> datafusion::error::Result<Arc<TaskContext>> {
        let mut config = state.config().clone();
        let memory = self.limits.memory;
        let pool: Arc<dyn MemoryPool> = match Shares::of(plan, memory, config.batch_size()) {
            Some(Shares { merge, held, batch }) => {
                config.options_mut().execution.sort_spill_reservation_bytes = merge;
                config = config.with_batch_size(batch);
                Arc::new(SortPool::new(memory, held))
            }
            None => Arc::new(FairSpillPool::new(memory)),
        };
        let environment =
            RuntimeEnvBuilder::from_runtime_env(state.runtime_env()).with_memory_pool(pool).build_arc()?;
        Ok(Arc::new(TaskContext::from(state).with_session_config(config).with_runtime(environment)))
    }
}

fn places(plan: &QueryPlan) -> usize {
    plan.max_concurrent.min(Semaphore::MAX_PERMITS)
}

fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

fn timed_out(limits: &QueryLimits) -> QueryError {
    let advice = RaisedBy::advice(limits.raised_by.deadline);
    QueryError::new(QueryErrorKind::TimedOut, format!("the query took longer than {:?}: {advice}", limits.deadline))
}

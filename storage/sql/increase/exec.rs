//! Computes increases from rows that come by series and time, a batch at a time.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::resources_datafusion_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexRequirement, OrderingRequirements, PhysicalExpr, PhysicalSortRequirement,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    ReplaceChildrenOptions, SendableRecordBatchStream,
};
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use futures::{Stream, StreamExt};

use super::Added;
use super::node::Increases;
use crate::rollup::{Before, ExpHistograms, Histograms, Kind, Numbers, read};
use crate::schema::Rolled;

/// Points of one series and one time that are put in order.
const TIED: usize = 1 << 18;

/// Plans as DataFusion does, and what is ours.
#[derive(Debug)]
pub(in crate::sql) struct PlanIncreases;

#[async_trait]
impl QueryPlanner for PlanIncreases {
    async fn create_physical_plan(&self, plan: &LogicalPlan, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(PlanIncreases)]);
        planner.create_physical_plan(plan, session).await
    }
}

#[async_trait]
impl ExtensionPlanner for PlanIncreases {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _context: &datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(node) = node.as_any().downcast_ref::<Increases>() else { return Ok(None) };
        let [input] = inputs else { return Err(DataFusionError::Internal("increases have one input".to_owned())) };
        Ok(Some(Arc::new(IncreasesExec::new(input.clone(), node.rolled, node.wanted.clone())?)))
    }
}

#[derive(Debug)]
struct IncreasesExec {
    input: Arc<dyn ExecutionPlan>,
    rolled: Rolled,
    wanted: Vec<Added>,
    properties: Arc<PlanProperties>,
}

impl IncreasesExec {
    fn new(input: Arc<dyn ExecutionPlan>, rolled: Rolled, wanted: Vec<Added>) -> Result<IncreasesExec> {
        let own = input.schema();
        let added = wanted.iter().map(|added| Arc::new(added.field()));
        let fields = own.fields().iter().cloned().chain(added).collect::<Vec<_>>();
        let schema = Arc::new(Schema::new_with_metadata(fields, own.metadata().clone()));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            datafusion::physical_plan::Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        Ok(IncreasesExec { input, rolled, wanted, properties: Arc::new(properties) })
    }

    fn rows<K: Kind + 'static>(
        &self,
        input: SendableRecordBatchStream,
    ) -> impl Stream<Item = Result<RecordBatch>> + use<K>
    where
        K::Point: Send,
    {
        let schema = self.properties.eq_properties.schema().clone();
        let points =
            Points::<K> { schema, wanted: self.wanted.clone(), held: None, series: None, before: Before::nothing() };
        futures::stream::try_unfold((Some(input), points), async |(input, mut points)| {
            let Some(mut input) = input else { return Ok(None) };
            Ok(match input.next().await.transpose()? {
                Some(rows) => Some((points.add(&rows)?, (Some(input), points))),
                None => points.end()?.map(|rows| (rows, (None, points))),
            })
        })
    }
}

impl DisplayAs for IncreasesExec {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let wanted = self.wanted.iter().map(|added| added.name()).collect::<Vec<_>>();
        write!(f, "IncreasesExec: {}", wanted.join(", "))
    }
}

impl ExecutionPlan for IncreasesExec {
    fn name(&self) -> &str {
        "IncreasesExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn input_distribution_requirements(&self) -> datafusion::physical_plan::InputDistributionRequirements {
        let series = col("series_id", &self.input.schema());
        let one = |_| Distribution::SinglePartition;
        let of_series = series.map_or_else(one, |series| Distribution::KeyPartitioned(vec![series]));
        datafusion::physical_plan::InputDistributionRequirements::new(vec![of_series])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        let schema = self.input.schema();
        let columns = ["series_id", "ts"].into_iter().filter_map(|name| col(name, &schema).ok());
        let ascending = arrow::compute::SortOptions { descending: false, nulls_first: false };
        let columns = columns.map(|column| PhysicalSortRequirement::new(column, Some(ascending)));
        vec![LexRequirement::new(columns).map(OrderingRequirements::new)]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<datafusion::common::tree_node::TreeNodeRecursion>,
    ) -> Result<datafusion::common::tree_node::TreeNodeRecursion> {
        Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.pop()) {
            (Some(input), None) => Ok(Arc::new(IncreasesExec::new(input, self.rolled, self.wanted.clone())?)),
            _ => Err(DataFusionError::Internal("IncreasesExec has one child".to_owned())),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let schema = self.properties.eq_properties.schema().clone();
        Ok(match self.rolled {
            Rolled::Metrics => Box::pin(RecordBatchStreamAdapter::new(schema, self.rows::<Numbers>(input))),
            Rolled::Histograms => Box::pin(RecordBatchStreamAdapter::new(schema, self.rows::<Histograms>(input))),
            Rolled::ExpHistograms => Box::pin(RecordBatchStreamAdapter::new(schema, self.rows::<ExpHistograms>(input))),
        })
    }
}

struct Points<K: Kind> {
    schema: SchemaRef,
    wanted: Vec<Added>,
    /// The last rows of one series and time: the next batch may have more of them.
    held: Option<RecordBatch>,
    series: Option<i64>,
    before: Before<K::Point>,
}

impl<K: Kind> Points<K> {
    /// The rows of which no more can come of the same series and time.
    fn add(&mut self, rows: &RecordBatch) -> Result<RecordBatch> {
        let rows = match self.held.take() {
            Some(held) => concat_batches(&rows.schema(), [&held, rows])?,
            None => rows.clone(),
        };
        let (_, ids, times) = read::<K>(&rows).map_err(external)?;
        let place = |row: usize| (ids.value(row), times.get(row).copied());
        let last = rows.num_rows().checked_sub(1).map(place);
        let held = (0..rows.num_rows()).rev().take_while(|row| Some(place(*row)) == last).count();
        if held > TIED {
            return Err(resources_datafusion_err!("a series has more than {TIED} points of one time"));
        }
        let done = rows.num_rows() - held;
        self.held = (held > 0).then(|| rows.slice(done, held));
        self.added(&rows.slice(0, done))
    }

    fn end(&mut self) -> Result<Option<RecordBatch>> {
        self.held.take().map(|rows| self.added(&rows)).transpose()
    }

    fn added(&mut self, rows: &RecordBatch) -> Result<RecordBatch> {
        let (columns, ids, times) = read::<K>(rows).map_err(external)?;
        let mut sums = Vec::with_capacity(rows.num_rows());
        let mut row = 0;
        while let Some(time) = times.get(row).copied() {
            let series = ids.value(row);
            let tied = (row..times.len()).take_while(|row| times[*row] == time && ids.value(*row) == series).count();
            if self.series != Some(series) {
                (self.series, self.before) = (Some(series), Before::nothing());
            }
            self.tied(&columns, time, row..row + tied, &mut sums);
            row += tied;
        }
        let added = self.wanted.iter().map(|added| -> Result<ArrayRef> {
            let array = K::array(added.rolled_up(), &sums).map_err(external)?;
            let array = array.ok_or_else(|| DataFusionError::Internal(format!("no {}", added.name())))?;
            let field = added.field();
            Ok(if array.data_type() == field.data_type() { array } else { cast(&array, field.data_type())? })
        });
        let columns = rows.columns().iter().cloned().map(Ok).chain(added).collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }

    /// Of one time.
    fn tied(&mut self, columns: &K::Columns<'_>, time: i64, rows: Range<usize>, sums: &mut Vec<K::Sum>) {
        let mut points = rows.map(|row| K::point(columns, row)).enumerate().collect::<Vec<_>>();
        points.sort_by(|(_, a), (_, b)| K::order(a, b));
        let mut own = Vec::with_capacity(points.len());
        for (place, point) in points {
            own.push((place, K::sum(&point, self.before.of(time))));
            self.before.note::<K>(time, point);
        }
        own.sort_by_key(|(place, _)| *place);
        sums.extend(own.into_iter().map(|(_, sum)| sum));
    }
}

fn external(error: anyhow::Error) -> DataFusionError {
    DataFusionError::External(error.into())
}

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use catchment_pipeline::batch::Table;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::*;
use crate::testing::{process, show, texts};

fn request(resources: &[&[(&str, &str)]]) -> ExportMetricsServiceRequest {
    let point = NumberDataPoint { value: Some(number_data_point::Value::AsInt(1)), ..Default::default() };
    let gauge = metric::Data::Gauge(Gauge { data_points: vec![point] });
    let metric = Metric { name: "m".to_owned(), data: Some(gauge), ..Default::default() };
    let scope = ScopeMetrics { metrics: vec![metric], ..Default::default() };
    let resource_metrics = resources.iter().map(|pairs| ResourceMetrics {
        resource: Some(Resource { attributes: texts(pairs), ..Default::default() }),
        scope_metrics: vec![scope.clone()],
        ..Default::default()
    });
    ExportMetricsServiceRequest { resource_metrics: resource_metrics.collect() }
}

/// The example of the Collector's documentation.
const EXAMPLE: &str = "
attributes:
- { key: cloud.availability_zone, value: zone-1, action: upsert }
- { key: k8s.cluster.name, from_attribute: k8s-cluster, action: insert }
- { key: redundant-attribute, action: delete }";

#[test]
fn the_collector_s_example() {
    let before =
        request(&[&[("k8s-cluster", "c"), ("redundant-attribute", "r")], &[("cloud.availability_zone", "zone-2")]]);
    let expect: [&[(&str, &str)]; 2] = [
        &[("cloud.availability_zone", "zone-1"), ("k8s-cluster", "c"), ("k8s.cluster.name", "c")],
        &[("cloud.availability_zone", "zone-1")],
    ];
    let after = process(&SPEC, EXAMPLE, Signal::Metrics, &before);
    let decoded = ExportMetricsServiceRequest::decode(after.otlp().clone()).unwrap();
    let shown = decoded.resource_metrics.iter().map(|metrics| show(&metrics.resource.as_ref().unwrap().attributes));
    assert_eq!(shown.collect::<Vec<_>>(), expect.map(|pairs| show(&texts(pairs))));

    // Identities are those of the same data had it come like this.
    let came = Batch::from_otlp(Signal::Metrics, request(&expect).encode_to_vec().into()).unwrap();
    for column in ["resource_id", "series_id"] {
        let ids = |batch: &Batch| batch.rows().table(Table::Metrics).unwrap().column_by_name(column).unwrap().clone();
        assert_eq!(&ids(&after), &ids(&came), "{column}");
    }
}

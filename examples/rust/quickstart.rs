// cargo add opentelemetry opentelemetry_sdk opentelemetry-otlp; cargo add tokio -F full
use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry::{KeyValue, metrics::MeterProvider};
use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::{Resource, metrics::SdkMeterProvider, trace::SdkTracerProvider};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let service = Resource::builder().with_service_name("quickstart-rust").build();
    let meters = SdkMeterProvider::builder()
        .with_resource(service.clone())
        .with_periodic_exporter(MetricExporter::builder().with_tonic().build()?)
        .build();
    let tracers = SdkTracerProvider::builder()
        .with_resource(service)
        .with_batch_exporter(SpanExporter::builder().with_tonic().build()?)
        .build();

    let orders = meters.meter("shop").u64_counter("orders").with_unit("{order}").build();
    tracers.tracer("shop").in_span("checkout", |_| orders.add(3, &[KeyValue::new("http.route", "/cart")]));

    meters.shutdown()?;
    tracers.shutdown()?;
    Ok(())
}

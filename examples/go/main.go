// go mod init quickstart && go mod tidy && go run .
package main

import (
	"context"
	"log"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

func main() {
	ctx := context.Background()
	metrics, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithInsecure())
	if err != nil {
		log.Fatal(err)
	}
	traces, err := otlptracehttp.New(ctx, otlptracehttp.WithInsecure())
	if err != nil {
		log.Fatal(err)
	}
	service := resource.NewSchemaless(attribute.String("service.name", "quickstart-go"))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithResource(service),
		sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metrics)))
	tracers := sdktrace.NewTracerProvider(sdktrace.WithResource(service), sdktrace.WithBatcher(traces))

	orders, _ := meters.Meter("shop").Int64Counter("orders", metric.WithUnit("{order}"))
	ctx, span := tracers.Tracer("shop").Start(ctx, "checkout")
	orders.Add(ctx, 3, metric.WithAttributes(attribute.String("http.route", "/cart")))
	span.End()

	if err := meters.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	if err := tracers.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
}

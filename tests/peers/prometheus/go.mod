// The real Prometheus our benches and tests run beside Catchment, built by `cargo xtask peers`.
module prometheus-peer

go 1.25.0

require github.com/prometheus/prometheus v0.316.0

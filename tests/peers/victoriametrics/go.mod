// The real VictoriaMetrics our benches and tests run beside Catchment, built by `cargo xtask peers`.
module victoriametrics-peer

go 1.25.0

require github.com/VictoriaMetrics/VictoriaMetrics v1.151.0

// The real Alertmanager and amtool our tests run beside Catchment, built by `cargo xtask peers`.
module alertmanager-peer

go 1.25.0

require github.com/prometheus/alertmanager v0.34.2

// No alerting connector runs: what would be one.
import { CopyButton } from '../shared/CopyButton';

const EXAMPLE = `connectors:
  alerting:
    groups:
      - name: hosts
        interval: 30s
        rules:
          - alert: DiskFull
            expr: >
              SELECT host_name, mountpoint, max(value) AS value
              FROM "system.filesystem.utilization"
              WHERE $range GROUP BY 1, 2 HAVING max(value) > 0.9
            for: 5m
            labels: { severity: critical }
            annotations:
              summary: '{{ $labels.mountpoint }} of {{ $labels.host_name }} is {{ $value | humanizePercentage }} full'
          - metric: system.cpu.utilization
            condition: greater_than
            threshold: 0.85
            for: 10m
            severity: warning

service:
  pipelines:
    metrics: { receivers: [otlp, host_metrics], exporters: [parquet, alerting] }
    alerts: { receivers: [alerting], exporters: [parquet] }
`;

export function NotConfigured() {
  return (
    <section class="panel-box not-configured" aria-label="How to add alerts">
      <h2>No alerts are configured</h2>
      <p>
        Alerts come from an <code>alerting</code> connector: it watches what its pipelines carry by rules, and hands
        what it finds to a pipeline of <code>alerts</code>, whose exporters are the channels (email, slack, pagerduty,
        webhook, ...). With <code>parquet</code> among them their history is kept and can be asked for in SQL. A
        Prometheus can use this instance as its Alertmanager besides.
      </p>
      <div class="example">
        <CopyButton text={EXAMPLE} what="the example" />
        <pre tabIndex={0} role="region" aria-label="Example of a configuration">
          <code>{EXAMPLE}</code>
        </pre>
      </div>
    </section>
  );
}

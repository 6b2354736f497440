// A Catchment with rules, and data that some of them fire on.
import { gauge, send } from './otlp.mjs';
import { Server } from './server.mjs';

export const HOSTILE = '"><img src=x onerror=alert(1)>';

const LEVEL = 'SELECT place, max(value) AS value FROM "page.alert" WHERE $range GROUP BY 1 HAVING max(value) > 5';

const alerting = {
  route: { group_wait: '1s' },
  groups: [
    {
      name: 'page',
      interval: '1s',
      rules: [
        {
          alert: 'PageLevel',
          expr: LEVEL,
          labels: { severity: 'critical' },
          annotations: { summary: '{{ $labels.place }} is at {{ $value }}', runbook_url: 'https://runbooks.example.com/level' },
        },
        { alert: 'PageWaits', expr: LEVEL, for: '1h', labels: { severity: 'warning' } },
        { alert: 'PageBroken', expr: 'SELECT valeu FROM "page.alert" WHERE $range' },
      ],
    },
  ],
};

export const startAlerting = () =>
  Server.start({
    more: {
      connectors: { alerting },
      service: {
        pipelines: {
          metrics: { receivers: ['otlp'], exporters: ['parquet', 'alerting'] },
          alerts: { receivers: ['alerting'], exporters: ['parquet'] },
        },
      },
    },
  });

/** A point of now, and some before it, of two places; of the second the name is markup. */
export const sendLevels = (server, value = 9) => {
  const now = Date.now();
  const points = Array.from({ length: 20 }, (_, i) => ({ t: now - i * 10_000, v: i < 6 ? value : 2 }));
  return send(server.otlp, 'metrics', [
    gauge('page.alert', [...points.map((point) => ({ ...point, place: 'north' })), ...points.map((point) => ({ ...point, place: HOSTILE }))]),
  ]);
};

// What a panel shows while it has no data: a shape of what comes, or what would fill it.
import type { ChartKind } from '../charts/Chart';
import { zoomOut } from '../charts/viewport';
import { Button, EmptyState } from '../ui';
import { type Panel, panelQuery } from './board';

export function Skeleton({ kind }: { readonly kind: ChartKind }) {
  const shape = kind === 'table' ? 'rows' : kind === 'stat' || kind === 'gauge' || kind === 'pie' ? 'spot' : 'plot';
  return (
    <div class={`skeleton ${shape}`} role="status">
      <span class="visually-hidden">Loading</span>
      {shape === 'plot' && (
        <svg viewBox="0 0 100 40" preserveAspectRatio="none" aria-hidden="true">
          <path d="M0 30 L12 24 L25 28 L38 14 L50 20 L63 12 L75 22 L88 16 L100 20" />
        </svg>
      )}
      {shape === 'rows' && [1, 2, 3, 4].map((row) => <i key={row} />)}
      {shape === 'spot' && <i />}
    </div>
  );
}

/** Metrics and tables that a statement reads, by its quoted names: good enough to tell people what to send. */
export function sourcesOf(sql: string): { metrics: string[]; tables: string[] } {
  const metrics = new Set<string>();
  for (const [, name] of sql.matchAll(/\b(?:FROM|JOIN)\s+"([^"]+)"/gi)) metrics.add(name as string);
  for (const [, list] of sql.matchAll(/metric_name\s+IN\s*\(([^)]*)\)/gi)) {
    for (const [, name] of (list ?? '').matchAll(/'([^']+)'/g)) metrics.add(name as string);
  }
  for (const [, name] of sql.matchAll(/metric_name\s*=\s*'([^']+)'/gi)) metrics.add(name as string);
  const tables = [
    ...new Set(
      Array.from(sql.matchAll(/\bFROM\s+(spans|logs|histograms|exp_histograms|summaries)\b/gi), ([, name]) =>
        (name as string).toLowerCase(),
      ),
    ),
  ];
  return { metrics: [...metrics], tables };
}

const SENDS: Record<string, string> = {
  spans: 'traces',
  logs: 'logs',
  histograms: 'histograms',
  exp_histograms: 'exponential histograms',
  summaries: 'summaries',
};

export function NoData({
  panel,
  nothingInRange = false,
}: {
  readonly panel: Panel;
  readonly nothingInRange?: boolean;
}) {
  const { metrics, tables } = sourcesOf(panelQuery(panel.query).sql);
  const host = metrics.some((name) => /^(system|process)\./.test(name));
  return (
    <EmptyState title={nothingInRange ? 'Nothing in this range' : 'No data yet'}>
      {metrics.length > 0 ? (
        <p>
          Filled by{' '}
          {metrics.slice(0, 3).map((name, i) => (
            <span key={name}>
              {i > 0 && ', '}
              <code>{name}</code>
            </span>
          ))}
          {host ? ' of the host_metrics receiver' : ', sent over OTLP'}
        </p>
      ) : tables.length > 0 ? (
        <p>Filled by {tables.map((name) => SENDS[name]).join(' and ')} sent over OTLP</p>
      ) : null}
      {nothingInRange && <Button onClick={zoomOut}>Zoom out</Button>}
    </EmptyState>
  );
}

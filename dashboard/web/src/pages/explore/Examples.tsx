// Where to begin.

const EXAMPLES = [
  {
    title: 'CPU by state',
    sql: `SELECT date_bin($step, ts) AS t, state, avg(value) AS share\nFROM "system.cpu.utilization"\nWHERE $range\nGROUP BY 1, 2\nORDER BY 1`,
  },
  {
    title: 'Log records by service and severity',
    sql: `SELECT service_name, severity_text, count(*) AS records\nFROM logs\nWHERE $range\nGROUP BY 1, 2\nORDER BY records DESC`,
  },
  {
    title: 'The slowest operations',
    sql: `SELECT service_name, name, count(*) AS spans, approx_percentile_cont(duration_ns / 1e6, 0.95) AS p95_ms\nFROM spans\nWHERE $range\nGROUP BY 1, 2\nORDER BY p95_ms DESC\nLIMIT 50`,
  },
  {
    title: 'How much each table holds',
    sql: `SELECT 'logs' AS name, count(*) AS row_count FROM logs\nUNION ALL SELECT 'spans', count(*) FROM spans\nUNION ALL SELECT 'metrics', count(*) FROM metrics`,
  },
] as const;

export function Examples({ onPick }: { readonly onPick: (sql: string) => void }) {
  return (
    <section class="examples" aria-label="Examples">
      <p class="hint">
        Ask in SQL, choose a metric, or begin with one of these. With $range in it, a query stays live.
      </p>
      <ul>
        {EXAMPLES.map(({ title, sql }) => (
          <li key={title}>
            <button type="button" class="panel-box" onClick={() => onPick(sql)}>
              <strong>{title}</strong>
              <code>{sql}</code>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

// The answer as a chart or a table, with what it took; downloads.
import { useEffect, useState } from 'preact/hooks';
import { Chart } from '../../charts/Chart';
import { DataTable } from '../../charts/DataTable';
import type { Frame } from '../../live/frame';
import { type Download, downloadQuery, QueryError } from '../../live/query';
import { setQuery, search as urlQuery } from '../../router';
import { bounds, range } from '../../time/range';
import { Button, EmptyState, ErrorState, Loading, Tabs } from '../../ui';
import { formatCount, formatDuration } from '../shared/format';
import { Icon } from '../shared/icons';
import { LiveState } from '../shared/LiveState';
import { CellValue } from './CellValue';
import { chooseKind, type Kind, kindsFor } from './chart-kind';
import { fill, isTimed, stepFor } from './template';
import { MOST_ROWS, type Outcome } from './use-run';

const NAMES: Readonly<Record<Kind, string>> = {
  line: 'Lines',
  area: 'Area',
  stacked: 'Stacked',
  bar: 'Bars',
  pie: 'Pie',
  stat: 'Value',
  gauge: 'Gauge',
};

/** Of the table, in pixels: a short one leaves no empty place below it. */
const ROW = 26;
const HEAD = 46;

interface Props {
  readonly sql: string;
  readonly outcome: Outcome;
  readonly width: number;
}

export function Results({ sql, outcome, width }: Props) {
  const { frame, problem, state } = outcome;
  const [cell, setCell] = useState<{ column: number; row: number } | null>(null);
  useEffect(() => setCell(null), [sql]);
  if (!frame) {
    if (problem?.kind === 'no_data_yet') return <EmptyState title="No such data yet">{problem.message}</EmptyState>;
    if (problem) return <ErrorState problem={problem} />;
    if (state === 'running' || state === 'loading') return <Loading label="Running" />;
    if (state === 'disconnected')
      return <EmptyState title="Disconnected">Catchment does not answer; trying again.</EmptyState>;
    return null;
  }
  const busy = state === 'running' || state === 'loading';
  const wanted = urlQuery.value.get('chart');
  const kinds = kindsFor(frame);
  const kind = wanted === 'table' ? null : chooseKind(frame, wanted);
  const options = [
    ...kinds.map((value) => ({ value: value as string, label: NAMES[value] })),
    { value: 'table', label: 'Table' },
  ];
  return (
    <section class="panel-box results" aria-label="Result">
      <div class="head">
        <Tabs
          label="Show as"
          value={kind ?? 'table'}
          options={options}
          onChange={(value) => setQuery({ chart: value }, true)}
        />
        <Downloads sql={sql} width={width} />
      </div>
      {problem && <ErrorState problem={problem} />}
      <div
        class={`shown ${busy ? 'stale' : ''}`}
        aria-busy={busy}
        style={{ '--rows': `${Math.min(100, frame.length) * ROW + HEAD}px` }}
      >
        {frame.length === 0 ? (
          <EmptyState title="No rows">
            The query ran, and nothing fits{isTimed(sql) ? ' in this range' : ''}.
          </EmptyState>
        ) : kind ? (
          <Chart kind={kind} frame={frame} title="Result" height={320} stepMs={outcome.stepMs || undefined} />
        ) : (
          <DataTable frame={frame} caption="Result" onCell={(column, row) => setCell({ column, row })} />
        )}
      </div>
      {cell && kind === null && cell.row < frame.length && (
        <CellValue frame={frame} {...cell} onClose={() => setCell(null)} />
      )}
      <Told outcome={outcome} frame={frame} />
    </section>
  );
}

function Told({ outcome, frame }: { readonly outcome: Outcome; readonly frame: Frame }) {
  const { live, state, stepMs, tookMs } = outcome;
  const cut = frame.truncated || frame.length >= MOST_ROWS;
  return (
    <p class="told" role="status">
      <span>
        {cut && 'The first '}
        {formatCount(frame.length)} row{frame.length === 1 ? '' : 's'}
        {cut && '; there are more: aggregate, add a LIMIT, or download'}
      </span>
      {tookMs !== null && <span>{formatDuration(tookMs * 1e6)}</span>}
      {live && stepMs > 0 && <span>step {formatDuration(stepMs * 1e6)}</span>}
      {live && state !== 'running' && state !== 'done' && (
        <LiveState state={state} past={range.value.kind === 'absolute'} />
      )}
    </p>
  );
}

const FORMATS: readonly Download[] = ['csv', 'json', 'arrow'];

function Downloads({ sql, width }: { readonly sql: string; readonly width: number }) {
  const [problem, setProblem] = useState('');
  const download = async (format: Download) => {
    setProblem('');
    const { from, to } = bounds(range.peek());
    try {
      await downloadQuery(isTimed(sql) ? fill(sql, { from, to, stepMs: stepFor(to - from, width) }) : sql, format);
    } catch (error) {
      setProblem(error instanceof QueryError ? error.problem.message : String(error));
    }
  };
  return (
    <div class="downloads" role="group" aria-label="Download">
      <Icon name="download" />
      {FORMATS.map((format) => (
        <Button key={format} kind="quiet" title={`Download all rows as ${format}`} onClick={() => download(format)}>
          {format === 'arrow' ? 'Arrow' : format.toUpperCase()}
        </Button>
      ))}
      {problem && (
        <span class="bad" role="alert">
          {problem}
        </span>
      )}
    </div>
  );
}

// One panel: its query, the state that the result is in, and what can be done with it.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { type Band, Chart } from '../charts/Chart';
import { DataTable } from '../charts/DataTable';
import { SeriesTable } from '../charts/SeriesTable';
import { watchVisibility } from '../charts/size';
import type { Frame } from '../live/frame';
import { type LiveResult, useLive } from '../live/live';
import { saveFile } from '../live/query';
import { navigate, search } from '../router';
import { EmptyState, ErrorState } from '../ui';
import { Dialog } from '../ui/Dialog';
import { Icon } from '../ui/Icon';
import { Menu } from '../ui/Menu';
import { useAlertBands } from './alert-bands';
import { namesIn, type Panel, panelLimit, panelMode, panelQuery, type Variable } from './board';
import { csvOf } from './csv';
import { exploreHref } from './explore-link';
import { NoData, Skeleton } from './states';
import { type VariableStates, varsFor } from './variables';

/** A bar or a cell of a heat map needs more than a pixel to be seen. */
const PIXELS_A_POINT: Partial<Record<Panel['chart'], number>> = { bar: 7, heatmap: 6 };

interface PanelProps {
  readonly panel: Panel;
  readonly variables: readonly Variable[];
  readonly states: VariableStates;
}

export function PanelView({ panel, variables, states }: PanelProps) {
  const box = useRef<HTMLElement>(null);
  const [seen, setSeen] = useState(false);
  const [width, setWidth] = useState(0);
  const [asTable, setAsTable] = useState(false);
  const [large, setLarge] = useState(false);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    setWidth(element.clientWidth);
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    // A panel asks when it comes near the screen, and then stays up to date.
    const unwatch = watchVisibility(element, '400px', (near) => near && setSeen(true));
    return () => {
      observer.disconnect();
      unwatch();
    };
  }, []);

  const { sql, lookback, min_step: minStep } = panelQuery(panel.query);
  const limit = panelLimit(panel);
  const names = useMemo(() => namesIn(sql), [sql]);
  const known = varsFor(names, variables, states.value, search.value);
  const vars = 'vars' in known ? known.vars : null;
  const asked = seen && width > 0 && vars !== null;
  // On the full screen there is room for more points.
  const pixels = (large ? innerWidth : width) / (PIXELS_A_POINT[panel.chart] ?? 1);
  const hasVars = vars !== null && Object.keys(vars).length > 0;
  const result = useLive(
    asked ? { sql, mode: panelMode(panel), lookback, minStep, limit, width: pixels, ...(hasVars && { vars }) } : null,
  );
  const frame = result.rows.value;
  const overTime = panel.chart === 'line' || panel.chart === 'area' || panel.chart === 'stacked';
  const bands = useAlertBands(asked && overTime ? sql : null, vars ?? {});

  const body = (
    <PanelBody
      panel={panel}
      result={result}
      frame={frame}
      bands={bands}
      asTable={asTable}
      missing={'missing' in known ? known.missing : null}
      states={states}
    />
  );
  const items = [
    ...(panel.chart === 'table'
      ? []
      : [
          {
            label: asTable ? 'View as chart' : 'View as table',
            icon: asTable ? ('chart' as const) : ('table' as const),
            onSelect: () => setAsTable(!asTable),
          },
        ]),
    { label: large ? 'Leave full screen' : 'Full screen', icon: 'expand' as const, onSelect: () => setLarge(!large) },
    {
      label: 'Open in Explore',
      icon: 'explore' as const,
      onSelect: () => navigate(exploreHref({ sql, chart: panel.chart, vars: vars ?? {} })),
    },
    ...(frame && frame.length > 0
      ? [{ label: 'Download CSV', icon: 'download' as const, onSelect: () => download(panel.title, frame) }]
      : []),
  ];
  const height = panel.height ?? 'm';
  return (
    <article
      ref={box}
      class={`panel ${frame && result.state.value === 'loading' ? 'busy ' : ''}span-${panel.span ?? 6} height-${height} kind-${panel.chart}`}
      aria-label={panel.title}
    >
      <header class="panel-head">
        <h3 title={panel.description}>
          <bdi>{panel.title}</bdi>
        </h3>
        {panel.description && <p class="panel-description">{panel.description}</p>}
        <StateMark result={result} hasData={frame !== null} />
        <Menu
          label={`Menu of ${panel.title}`}
          buttonClass="button quiet icon panel-menu"
          button={<Icon name="more" />}
          items={items}
        />
      </header>
      <div class="panel-body">{large ? null : body}</div>
      {large && (
        <Dialog title={panel.title} class="full" onClose={() => setLarge(false)}>
          <div class="panel-body">{body}</div>
        </Dialog>
      )}
    </article>
  );
}

function download(title: string, frame: Frame): void {
  const name = title
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
  saveFile(new Blob([csvOf(frame)], { type: 'text/csv' }), `${name || 'panel'}.csv`);
}

/** What is shown though it may not be the present: said in a word beside the title. */
function StateMark({ result, hasData }: { readonly result: LiveResult; readonly hasData: boolean }) {
  const state = result.state.value;
  if (!hasData) return null;
  if (state === 'disconnected') {
    return (
      <span class="state-mark" title="Not connected: this is the last that came">
        <Icon name="clock" size={14} />
        <span class="visually-hidden">not connected, last data shown</span>
      </span>
    );
  }
  const problem = result.error.value;
  if (state !== 'error' || !problem) return null;
  return (
    <span class="state-mark error" title={`The last refresh failed: ${problem.message}`}>
      !<span class="visually-hidden">the last refresh failed: {problem.message}</span>
    </span>
  );
}

interface BodyProps {
  readonly panel: Panel;
  readonly result: LiveResult;
  readonly frame: Frame | null;
  readonly bands: readonly Band[];
  readonly asTable: boolean;
  readonly missing: Variable | null;
  readonly states: VariableStates;
}

function PanelBody({ panel, result, frame, bands, asTable, missing, states }: BodyProps) {
  const state = result.state.value;
  const problem = result.error.value;
  const variable = missing ? states.value[missing.name] : undefined;
  if (variable?.problem && variable.problem.kind !== 'no_data_yet') return <ErrorState problem={variable.problem} />;
  if (missing && (variable?.problem || variable?.values?.length === 0)) return <NoData panel={panel} />;
  if (problem?.kind === 'no_data_yet') return <NoData panel={panel} />;
  if (state === 'error' && problem && (frame === null || problem.kind === 'bad_sql')) {
    return <ErrorState problem={problem} onRetry={result.retry} />;
  }
  if (!frame) {
    if (state === 'disconnected')
      return <EmptyState title="Not connected">It is filled as soon as Catchment answers.</EmptyState>;
    return <Skeleton kind={panel.chart} />;
  }
  if (frame.length === 0) return <NoData panel={panel} nothingInRange />;
  const links = panel.links === undefined ? undefined : Array.isArray(panel.links) ? panel.links : [panel.links];
  const { title, unit, percent, columns } = panel;
  if (asTable && frame.time && panel.chart !== 'heatmap') {
    return <SeriesTable frame={frame} title={title} series={panel.series} unit={unit} percent={percent} />;
  }
  if (asTable || panel.chart === 'table') {
    return (
      <DataTable
        frame={frame}
        caption={title}
        unit={unit}
        percent={percent}
        columns={columns && new Map(Object.entries(columns))}
        links={links}
        newestFirst={panel.chart !== 'table'}
      />
    );
  }
  const { chart, min, max, series, colors, thresholds, legend } = panel;
  return (
    <Chart
      kind={chart}
      frame={frame}
      title={title}
      unit={unit}
      percent={percent}
      min={min}
      max={max}
      series={series}
      colors={colors}
      thresholds={thresholds}
      bands={bands}
      legend={legend}
      links={links}
      stepMs={result.stepMs.value}
    />
  );
}

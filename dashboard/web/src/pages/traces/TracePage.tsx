// One trace: what it is, its spans over time, the span that is chosen, its logs.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { Link, setQuery, search as urlQuery } from '../../router';
import { zoneSignal } from '../../time/range';
import { Button, EmptyState, ErrorState, Loading, Tabs } from '../../ui';
import { CopyButton } from '../shared/CopyButton';
import { formatCount, formatDateTime, formatDuration } from '../shared/format';
import { Icon } from '../shared/icons';
import { Label } from '../shared/Label';
import { NO_SERVICE, serviceShares } from './colors';
import { criticalPath } from './critical';
import { parseAround } from './list-query';
import { Minimap } from './Minimap';
import { Services } from './Services';
import { SpanDetails } from './SpanDetails';
import { isError, type Trace } from './span';
import { TraceLogs, type TraceRecords, useTraceLogs } from './TraceLogs';
import { TraceToolbar } from './TraceToolbar';
import { clampWindow, type Window } from './time-scale';
import { at, buildTree, type Tree, visibleNodes } from './tree';
import { useTrace } from './use-trace';
import { Waterfall } from './Waterfall';

export function TracePage({ id }: { readonly id: string }) {
  const around = parseAround(urlQuery.value.get('at'));
  const { trace, error, loading, reload } = useTrace(id, around);
  return (
    <div class="page trace">
      <p class="back">
        <Link href="/traces">All traces</Link>
      </p>
      {error && <ErrorState problem={error} onRetry={reload} />}
      {!error && loading && !trace && <Loading label="Loading the trace" />}
      {trace && trace.spans.length === 0 && !loading && <Missing id={id} around={around} reload={reload} />}
      {trace && trace.spans.length > 0 && <Whole trace={trace} />}
    </div>
  );
}

function Missing({
  id,
  around,
  reload,
}: {
  readonly id: string;
  readonly around: number | null;
  readonly reload: () => void;
}) {
  return (
    <EmptyState title="No spans of this trace">
      <Label text={id} class="mono" />
      <span>It has not arrived yet, or it is older than what the lake keeps.</span>
      {around === null ? (
        <Button onClick={reload}>Look again</Button>
      ) : (
        <Button onClick={() => setQuery({ at: null }, true)}>Look in all of the lake</Button>
      )}
    </EmptyState>
  );
}

function Whole({ trace }: { readonly trace: Trace }) {
  const records = useTraceLogs(trace);
  const tree = useMemo(() => buildTree(trace.spans), [trace]);
  const services = useMemo(() => serviceShares(tree), [tree]);
  const tab = urlQuery.value.get('tab') === 'logs' ? 'logs' : 'spans';
  const count = records.rows ? formatCount(records.rows.length) : '…';
  return (
    <>
      <Head trace={trace} tree={tree} services={services.length} />
      <Services services={services} total={tree.nodes.reduce((sum, node) => sum + node.self, 0)} />
      <Tabs
        label="Parts of the trace"
        value={tab}
        options={[
          { value: 'spans', label: `Spans (${formatCount(tree.nodes.length)})` },
          { value: 'logs', label: `Logs (${count}${records.truncated ? '+' : ''})` },
        ]}
        onChange={(value) => setQuery({ tab: value === 'logs' ? value : null }, true)}
      />
      {tab === 'logs' ? (
        <section class="panel-box">
          <TraceLogs records={records} traceId={trace.id} />
        </section>
      ) : (
        <Spans
          trace={trace}
          tree={tree}
          colors={new Map(services.map(({ name, color }) => [name, color]))}
          records={records}
        />
      )}
    </>
  );
}

function Head({ trace, tree, services }: { readonly trace: Trace; readonly tree: Tree; readonly services: number }) {
  const root = tree.nodes.find((node) => node.parent < 0 && !node.orphan) ?? tree.nodes[0];
  const roots = tree.nodes.filter((node) => node.parent < 0).length;
  const errors = tree.nodes.filter((node) => isError(node.span)).length;
  const depth = tree.nodes.reduce((most, node) => Math.max(most, node.depth + 1), 0);
  const facts = [
    formatDuration(tree.end - tree.start),
    `${formatCount(tree.nodes.length)} spans`,
    `${services} service${services === 1 ? '' : 's'}`,
    `${depth} level${depth === 1 ? '' : 's'}`,
    ...(roots > 1 ? [`${roots} roots`] : []),
    ...(tree.duplicates > 0 ? [`${tree.duplicates} sent twice`] : []),
  ];
  return (
    <header class="trace-head">
      <h1>
        <Label text={root?.span.service ?? NO_SERVICE} class="hint" /> <Label text={root?.span.name || '(no name)'} />
      </h1>
      <p>
        <span>{formatDateTime(Number(trace.startNanos / 1000n) / 1000, zoneSignal.value)}</span>
        {facts.map((fact) => (
          <span key={fact}>{fact}</span>
        ))}
        {errors > 0 && (
          <span class="bad">
            <Icon name="error" size={14} /> {formatCount(errors)} error{errors === 1 ? '' : 's'}
          </span>
        )}
        <span class="mono id">
          {trace.id} <CopyButton text={trace.id} what="the trace id" />
        </span>
      </p>
      {trace.truncated && (
        <p class="notice">
          <Icon name="warning" /> Only the first {formatCount(trace.spans.length)} spans are shown.
        </p>
      )}
    </header>
  );
}

interface SpansProps {
  readonly trace: Trace;
  readonly tree: Tree;
  readonly colors: ReadonlyMap<string, string>;
  readonly records: TraceRecords;
}

function Spans({ trace, tree, colors, records }: SpansProps) {
  const whole = useMemo<Window>(() => ({ from: tree.start, to: tree.end }), [tree]);
  const [zoomed, setZoomed] = useState<Window | null>(null);
  const window = zoomed ? clampWindow(zoomed, whole) : whole;
  const [closed, setClosed] = useState<ReadonlySet<number>>(new Set());
  const [search, setSearch] = useState('');
  const [showCritical, setShowCritical] = useState(true);
  const visible = useMemo(() => visibleNodes(tree, closed), [tree, closed]);
  const critical = useMemo(() => criticalPath(tree), [tree]);
  const found = useMemo(() => findSpans(tree, search), [tree, search]);
  const wanted = urlQuery.value.get('span');
  const index = wanted ? tree.nodes.findIndex((node) => node.span.id === wanted) : -1;
  const selected = index >= 0 ? index : null;
  const [active, setActive] = useState(Math.max(0, index));
  // Indices are those of another tree when spans arrive.
  useEffect(() => setClosed(new Set()), [tree]);
  useEffect(() => {
    if (index >= 0) setActive(index);
  }, [index]);
  const onSelect = (next: number | null) => {
    const id = next === null ? null : (at(tree.nodes, next).span.id ?? null);
    setQuery({ span: id }, true);
  };
  const activate = (next: number) => {
    setActive(next);
    setClosed((had) => openedTo(tree, had, next));
  };
  const onWindow = (next: Window) => setZoomed(next.from <= whole.from && next.to >= whole.to ? null : next);
  const length = (sections: readonly (readonly [number, number])[]) =>
    sections.reduce((sum, [from, to]) => sum + to - from, 0);
  return (
    <section class={`spans ${selected === null ? '' : 'with-details'}`}>
      <div class="panel-box">
        <TraceToolbar
          tree={tree}
          found={found}
          search={search}
          onSearch={setSearch}
          active={active}
          onActive={activate}
          critical={showCritical}
          onCritical={setShowCritical}
          onClosed={setClosed}
          window={window}
          whole={whole}
          onWindow={onWindow}
        />
        <Minimap tree={tree} window={window} whole={whole} onWindow={onWindow} colors={colors} />
        <Waterfall
          tree={tree}
          visible={visible}
          closed={closed}
          onClosed={setClosed}
          active={active}
          onActive={setActive}
          selected={selected}
          onSelect={onSelect}
          window={window}
          onWindow={onWindow}
          whole={whole}
          critical={showCritical ? critical : NONE}
          colors={colors}
          found={found}
        />
      </div>
      {selected !== null && (
        <SpanDetails
          node={at(tree.nodes, selected)}
          traceStart={trace.startNanos}
          traceLength={tree.end - tree.start}
          critical={length(critical.get(selected) ?? [])}
          onClose={() => onSelect(null)}
          onZoom={() => {
            const { span } = at(tree.nodes, selected);
            onWindow(clampWindow({ from: span.start, to: Math.max(span.end, span.start + 10) }, whole));
          }}
        >
          <h3>Logs of this span</h3>
          <TraceLogs records={records} traceId={trace.id} spanId={at(tree.nodes, selected).span.id} />
        </SpanDetails>
      )}
    </section>
  );
}

const NONE: ReadonlyMap<number, []> = new Map();

/** Nodes whose name, service, or an attribute has the text; null without a text. */
export function findSpans(tree: Tree, search: string): ReadonlySet<number> | null {
  const wanted = search.trim().toLowerCase();
  if (!wanted) return null;
  const found = new Set<number>();
  tree.nodes.forEach(({ span }, index) => {
    const texts = [span.name, span.service ?? '', span.attributes, span.statusMessage, span.id ?? ''];
    if (texts.some((text) => text.toLowerCase().includes(wanted))) found.add(index);
  });
  return found;
}

/** What hides the node is opened. */
function openedTo(tree: Tree, closed: ReadonlySet<number>, index: number): ReadonlySet<number> {
  const next = new Set(closed);
  for (let above = at(tree.nodes, index).parent; above >= 0; above = at(tree.nodes, above).parent) next.delete(above);
  return next.size === closed.size ? closed : next;
}

// Pipelines: what runs, how much flows, what waits and what went wrong.
import '../shared/pages.css';
import './pipelines.css';
import { useState } from 'preact/hooks';
import { liveClient } from '../../live/live';
import { setQuery, search as urlQuery } from '../../router';
import { zoneSignal } from '../../time/range';
import { EmptyState, Loading, Tabs } from '../../ui';
import { formatDateTime } from '../shared/format';
import { Icon } from '../shared/icons';
import { Graph } from './Graph';
import { buildGraph } from './graph';
import { Instance } from './Instance';
import { LakeTables } from './LakeTables';
import { NodeDetails } from './NodeDetails';
import { WINDOW_MS } from './rates';
import { Tables } from './Tables';
import { usePipeline } from './use-pipeline';

const VIEWS = [
  { value: 'graph', label: 'Graph' },
  { value: 'tables', label: 'Tables' },
];

export default function Pipelines() {
  const { snapshot, rates } = usePipeline();
  const [selected, setSelected] = useState<string | null>(null);
  const view = urlQuery.value.get('view') === 'tables' ? 'tables' : 'graph';
  const lost = liveClient().socket.state.value === 'waiting';
  if (!snapshot) {
    return (
      <div class="page pipelines">
        <h1>Pipelines</h1>
        {lost ? <EmptyState title="Disconnected">Catchment does not answer; trying again.</EmptyState> : <Loading />}
      </div>
    );
  }
  const node = selected === null ? undefined : buildGraph(snapshot, rates).nodes.find(({ key }) => key === selected);
  return (
    <div class="page pipelines">
      <h1>Pipelines</h1>
      {lost && (
        <p class="notice" role="status">
          <Icon name="warning" /> Disconnected: these are the figures of{' '}
          {formatDateTime(snapshot.now_unix_ms, zoneSignal.value)}.
        </p>
      )}
      <Instance snapshot={snapshot} rates={rates} />
      <Tabs
        label="View"
        value={view}
        options={VIEWS}
        onChange={(value) => setQuery({ view: value === 'graph' ? null : value }, true)}
      />
      {view === 'graph' ? (
        <>
          <section class="panel-box" aria-label="The running graph">
            <Graph
              snapshot={snapshot}
              rates={rates}
              selected={selected}
              onSelect={({ key }) => setSelected(key === selected ? null : key)}
            />
          </section>
          {node && <NodeDetails node={node} snapshot={snapshot} rates={rates} onClose={() => setSelected(null)} />}
        </>
      ) : (
        <Tables snapshot={snapshot} rates={rates} />
      )}
      <p class="hint">
        Rates are of the last {WINDOW_MS / 1000} seconds; items are metric points, log records and spans.
      </p>
      <LakeTables />
    </div>
  );
}

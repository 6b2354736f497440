// All that a node has to tell.
import type { ComponentChildren } from 'preact';
import { zoneSignal } from '../../time/range';
import { Button } from '../../ui';
import { formatBytes, formatCount, formatDateTime, formatDuration, formatRate } from '../shared/format';
import { Icon } from '../shared/icons';
import { LongText } from '../shared/Label';
import type { GraphNode } from './graph';
import { exporterHealth, logHealth, processorHealth, receiverHealth } from './health';
import type { Rates } from './rates';
import * as rate from './rates';
import type { Failure, Snapshot } from './snapshot';
import { VerdictMark } from './Verdict';

interface Props {
  readonly node: GraphNode;
  readonly snapshot: Snapshot;
  readonly rates: Rates;
  readonly onClose: () => void;
}

type Fact = readonly [name: string, value: ComponentChildren];

export function NodeDetails({ node, snapshot, rates, onClose }: Props) {
  const told = tell(node, snapshot, rates);
  if (!told) return null;
  const { title, facts, failure } = told;
  return (
    <aside class="panel-box node-details" aria-label={`${node.ref.kind} ${title.slice(0, 80)}`}>
      <header>
        <h2>
          <LongText text={title} most={300} />
        </h2>
        <Button kind="quiet" icon aria-label="Close" onClick={onClose}>
          <Icon name="close" />
        </Button>
      </header>
      <dl class="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {failure && <LastFailure failure={failure} now={snapshot.now_unix_ms} />}
    </aside>
  );
}

export function LastFailure({ failure, now }: { readonly failure: Failure; readonly now: number }) {
  return (
    <div class="failure">
      <h3>Last failure</h3>
      <p class="hint">
        {formatDateTime(failure.at_unix_ms, zoneSignal.value)}, {age(now - failure.at_unix_ms)} ago
      </p>
      <pre>
        <LongText text={failure.message} />
      </pre>
    </div>
  );
}

const age = (ms: number): string => formatDuration(Math.max(0, Math.round(ms / 1000)) * 1e9);
const list = (values: readonly string[]): ComponentChildren => <LongText text={values.join(', ') || '–'} most={1000} />;

interface Told {
  title: string;
  facts: Fact[];
  failure: Failure | null;
}

function tell({ ref }: GraphNode, snapshot: Snapshot, rates: Rates): Told | null {
  switch (ref.kind) {
    case 'receiver':
      return tellReceiver(ref.id, snapshot, rates);
    case 'processor':
      return tellProcessor(ref.pipeline, ref.id, snapshot, rates);
    case 'exporter':
      return tellExporter(ref.id, snapshot, rates);
    case 'log':
      return tellLog(snapshot, rates);
    case 'pipeline': {
      const pipeline = snapshot.pipelines.find(({ id }) => id === ref.id);
      if (!pipeline) return null;
      const facts: Fact[] = [
        ['Signal', pipeline.signal],
        ['Receivers', list(pipeline.receivers)],
        ['Processors', list(pipeline.processors)],
        ['Exporters', list(pipeline.exporters)],
      ];
      return { title: pipeline.id, facts, failure: null };
    }
  }
}

function tellReceiver(id: string, snapshot: Snapshot, rates: Rates): Told | null {
  const receiver = snapshot.receivers.find((one) => one.id === id);
  if (!receiver) return null;
  const facts: Fact[] = [
    ['State', <VerdictMark key="" verdict={receiverHealth(receiver, rates)} />],
    ['Kind', receiver.kind],
    [
      'Accepted',
      `${formatCount(receiver.accepted_items)}, ${formatRate(rates.perSecond(rate.receiver(id, 'accepted_items')))}`,
    ],
    [
      'Refused',
      `${formatCount(receiver.refused_items)}, ${formatRate(rates.perSecond(rate.receiver(id, 'refused_items')))}`,
    ],
    ['Listens on', list(receiver.addresses.map(({ protocol, address }) => `${protocol} ${address}`))],
    ['Pipelines', list(receiver.pipelines)],
  ];
  return { title: id, facts, failure: receiver.last_error };
}

function tellProcessor(pipeline: string, id: string, snapshot: Snapshot, rates: Rates): Told | null {
  const processor = snapshot.processors.find((one) => one.id === id && one.pipeline === pipeline);
  if (!processor) return { title: id, facts: [['Pipeline', pipeline]], failure: null };
  const figure = (total: number, field: 'incoming_items' | 'outgoing_items' | 'refused_items') =>
    `${formatCount(total)}, ${formatRate(rates.perSecond(rate.processor(pipeline, id, field)))}`;
  const facts: Fact[] = [
    ['State', <VerdictMark key="" verdict={processorHealth(processor, rates)} />],
    ['Kind', processor.kind],
    ['Pipeline', pipeline],
    ['In', figure(processor.incoming_items, 'incoming_items')],
    ['Out', figure(processor.outgoing_items, 'outgoing_items')],
    ['Refused', figure(processor.refused_items, 'refused_items')],
  ];
  return { title: id, facts, failure: processor.last_error };
}

function tellExporter(id: string, snapshot: Snapshot, rates: Rates): Told | null {
  const exporter = snapshot.exporters.find((one) => one.id === id);
  if (!exporter) return null;
  const { backlog } = exporter;
  const facts: Fact[] = [
    ['State', <VerdictMark key="" verdict={exporterHealth(exporter, rates)} />],
    ['Kind', exporter.kind],
    [
      'Exported',
      `${formatCount(exporter.exported_items)}, ${formatRate(rates.perSecond(rate.exporter(id, 'exported_items')))}`,
    ],
    ['Lost', `${formatCount(exporter.lost_items)}, ${formatRate(rates.perSecond(rate.exporter(id, 'lost_items')))}`],
    ['Retries', formatCount(exporter.retries)],
    ['In flight', `${formatCount(exporter.in_flight_items)} items, ${formatBytes(exporter.in_flight_bytes)}`],
    [
      'Backlog',
      backlog.records === 0
        ? 'none'
        : `${formatCount(backlog.items)} items in ${formatCount(backlog.records)} records, ${formatBytes(backlog.bytes)}`,
    ],
    ['Oldest waits', backlog.records === 0 ? '–' : formatDuration(Math.round(backlog.oldest_age_seconds) * 1e9)],
    ['Cursor', `position ${formatCount(backlog.committed)} of ${formatCount(snapshot.log.last)}`],
    ['Pipelines', list(exporter.pipelines)],
  ];
  return { title: id, facts, failure: exporter.last_error };
}

function tellLog({ log }: Snapshot, rates: Rates): Told {
  const facts: Fact[] = [
    ['State', <VerdictMark key="" verdict={logHealth(log, rates)} />],
    ['Path', log.path === null ? 'memory only: gone when the process ends' : <LongText text={log.path} most={300} />],
    [
      'On disk',
      `${formatBytes(log.bytes)} of ${formatBytes(log.limit_bytes)} in ${formatCount(log.segments)} ${log.segments === 1 ? 'segment' : 'segments'}`,
    ],
    ['Position', formatCount(log.last)],
    [
      'Appended',
      `${formatRate(rates.perSecond(rate.log('appended_records')))} records, ${formatBytes(rates.perSecond(rate.log('appended_bytes')) ?? 0)}/s`,
    ],
    [
      'fsync',
      `${formatRate(rates.perSecond(rate.log('fsyncs')))}, ${formatDuration(log.fsync_seconds * 1e9)} on average`,
    ],
    ['fsync failures', formatCount(log.fsync_failures)],
    ['Refused', `${formatCount(log.refused_requests)} requests`],
    ['Lost', `${formatCount(log.lost_items)} items`],
  ];
  return { title: 'Durable log', facts, failure: null };
}

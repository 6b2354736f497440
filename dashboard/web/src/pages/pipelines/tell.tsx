// The facts of a node, by its kind.
import type { ComponentChildren } from 'preact';
import { formatBytes, formatCount, formatDuration, formatRate } from '../shared/format';
import { LongText } from '../shared/Label';
import type { GraphNode } from './graph';
import { exporterHealth, logHealth, receiverHealth, stageHealth } from './health';
import { Reasons } from './Reasons';
import type { Rates } from './rates';
import * as rate from './rates';
import type { Backlog, Failure, Snapshot, Stage } from './snapshot';
import { VerdictMark } from './Verdict';

type Fact = readonly [name: string, value: ComponentChildren];

const list = (values: readonly string[]): ComponentChildren => <LongText text={values.join(', ') || '–'} most={1000} />;

export interface Told {
  title: string;
  facts: Fact[];
  failure: Failure | null;
}

export function tell({ ref }: GraphNode, snapshot: Snapshot, rates: Rates): Told | null {
  switch (ref.kind) {
    case 'receiver':
      return tellReceiver(ref.id, snapshot, rates);
    case 'processor':
      return tellProcessor(ref.pipeline, ref.id, snapshot, rates);
    case 'connector':
      return tellConnector(ref.id, snapshot, rates);
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
      <Reasons
        key=""
        counts={receiver.refused_by_reason}
        perSecond={rates.perSecond(rate.receiver(id, 'refused_items'))}
      />,
    ],
    ['Listens on', list(receiver.addresses.map(({ protocol, address }) => `${protocol} ${address}`))],
    ['Pipelines', list(receiver.pipelines)],
  ];
  return { title: id, facts, failure: receiver.last_error };
}

function tellProcessor(pipeline: string, id: string, snapshot: Snapshot, rates: Rates): Told | null {
  const processor = rate.findStage(snapshot, { pipeline, id });
  if (!processor) return { title: id, facts: [['Pipeline', <LongText key="" text={pipeline} />]], failure: null };
  return tellStage(processor, [['Pipeline', <LongText key="" text={pipeline} />]], snapshot, rates);
}

function tellConnector(id: string, snapshot: Snapshot, rates: Rates): Told | null {
  const connector = snapshot.connectors.find((one) => one.id === id);
  if (!connector) return null;
  const ends: Fact[] = [
    ['From pipelines', list(connector.from)],
    ['To pipelines', list(connector.to)],
  ];
  return tellStage(connector, ends, snapshot, rates);
}

function tellStage(stage: Stage, place: Fact[], snapshot: Snapshot, rates: Rates): Told {
  const perSecond = (field: rate.StageField) => rates.perSecond(rate.stage(stage, field));
  const figure = (total: number, field: rate.StageField) => `${formatCount(total)}, ${formatRate(perSecond(field))}`;
  const facts: Fact[] = [
    ['State', <VerdictMark key="" verdict={stageHealth(stage, rates)} />],
    ['Kind', stage.kind],
    ...place,
    ['In', figure(stage.incoming_items, 'incoming_items')],
    ['Out', figure(stage.outgoing_items, 'outgoing_items')],
    [stage.backlog ? 'Refused, and so lost' : 'Refused', figure(stage.refused_items, 'refused_items')],
    ['Taken out', <Reasons key="" counts={stage.taken_out_items} perSecond={perSecond('taken_out_items')} />],
    ['Put in', <Reasons key="" counts={stage.put_in_items} perSecond={perSecond('put_in_items')} />],
    ['Held now', formatCount(stage.held_items)],
  ];
  if (stage.backlog) {
    const { backlog } = stage;
    facts.push(
      ['Not saved yet', backlogText(backlog)],
      ['Oldest of it', oldest(backlog)],
      ['Saved up to', `position ${formatCount(backlog.committed)} of ${formatCount(snapshot.log.last)}`],
    );
  }
  return { title: stage.id, facts, failure: stage.last_error };
}

const backlogText = ({ items, records, bytes }: Backlog): string =>
  records === 0 ? 'none' : `${formatCount(items)} items in ${formatCount(records)} records, ${formatBytes(bytes)}`;

const oldest = ({ records, oldest_age_seconds }: Backlog): string =>
  records === 0 ? '–' : formatDuration(Math.round(oldest_age_seconds) * 1e9);

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
    ['Backlog', backlogText(backlog)],
    ['Oldest waits', oldest(backlog)],
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

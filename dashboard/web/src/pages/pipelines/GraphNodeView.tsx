// What a node of the graph says.
import type { ComponentChildren } from 'preact';
import { formatBytes, formatDuration, formatRate, formatShort } from '../shared/format';
import { Label } from '../shared/Label';
import type { GraphNode } from './graph';
import { exporterHealth, logHealth, receiverHealth, stageHealth, type Verdict } from './health';
import type { Rates } from './rates';
import * as rate from './rates';
import type { Connector, Exporter, Log, Snapshot, Stage } from './snapshot';
import { VerdictMark } from './Verdict';

interface Props {
  readonly node: GraphNode;
  readonly snapshot: Snapshot;
  readonly rates: Rates;
  readonly selected: boolean;
  readonly onSelect: () => void;
}

interface Said {
  readonly kind: string;
  readonly name: string;
  readonly verdict: Verdict | null;
  readonly lines: readonly ComponentChildren[];
}

export function GraphNodeView({ node, snapshot, rates, selected, onSelect }: Props) {
  const { kind, name, verdict, lines } = whatItSays(node, snapshot, rates);
  return (
    <button
      type="button"
      class={`node ${node.ref.kind} ${verdict?.health ?? ''}`}
      aria-pressed={selected}
      onClick={onSelect}
    >
      <span class="top">
        <span class="kind">{kind}</span>
        {verdict && verdict.health !== 'good' && <VerdictMark verdict={verdict} />}
      </span>
      <Label text={name} class="id" />
      {lines.map((line, index) => (
        <span key={index} class="line">
          {line}
        </span>
      ))}
    </button>
  );
}

function whatItSays({ ref }: GraphNode, snapshot: Snapshot, rates: Rates): Said {
  switch (ref.kind) {
    case 'receiver': {
      const receiver = snapshot.receivers.find(({ id }) => id === ref.id);
      const lines = [`${formatRate(rates.perSecond(rate.receiver(ref.id, 'accepted_items')))} accepted`];
      if (receiver && receiver.refused_items > 0) lines.push(`${formatShort(receiver.refused_items)} refused`);
      return { kind: 'receiver', name: ref.id, verdict: receiver ? receiverHealth(receiver, rates) : null, lines };
    }
    case 'pipeline':
      return { kind: 'pipeline', name: ref.id, verdict: null, lines: [] };
    case 'processor': {
      const one = rate.findStage(snapshot, ref);
      const lines = one ? changes(one).slice(0, 1) : [];
      return { kind: 'processor', name: ref.id, verdict: one ? stageHealth(one, rates) : null, lines };
    }
    case 'connector': {
      const one = snapshot.connectors.find(({ id }) => id === ref.id);
      const lines = one ? connectorLines(one, rates) : [];
      return { kind: 'connector', name: ref.id, verdict: one ? stageHealth(one, rates) : null, lines };
    }
    case 'log':
      return {
        kind: 'log',
        name: 'Durable log',
        verdict: logHealth(snapshot.log, rates),
        lines: logLines(snapshot.log, rates),
      };
    case 'exporter': {
      const exporter = snapshot.exporters.find(({ id }) => id === ref.id);
      return {
        kind: 'exporter',
        name: ref.id,
        verdict: exporter ? exporterHealth(exporter, rates) : null,
        lines: exporter ? exporterLines(exporter) : [],
      };
    }
  }
}

/** Why there is not as much out as in, the worst first. */
function changes({ refused_items, taken_out_items, held_items }: Stage): string[] {
  const figures: [number, string][] = [
    [refused_items, 'refused'],
    [rate.sum(taken_out_items), 'taken out'],
    [held_items, 'held'],
  ];
  return figures.filter(([items]) => items > 0).map(([items, what]) => `${formatShort(items)} ${what}`);
}

function connectorLines(connector: Connector, rates: Rates): ComponentChildren[] {
  const per = (field: rate.StageField) => formatRate(rates.perSecond(rate.stage(connector, field)));
  // Where it stands shows what it begins; what it ends is known to the log alone.
  const from = <Label key="from" text={`from ${connector.from.join(', ')}`} />;
  const held = connector.held_items > 0 ? `, ${formatShort(connector.held_items)} held` : '';
  return [from, `${per('incoming_items')} in`, `${per('outgoing_items')} out${held}`];
}

function logLines(log: Log, rates: Rates): string[] {
  const used = log.limit_bytes > 0 ? ` of ${formatBytes(log.limit_bytes)}` : '';
  return [`${formatBytes(log.bytes)}${used}`, `${formatRate(rates.perSecond(rate.log('appended_records')))} records`];
}

function exporterLines({ backlog, lost_items, retries }: Exporter): string[] {
  const trouble = [
    lost_items > 0 && `${formatShort(lost_items)} lost`,
    retries > 0 && `${formatShort(retries)} ${retries === 1 ? 'retry' : 'retries'}`,
  ].filter(Boolean);
  const waiting =
    backlog.records === 0
      ? ['nothing waits']
      : [
          `${formatShort(backlog.items)} wait, ${formatDuration(Math.round(backlog.oldest_age_seconds) * 1e9)}`,
          [formatBytes(backlog.bytes), ...trouble].join(', '),
        ];
  return backlog.records === 0 && trouble.length > 0 ? [...waiting, trouble.join(', ')] : waiting;
}

// The same as the graph, as tables.
import { formatBytes, formatCount, formatDuration, formatRate } from '../shared/format';
import { Label } from '../shared/Label';
import { exporterHealth, receiverHealth, stageHealth } from './health';
import type { Rates } from './rates';
import * as rate from './rates';
import { SimpleTable } from './SimpleTable';
import type { Failure, Snapshot, Stage } from './snapshot';
import { VerdictMark } from './Verdict';

export function Tables({ snapshot, rates }: { readonly snapshot: Snapshot; readonly rates: Rates }) {
  return (
    <>
      <SimpleTable
        caption="Receivers"
        head={['Receiver', 'State', 'Pipelines', '>Accepted', '>Rate', '>Refused', 'Last failure']}
        rows={snapshot.receivers.map((one) => [
          <Label key="" text={one.id} />,
          <VerdictMark key="" verdict={receiverHealth(one, rates)} />,
          <Label key="" text={one.pipelines.join(', ')} />,
          formatCount(one.accepted_items),
          formatRate(rates.perSecond(rate.receiver(one.id, 'accepted_items'))),
          formatCount(one.refused_items),
          failure(one.last_error),
        ])}
      />
      <SimpleTable
        caption="Processors"
        head={['Processor', 'State', 'Pipeline', ...STAGE_HEAD]}
        rows={snapshot.processors.map((one) => [
          <Label key="" text={one.id} />,
          <VerdictMark key="" verdict={stageHealth(one, rates)} />,
          <Label key="" text={one.pipeline} />,
          ...stageCells(one, rates),
        ])}
      />
      {snapshot.connectors.length > 0 && (
        <SimpleTable
          caption="Connectors"
          head={['Connector', 'State', 'From', 'To', ...STAGE_HEAD]}
          rows={snapshot.connectors.map((one) => [
            <Label key="" text={one.id} />,
            <VerdictMark key="" verdict={stageHealth(one, rates)} />,
            <Label key="" text={one.from.join(', ')} />,
            <Label key="" text={one.to.join(', ')} />,
            ...stageCells(one, rates),
          ])}
        />
      )}
      <SimpleTable
        caption="Exporters and their cursors"
        head={[
          'Exporter',
          'State',
          'Pipelines',
          '>Exported',
          '>Rate',
          '>Backlog',
          '>Bytes',
          '>Oldest',
          '>Lost',
          '>Retries',
          'Last failure',
        ]}
        rows={snapshot.exporters.map((one) => [
          <Label key="" text={one.id} />,
          <VerdictMark key="" verdict={exporterHealth(one, rates)} />,
          <Label key="" text={one.pipelines.join(', ')} />,
          formatCount(one.exported_items),
          formatRate(rates.perSecond(rate.exporter(one.id, 'exported_items'))),
          formatCount(one.backlog.items),
          formatBytes(one.backlog.bytes),
          one.backlog.records > 0 ? formatDuration(Math.round(one.backlog.oldest_age_seconds) * 1e9) : '–',
          formatCount(one.lost_items),
          formatCount(one.retries),
          failure(one.last_error),
        ])}
      />
    </>
  );
}

const STAGE_HEAD = ['>In', '>Out', '>Refused', '>Taken out', '>Put in', '>Held', '>Backlog', 'Last failure'];

const stageCells = (one: Stage, rates: Rates) => [
  formatRate(rates.perSecond(rate.stage(one, 'incoming_items'))),
  formatRate(rates.perSecond(rate.stage(one, 'outgoing_items'))),
  formatCount(one.refused_items),
  formatCount(rate.sum(one.taken_out_items)),
  formatCount(rate.sum(one.put_in_items)),
  formatCount(one.held_items),
  one.backlog ? formatCount(one.backlog.items) : '–',
  failure(one.last_error),
];

const failure = (last: Failure | null) => (last ? <Label text={last.message} /> : '–');

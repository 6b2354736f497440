// What a click on a node and the tables say of stages that take out, put in and hold; names from outside are text there too.
import { render } from 'preact';
import { afterEach, describe, expect, it } from 'vitest';
import { Graph } from './Graph';
import { buildGraph, keyOf, type NodeRef } from './graph';
import { NodeDetails } from './NodeDetails';
import { Rates } from './rates';
import type { Snapshot } from './snapshot';
import { connected, connector, receiver, stage } from './snapshot.fixture';
import { Tables } from './Tables';

let place: HTMLElement;
const draw = (content: preact.ComponentChild) => {
  place = document.createElement('div');
  document.body.append(place);
  render(content, place);
  return place;
};
afterEach(() => {
  render(null, place);
  place.remove();
});

const nothing = () => {};

function facts(snapshot: Snapshot, ref: NodeRef): Record<string, string> {
  const node = buildGraph(snapshot, new Rates()).nodes.find(({ key }) => key === keyOf(ref));
  if (!node) throw new Error('no such node');
  const drawn = draw(<NodeDetails node={node} snapshot={snapshot} rates={new Rates()} onClose={nothing} />);
  const text = (element: Element | null) => element?.textContent?.replace(/\s+/g, ' ').trim() ?? '';
  return Object.fromEntries(
    [...drawn.querySelectorAll('.facts > div')].map((one) => [
      text(one.querySelector('dt')),
      [...one.querySelectorAll('li')].map(text).join('; ') || text(one.querySelector('dd')),
    ]),
  );
}

const backlog = { committed: 90, records: 3, items: 1200, bytes: 2048, oldest_age_seconds: 8.4 };

describe('the details', () => {
  it('of a connector tell what it joins, what it took out, put in and holds, and how far it is saved', () => {
    const told = facts(
      connected({
        log: { ...connected().log, last: 100 },
        connectors: [
          connector('routing', ['logs'], ['logs/a', 'logs/b'], {
            incoming_items: 5000,
            outgoing_items: 4700,
            taken_out_items: { filtered: 100, no_route: 250, duplicate: 0 },
            put_in_items: { copied: 75 },
            held_items: 25,
            backlog,
          }),
        ],
      }),
      { kind: 'connector', id: 'routing' },
    );
    expect(told).toMatchObject({
      State: 'running',
      'From pipelines': 'logs',
      'To pipelines': 'logs/a, logs/b',
      In: '5,000, –',
      'Taken out': '250 no route; 100 filtered',
      'Put in': '75 copied',
      'Held now': '25',
      'Refused, and so lost': '0, –',
      'Not saved yet': '1,200 items in 3 records, 2 KiB',
      'Oldest of it': '8 s',
      'Saved up to': 'position 90 of 100',
    });
  });

  it('of a processor before the log have no backlog', () => {
    const processors = [stage('tail_sampling', 'filter', { pipeline: 'traces', taken_out_items: { filtered: 3 } })];
    const told = facts(connected({ processors }), { kind: 'processor', pipeline: 'traces', id: 'tail_sampling' });
    expect(told).toMatchObject({ 'Taken out': '3 filtered', 'Put in': '0, –', 'Held now': '0', Refused: '0, –' });
    expect(told).not.toHaveProperty('Not saved yet');
  });

  it('of a receiver tell refusals by reason', () => {
    const refused_by_reason = { busy: 4, rejected: 0, invalid: 7, too_old: 2, too_far_in_future: 1, no_time: 1 };
    const told = facts(
      connected({ receivers: [receiver('otlp', ['logs'], { refused_items: 15, refused_by_reason })] }),
      {
        kind: 'receiver',
        id: 'otlp',
      },
    );
    expect(told.Refused).toBe(
      "7 invalid by OTLP's data model; 4 busy, to be sent again; 2 too old; 1 without a time; 1 too far in the future",
    );
  });
});

describe('the tables', () => {
  const rows = (drawn: HTMLElement, caption: string) =>
    [...drawn.querySelectorAll(`section[aria-label="${caption}"] tbody tr`)].map((row) =>
      [...row.children].map((cell) => cell.textContent?.trim()),
    );

  it('have a row for each connector, and say nothing of connectors where there are none', () => {
    const drawn = draw(<Tables snapshot={connected()} rates={new Rates()} />);
    expect(rows(drawn, 'Connectors').map((cells) => cells.slice(0, 4))).toEqual([
      ['count', 'running', 'logs/a', 'metrics/counted'],
      ['routing', 'running', 'logs', 'logs/a, logs/b'],
      ['span_metrics', 'running', 'traces', 'metrics'],
    ]);
    render(<Tables snapshot={connected({ connectors: [] })} rates={new Rates()} />, drawn);
    expect(drawn.querySelector('section[aria-label="Connectors"]')).toBeNull();
  });
});

describe('hostile names', () => {
  const IMAGE = '<img src=x onerror=alert(1)>';
  const hostile = connected({
    pipelines: [
      { id: IMAGE, signal: 'logs', receivers: ['otlp'], processors: [], exporters: [IMAGE] },
      { id: 'logs', signal: 'logs', receivers: [IMAGE], processors: [], exporters: ['lake'] },
    ],
    connectors: [connector(IMAGE, [IMAGE], ['logs'], { taken_out_items: { [IMAGE]: 1, constructor: 2 }, backlog })],
  });

  it('are text in the graph, the details and the tables', () => {
    const ref = { kind: 'connector', id: IMAGE } as const;
    expect(facts(hostile, ref)['Taken out']).toBe(`2 constructor; 1 ${IMAGE}`);
    for (const content of [
      <Graph key="" snapshot={hostile} rates={new Rates()} selected={null} onSelect={nothing} />,
      <Tables key="" snapshot={hostile} rates={new Rates()} />,
    ]) {
      render(null, place);
      place.remove();
      const drawn = draw(content);
      expect(drawn.querySelectorAll('img')).toHaveLength(0);
      expect(drawn.textContent).toContain(IMAGE);
    }
  });
});

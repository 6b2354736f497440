// Tables and heat maps: order, links, and the shapes of results that are understood.
import { describe, expect, it } from 'vitest';
import { frameFrom } from '../live/frame.fixture';
import { linkOf, plainNumber, rowOrder } from './DataTable';
import { heatOf, shade } from './heat';
import { toggled } from './Legend';
import { assign } from './palette';
import { tableOf } from './SeriesTable';
import { seriesOf } from './series';
import { ranking } from './TimeChart';
import { readings } from './Tooltip';

describe('rowOrder', () => {
  const frame = frameFrom({ n: 'number', s: 'string', id: 'int64' }, [
    [2, 'b', '9007199254740993'],
    [null, null, '20'],
    [10, 'a', '9007199254740992'],
    [2, 'c', null],
  ]);
  const sorted = (column: number, descending: boolean) => [...rowOrder(frame, { column, descending }, false)];
  it('sorts numbers as numbers, text as text, ids by every digit; NULL is last and equals keep their order', () => {
    expect(sorted(0, false)).toEqual([0, 3, 2, 1]);
    expect(sorted(0, true)).toEqual([2, 0, 3, 1]);
    expect(sorted(1, false)).toEqual([2, 0, 3, 1]);
    expect(sorted(2, true)).toEqual([0, 2, 1, 3]);
  });
  it('is the order of the result, or newest first', () => {
    expect([...rowOrder(frame, null, false)]).toEqual([0, 1, 2, 3]);
    expect([...rowOrder(frame, null, true)]).toEqual([3, 2, 1, 0]);
  });
});

describe('a cell', () => {
  it('links to an address of this app, whatever is in the columns', () => {
    const frame = frameFrom({ trace_id: 'string' }, [['../../evil?x=1#"']]);
    expect(linkOf(frame, 0, '/traces/{trace_id}')).toBe('/traces/..%2F..%2Fevil%3Fx%3D1%23%22');
    expect(linkOf(frame, 0, '/traces/{none}')).toBe('/traces/');
  });
  it('has numbers as they are read', () => {
    expect([5, 1234567, 0.123456789, 1234.567, 1e-7].map(plainNumber)).toEqual([
      '5',
      '1234567',
      '0.12346',
      '1234.6',
      '1e-7',
    ]);
  });
});

describe('a chart as a table', () => {
  it('has a row a time and a column a series, with nothing where a series has no point', () => {
    const frame = frameFrom({ t: 'time', s: 'string', value: 'number' }, [
      [0, 'a', 1],
      [10, 'a', 2],
      [10, 'constructor', 9],
    ]);
    const table = tableOf(seriesOf(frame), frame);
    expect(table.columns.map(({ name }) => name)).toEqual(['time', 'a', 'constructor']);
    const rows = [0, 1].map((row) => [0, 1, 2].map((column) => table.get(column, row)));
    expect(rows).toEqual([
      [0, 1, null],
      [10, 2, 9],
    ]);
  });
});

describe('heatOf', () => {
  it('reads counts of bounds, as numbers, as text, and as lists', () => {
    const numbers = frameFrom({ t: 'time', le: 'number', value: 'number' }, [
      [0, 1, 5],
      [0, 2, 3],
      [10, 1, 1],
      [10, Number.POSITIVE_INFINITY, 7],
    ]);
    const heat = heatOf(numbers);
    expect([[...heat.times], heat.bounds, [...heat.counts], heat.most, heat.spacing]).toEqual([
      [0, 10],
      [1, 2, Number.POSITIVE_INFINITY],
      [5, 3, 0, 1, 0, 7],
      7,
      10,
    ]);
    expect(
      heatOf(
        frameFrom({ t: 'time', le: 'string', value: 'number' }, [
          [0, '0.5', 1],
          [0, '+Inf', 2],
        ]),
      ).bounds,
    ).toEqual([0.5, Number.POSITIVE_INFINITY]);
    const lists = frameFrom({ t: 'time', bucket_counts: 'other', explicit_bounds: 'other' }, [
      [0, [1, 2, 3], [0.1, 0.2]],
      [10, [4, 5], [0.1]],
    ]);
    expect([...heatOf(lists).counts]).toEqual([1, 2, 3, 4, 0, 5]);
    expect(heatOf(frameFrom({ t: 'time' }, [[0]])).most).toBe(0);
  });
  it('shows few beside many', () => {
    expect(shade(0.02, false)).not.toBe(shade(0.0001, true));
    expect(shade(1, false)).toBe('#06394a');
  });
});

describe('many series', () => {
  const make = (sizes: readonly number[]) =>
    seriesOf(
      frameFrom(
        { t: 'time', s: 'string', value: 'number' },
        sizes.map((size, i) => [0, `s${i}`, size]),
      ),
    );
  const names = (set: { series: readonly { name: string }[] }) => set.series.map(({ name }) => name);
  it('are in the order of their size, which stays while the same are there', () => {
    const first = ranking(make([1, 9, 3, 4, 5, 6, 7, 8, 2]), []);
    expect(names(first).slice(0, 3)).toEqual(['s1', 's7', 's6']);
    expect(names(ranking(make([9, 1, 3, 4, 5, 6, 7, 8, 2]), names(first)))).toEqual(names(first));
    expect(names(ranking(make([9, 1, 3]), names(first)))).toEqual(['s0', 's1', 's2']);
  });
});

describe('a legend', () => {
  it('hides one, shows one alone, and all again', () => {
    const all = ['a', 'b', 'c'];
    const one = toggled(new Set(), all, 'b', false);
    expect([...one]).toEqual(['b']);
    expect([...toggled(one, all, 'b', false)]).toEqual([]);
    const alone = toggled(one, all, 'b', true);
    expect([...alone]).toEqual(['a', 'c']);
    expect([...toggled(alone, all, 'b', true)]).toEqual([]);
  });
  it('and a tooltip agree on the point that is read', () => {
    const set = seriesOf(
      frameFrom({ t: 'time', s: 'string', value: 'number' }, [
        [0, 'a', 1],
        [10, 'a', 2],
        [10, 'b', 9],
      ]),
    );
    const paints = assign(['a', 'b'], {}, false);
    expect(readings(set, paints, new Set(), 8)?.rows.map(({ name, value }) => [name, value])).toEqual([
      ['b', 9],
      ['a', 2],
    ]);
    expect(readings(set, paints, new Set(['b']), 1)?.rows.map(({ value }) => value)).toEqual([1]);
  });
});

// Rows into series, against the rows themselves.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { frameFrom } from '../live/frame.fixture';
import { extent, span, stack } from './painter';
import { Buffers, MOST_SERIES, nearest, seriesName, seriesOf, statsOf, valueNear } from './series';
import { levelOf, namedValues } from './values';

const TYPES = { t: 'time', host: 'string', state: 'string', value: 'number' } as const;
const label = fc.constantFrom('a', 'b', 'c', '', null);
const row = fc.tuple(
  fc.integer({ min: 0, max: 40 }),
  label,
  label,
  fc.option(fc.integer({ min: -50, max: 50 }), { nil: null }),
);
/** One value a time and label set, as a GROUP BY gives. */
const table = fc.uniqueArray(row, { maxLength: 120, selector: ([t, host, state]) => `${t} ${host} ${state}` });

describe('seriesOf', () => {
  it('has each value of each row in the series of its labels at its time, and nothing else', () => {
    const buffers = new Buffers();
    fc.assert(
      fc.property(table, (rows) => {
        const set = seriesOf(frameFrom(TYPES, rows), '{host}/{state}', buffers);
        const found = set.series.flatMap(({ labels, values }) =>
          Array.from(values, (value, i) => ({ t: set.times[i], host: labels.host, state: labels.state, value })).filter(
            ({ value }) => !Number.isNaN(value),
          ),
        );
        const key = (entry: {
          t: number | undefined;
          host: string | undefined;
          state: string | undefined;
          value: number;
        }) => `${entry.t} ${entry.host} ${entry.state} ${entry.value}`;
        // NULL and the empty string have one name, but are two series.
        const wanted = rows
          .filter(([, , , value]) => value !== null)
          .map(([t, host, state, value]) => key({ t, host: host ?? '', state: state ?? '', value: value as number }));
        expect(found.map(key).sort()).toEqual(wanted.sort());
        expect([...set.times]).toEqual([...new Set(rows.map(([t]) => t))].sort((a, b) => a - b));
        expect(new Set(set.series.map(({ name }) => name)).size).toBeGreaterThanOrEqual(Math.min(1, rows.length));
      }),
    );
  });

  it('makes a series of each number column, and names it so', () => {
    const frame = frameFrom({ t: 'time', host: 'string', read: 'number', written: 'number' }, [[1, 'a', 10, 20]]);
    expect(seriesOf(frame).series.map(({ name, values }) => [name, values[0]])).toEqual([
      ['a read', 10],
      ['a written', 20],
    ]);
    const bare = frameFrom({ t: 'time', written: 'number', read: 'number' }, [[1, 10, 20]]);
    expect(seriesOf(bare).series.map(({ name }) => name)).toEqual(['written', 'read']);
  });

  it('draws the highest where there are too many, and says how many are left', () => {
    const rows = Array.from({ length: MOST_SERIES + 50 }, (_, i) => [1, `h${i}`, 's', i]);
    const set = seriesOf(frameFrom(TYPES, rows));
    expect(set.series.length).toBe(MOST_SERIES);
    expect(set.left).toBe(50);
    expect(Math.min(...set.series.map(({ values }) => values[0] as number))).toBe(50);
  });

  it('names series apart where the template does not', () => {
    const set = seriesOf(
      frameFrom(TYPES, [
        [1, 'a', 'x', 1],
        [1, 'b', 'x', 2],
      ]),
      '{state}',
    );
    expect(set.series.map(({ name }) => name)).toEqual(['x {host=a, state=x}', 'x {host=b, state=x}']);
  });

  it('puts labels into a template as text', () => {
    expect(seriesName('{a} of {b}{none}', { a: '$&', b: '{a}' }, 'value')).toBe('$& of {a}');
    expect(seriesName(undefined, { a: 'x', b: '', c: 'y' }, 'value')).toBe('x · y');
    expect(seriesName(undefined, {}, 'value')).toBe('value');
  });

  it('takes bounded memory where no two points have a time in common, and keeps the peaks', () => {
    const rows = Array.from({ length: 60_000 }, (_, i) => [i * 7, `h${i % 60}`, 's', i === 31_234 ? 999 : i % 10]);
    const set = seriesOf(frameFrom(TYPES, rows));
    expect(set.series.length).toBe(60);
    expect(set.times.length).toBeLessThanOrEqual(4_001);
    expect(Math.max(...set.series.map(({ values }) => statsOf(set.times, values, 0, 1e9).max))).toBe(999);
  });

  it('knows what usually lies between points, in spite of a gap', () => {
    const rows = [0, 10, 20, 30, 200, 210, 220].map((t) => [t, 'a', 's', 1]);
    expect(seriesOf(frameFrom(TYPES, rows)).spacing).toBe(10);
  });
});

describe('figures', () => {
  const times = Float64Array.of(0, 10, 20, 30);
  it('are of the window, without what is missing', () => {
    const values = Float64Array.of(100, 2, Number.NaN, 4);
    expect(statsOf(times, values, 5, 30)).toEqual({ min: 2, mean: 3, max: 4, last: 4 });
    expect(statsOf(times, values, 40, 50).max).toBeNaN();
  });
  it('are of the nearest point', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 0, max: 1000 }), { minLength: 1 }),
        fc.integer({ min: -100, max: 1100 }),
        (all, at) => {
          const sorted = Float64Array.from(all).sort();
          const found = sorted[nearest(sorted, at)] as number;
          expect(Math.abs(found - at)).toBe(Math.min(...all.map((time) => Math.abs(time - at))));
        },
      ),
    );
    const set = { times, series: [], left: 0, spacing: 10 };
    expect(valueNear(set, Float64Array.of(1, Number.NaN, Number.NaN, Number.NaN), 1)).toBe(1);
    expect(valueNear(set, Float64Array.of(1, Number.NaN, Number.NaN, Number.NaN), 3)).toBeNaN();
  });
  it('of the present are the last of a series, or the rows of a table', () => {
    const series = frameFrom(TYPES, [
      [1, 'a', '', 1],
      [2, 'a', '', 5],
      [3, 'a', '', null],
    ]);
    expect(namedValues(series, undefined).values.map(({ name, value }) => [name, value])).toEqual([['a', 5]]);
    const rows = frameFrom({ name: 'string', value: 'number' }, [
      ['x', 1],
      ['y', null],
    ]);
    expect(namedValues(rows, undefined).values).toEqual([
      { name: 'x', value: 1 },
      { name: 'y', value: Number.NaN },
    ]);
  });
  it('reach levels', () => {
    const levels = [
      { value: 0.95, level: 'critical' },
      { value: 0.8, level: 'warning' },
    ];
    expect([0.5, 0.8, 0.96, Number.NaN].map((value) => levelOf(value, levels))).toEqual([
      null,
      'warning',
      'critical',
      null,
    ]);
  });
});

describe('stacks', () => {
  const set = { times: Float64Array.of(0, 10, 20, 100), series: [], left: 0, spacing: 10 };
  it('add up, hold a value that is missing once, and let go of it after a gap', () => {
    const a = Float64Array.of(1, 2, 3, Number.NaN);
    const b = Float64Array.of(10, Number.NaN, 30, 40);
    const { sums, any } = stack(set, [a, b], 0, 3, 25);
    expect([...(sums[0] as Float64Array)]).toEqual([1, 2, 3, 0]);
    expect([...(sums[1] as Float64Array)]).toEqual([11, 12, 33, 40]);
    expect([...any]).toEqual([1, 1, 1, 1]);
  });
  it('are as high as the sum, lines as their highest', () => {
    const series = [
      { name: 'a', labels: {}, values: Float64Array.of(1, 2, 3, 4) },
      { name: 'b', labels: {}, values: Float64Array.of(5, 5, 5, 5) },
    ];
    const scene = { set: { ...set, series }, hidden: new Set<string>(), from: 0, to: 20, gap: 25 };
    expect(extent({ ...scene, kind: 'stacked' }).max).toBe(9);
    expect(extent({ ...scene, kind: 'line' }).max).toBe(5);
    expect(extent({ ...scene, kind: 'line', hidden: new Set(['b']) })).toEqual({ min: 1, max: 4 });
  });
  it('are drawn from one point before the window to one after it', () => {
    expect(span(set.times, 5, 15)).toEqual([0, 2]);
    expect(span(set.times, -5, 500)).toEqual([0, 3]);
    expect(span(set.times, 30, 40)).toEqual([2, 3]);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { unitFormat } from './format';
import { axisOf } from './ticks';

describe('axisOf', () => {
  it('covers the data, with ticks in order and not too many, whatever the data and the unit', () => {
    // Not the numbers that have lost their digits already.
    const number = fc
      .double({ noNaN: true, min: -1e12, max: 1e12 })
      .map((value) => (Math.abs(value) < 1e-12 ? 0 : value));
    fc.assert(
      fc.property(
        number,
        number,
        fc.integer({ min: 2, max: 10 }),
        fc.constantFrom('', 'By', 's', 'ms'),
        fc.boolean(),
        (a, b, count, unit, zero) => {
          const data = { min: Math.min(a, b), max: Math.max(a, b) };
          const axis = axisOf(data, { zero, count, format: unitFormat(unit) });
          const slack = (axis.max - axis.min) * 1e-6;
          expect(axis.min).toBeLessThanOrEqual(data.min + slack);
          expect(axis.max).toBeGreaterThanOrEqual(data.max - slack);
          expect(axis.ticks.length).toBeLessThanOrEqual(count + 2);
          for (let i = 1; i < axis.ticks.length; i++)
            expect(axis.ticks[i]).toBeGreaterThan(axis.ticks[i - 1] as number);
          if (zero) expect(axis.min).toBeLessThanOrEqual(0);
        },
      ),
    );
  });

  it('ends where it is told, unless data lies beyond', () => {
    const format = unitFormat('1', true);
    expect(axisOf({ min: 0.2, max: 0.5 }, { min: 0, max: 1, count: 4, format })).toMatchObject({ min: 0, max: 1 });
    expect(axisOf({ min: 0.2, max: 1.4 }, { min: 0, max: 1, count: 4, format }).max).toBeGreaterThanOrEqual(1.4);
  });

  it('has round bytes and round minutes', () => {
    const MiB = 1024 ** 2;
    expect(axisOf({ min: 0, max: 19 * MiB }, { count: 4, format: unitFormat('By') }).ticks).toEqual([
      0,
      5 * MiB,
      10 * MiB,
      15 * MiB,
      20 * MiB,
    ]);
    expect(axisOf({ min: 0, max: 3000 }, { count: 4, format: unitFormat('s') }).ticks).toEqual([0, 900, 1800, 2700]);
  });

  it('has two ends around what is much smaller than a byte', () => {
    const format = unitFormat('By');
    for (const options of [{}, { max: 0 }, { min: -1e-12 }]) {
      const axis = axisOf({ min: -1e-12, max: 0 }, { ...options, count: 2, format });
      expect(axis.max).toBeGreaterThan(axis.min);
    }
  });

  it('has room for a line that does not move, and for no data', () => {
    const format = unitFormat('');
    for (const value of [0, 5, -5, 1e9]) {
      const axis = axisOf({ min: value, max: value }, { count: 4, format });
      expect(axis.max).toBeGreaterThan(axis.min);
    }
    expect(
      axisOf({ min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY }, { count: 4, format }),
    ).toMatchObject({ min: 0 });
  });
});

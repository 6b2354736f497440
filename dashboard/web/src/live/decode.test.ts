// Arrow as it is sent, into columns: values against what was written.
import {
  bool,
  dictionary,
  float64,
  int64,
  list,
  TimeUnit,
  tableFromArrays,
  tableToIPC,
  timestamp,
  utf8,
} from '@uwdata/flechette';
import { describe, expect, it } from 'vitest';
import { cellsFor } from './cells';
import { decodeArrow, plain } from './decode';
import { frameOf } from './frame';
import { splitFrame } from './protocol';

function frame(columns: Record<string, unknown[]>, types: Record<string, unknown>) {
  const bytes = tableToIPC(tableFromArrays(columns as never, { types: types as never }), {
    format: 'stream',
  }) as Uint8Array;
  const decoded = decodeArrow(bytes);
  const cells = decoded.columns.map(({ type, chunk }) => {
    const made = cellsFor(type);
    made.append(chunk, null);
    return made;
  });
  return frameOf(decoded.columns, cells, { from: 0, to: 0, truncated: false });
}

describe('decodeArrow', () => {
  it('has times in milliseconds, from any unit, past 2^53 nanoseconds', () => {
    const at = Date.UTC(2026, 10, 24, 6, 0, 0, 123);
    const made = frame(
      { us: [at, null], ns: [at, null] },
      { us: timestamp(TimeUnit.MICROSECOND, 'UTC'), ns: timestamp(TimeUnit.NANOSECOND, 'UTC') },
    );
    expect([
      made.columns.map(({ type }) => type),
      made.get(0, 0),
      made.get(0, 1),
      Math.round(made.get(1, 0) as number),
    ]).toEqual([['time', 'time'], at, null, at]);
  });

  it('tells NULL from NaN', () => {
    const made = frame({ x: [1.5, Number.NaN, null] }, { x: float64() });
    expect([made.get(0, 0), made.get(0, 1), made.get(0, 2)]).toEqual([1.5, Number.NaN, null]);
    expect(Number.isNaN(made.numbers(0)?.[2])).toBe(true);
  });

  it('keeps every digit of integers that a double cannot hold, and makes numbers of the others', () => {
    const big = 9_007_199_254_740_993n;
    const made = frame({ id: [big, -5n, null], n: [3n, null, -7n] }, { id: int64(), n: int64() });
    expect(made.columns.map(({ type }) => type)).toEqual(['int64', 'number']);
    expect([made.get(0, 0), made.get(0, 1), made.get(0, 2), made.get(1, 0), made.get(1, 1), made.get(1, 2)]).toEqual([
      '9007199254740993',
      '-5',
      null,
      3,
      null,
      -7,
    ]);
  });

  it('has strings, plain or as a dictionary, with their NULLs', () => {
    const words = ['a', null, '<img onerror>', 'a', ''];
    const made = frame({ plain: words, coded: words }, { plain: utf8(), coded: dictionary(utf8()) });
    for (const column of [0, 1]) expect(words.map((_, row) => made.get(column, row))).toEqual(words);
  });

  it('has lists, booleans and bytes as values of JSON', () => {
    const made = frame({ b: [true, null], l: [[1n, 2n ** 60n], []] }, { b: bool(), l: list(int64()) });
    expect([made.get(0, 0), made.get(0, 1), made.get(1, 0), made.get(1, 1)]).toEqual([
      true,
      null,
      [1, '1152921504606846976'],
      [],
    ]);
    expect(plain(Uint8Array.of(0, 255))).toBe('00ff');
    expect(plain({ a: 1n, b: new Map([['k', null]]) })).toEqual({ a: 1, b: { k: null } });
  });

  it('refuses a frame that is cut off', () => {
    const bytes = new Uint8Array(12);
    new DataView(bytes.buffer).setUint32(0, 4_000_000_000, true);
    expect(() => splitFrame(bytes.buffer)).toThrow(/shorter/);
    expect(() => splitFrame(new ArrayBuffer(2))).toThrow();
  });
});

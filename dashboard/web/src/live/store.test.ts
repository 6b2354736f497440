// The frames of a stream, in any order that a server may send them, against a server that is an array of rows.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Chunk } from './cells';
import type { Decoded } from './decode';
import { type FrameHeader, FrameStore } from './store';

interface Row {
  readonly t: number;
  readonly label: string | null;
  readonly value: number | null;
}

function decoded(rows: readonly Row[]): Decoded {
  const words = [...new Set(rows.map(({ label }) => label).filter((label) => label !== null))];
  const numbers = (pick: (row: Row) => number | null): Chunk => ({
    kind: 'number',
    data: Float64Array.from(rows, (row) => pick(row) ?? Number.NaN),
    nulls: rows.some((row) => pick(row) === null) ? Uint8Array.from(rows, (row) => Number(pick(row) === null)) : null,
  });
  return {
    length: rows.length,
    columns: [
      { name: 't', type: 'time', chunk: numbers(({ t }) => t) },
      {
        name: 'label',
        type: 'string',
        chunk: {
          kind: 'text',
          codes: Int32Array.from(rows, ({ label }) => (label === null ? -1 : words.indexOf(label))),
          words,
        },
      },
      { name: 'value', type: 'number', chunk: numbers(({ value }) => value) },
    ],
  };
}

const header = (change: Partial<FrameHeader>): FrameHeader => ({
  stream: 1,
  replace_from: null,
  from: 0,
  to: 0,
  step_ms: 10,
  position: '0',
  truncated: false,
  ...change,
});

function held(store: FrameStore): Row[] {
  const frame = store.frame();
  if (!frame) return [];
  return Array.from({ length: frame.length }, (_, row) => ({
    t: frame.get(0, row) as number,
    label: frame.get(1, row) as string | null,
    value: frame.get(2, row) as number | null,
  }));
}

/** What is measured: each (bucket, label) has one value, which late data changes. */
class Server {
  readonly rows = new Map<string, Row>();

  set(t: number, label: string | null, value: number | null): void {
    this.rows.set(`${t} ${label}`, { t, label, value });
  }

  from(time: number): Row[] {
    const order = (row: Row) => String(row.label);
    return [...this.rows.values()]
      .filter(({ t }) => t >= time)
      .sort((a, b) => a.t - b.t || (order(a) < order(b) ? -1 : 1));
  }
}

const change = fc.record({
  bucket: fc.integer({ min: -8, max: 3 }),
  label: fc.constantFrom('a', 'b', '', '<img onerror>', null),
  value: fc.option(fc.double({ noNaN: true }), { nil: null }),
});
/** A second: points arrive, late ones too; the frame is delivered, or lost with the connection. */
const second = fc.record({
  changes: fc.array(change, { maxLength: 6 }),
  delivered: fc.boolean(),
  whole: fc.boolean(),
  slide: fc.integer({ min: 0, max: 2 }),
});

describe('FrameStore', () => {
  it('holds what the server holds, whatever was delivered, lost, late or sent again', () => {
    fc.assert(
      fc.property(fc.array(second, { minLength: 1, maxLength: 60 }), (seconds) => {
        const server = new Server();
        const store = new FrameStore();
        let now = 1000;
        let windowFrom = now - 100;
        let owed = Number.NEGATIVE_INFINITY;
        for (const { changes, delivered, whole, slide } of seconds) {
          now += slide * 10;
          windowFrom = now - 100;
          for (const { bucket, label, value } of changes) {
            const t = now + bucket * 10;
            server.set(t, label, value);
            owed = Math.min(owed === Number.NEGATIVE_INFINITY && store.header ? t : owed, t);
          }
          if (!delivered) continue;
          const replaceFrom =
            whole || !store.header ? null : Math.max(windowFrom, owed === Number.NEGATIVE_INFINITY ? now : owed);
          const rows = server.from(replaceFrom ?? windowFrom);
          expect(store.apply(header({ replace_from: replaceFrom, from: windowFrom, to: now }), decoded(rows))).toBe(
            true,
          );
          owed = Number.NEGATIVE_INFINITY;
          expect(held(store)).toEqual(server.from(windowFrom));
        }
      }),
      { numRuns: 300 },
    );
  });

  it('sorts what is not sorted, and leaves out rows without a time', () => {
    const store = new FrameStore();
    const rows = [3, 1, Number.NaN, 2].map((t) => ({ t, label: `at ${t}`, value: t }));
    store.apply(header({}), decoded(rows));
    expect(held(store).map(({ t }) => t)).toEqual([1, 2, 3]);
  });

  it('keeps the newest rows up to a limit', () => {
    const store = new FrameStore('rows', 3);
    const row = (t: number) => ({ t, label: 'x', value: t });
    store.apply(header({}), decoded([1, 2, 3, 4].map(row)));
    store.apply(header({ replace_from: 4 }), decoded([4, 5].map(row)));
    expect(held(store).map(({ t }) => t)).toEqual([3, 4, 5]);
  });

  it('leaves a table in the order of its query, rows before the window too', () => {
    const store = new FrameStore('table');
    const rows = [5, 1, 9].map((t) => ({ t, label: null, value: 0 }));
    store.apply(header({ from: 6 }), decoded(rows));
    expect(held(store).map(({ t }) => t)).toEqual([5, 1, 9]);
  });

  it('refuses a tail of something that it does not hold', () => {
    const store = new FrameStore();
    expect(store.apply(header({ replace_from: 5 }), decoded([]))).toBe(false);
    store.apply(header({}), decoded([{ t: 1, label: 'a', value: 1 }]));
    const other: Decoded = {
      length: 0,
      columns: [{ name: 'x', type: 'number', chunk: { kind: 'number', data: new Float64Array(0), nulls: null } }],
    };
    expect(store.apply(header({ replace_from: 5 }), other)).toBe(false);
  });

  it('goes on with the digits where integers outgrow a double', () => {
    const store = new FrameStore();
    const time = (t: number) =>
      ({ name: 't', type: 'time', chunk: { kind: 'number', data: Float64Array.of(t), nulls: null } }) as const;
    const small = {
      name: 'n',
      type: 'number',
      chunk: { kind: 'number', data: Float64Array.of(7), nulls: null },
    } as const;
    const large = {
      name: 'n',
      type: 'int64',
      chunk: { kind: 'text', codes: Int32Array.of(0), words: ['9007199254740993'] },
    } as const;
    store.apply(header({}), { length: 1, columns: [time(1), small] });
    store.apply(header({ replace_from: 2 }), { length: 1, columns: [time(2), large] });
    const frame = store.frame();
    expect(frame?.columns[1]?.type).toBe('int64');
    expect([frame?.get(1, 0), frame?.get(1, 1)]).toEqual(['7', '9007199254740993']);
  });
});

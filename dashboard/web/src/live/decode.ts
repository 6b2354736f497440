// Arrow IPC into chunks of columns: times as milliseconds, numbers as doubles, strings as codes into a list of words.
import { type Batch, type DataType, Type, tableFromIPC } from '@uwdata/flechette';
import type { Chunk, ColumnType, Value } from './cells';

export interface Decoded {
  readonly columns: readonly { readonly name: string; readonly type: ColumnType; readonly chunk: Chunk }[];
  readonly length: number;
}

/** `bytes` is one Arrow IPC stream. Throws when it is not. */
export function decodeArrow(bytes: Uint8Array): Decoded {
  const table = tableFromIPC(bytes, { useBigInt: true, useDate: false });
  const columns = table.schema.fields.map((field, i) => {
    const column = table.getChildAt(i);
    return { name: field.name, ...decodeColumn(field.type, column.data as readonly Batch<unknown>[], column.length) };
  });
  return { columns, length: table.numRows };
}

type Batches = readonly Batch<unknown>[];

function decodeColumn(type: DataType, batches: Batches, length: number): { type: ColumnType; chunk: Chunk } {
  switch (type.typeId) {
    case Type.Timestamp:
      return { type: 'time', chunk: times(batches, length, [1000, 1, 1e-3, 1e-6][type.unit] ?? 1) };
    case Type.Date:
      return { type: 'time', chunk: numbers(batches, length) };
    case Type.Int:
      return type.bitWidth === 64 ? integers(batches, length) : { type: 'number', chunk: numbers(batches, length) };
    case Type.Float:
    case Type.Decimal:
      return { type: 'number', chunk: numbers(batches, length) };
    case Type.Dictionary:
      return isText(type.dictionary)
        ? { type: 'string', chunk: dictionary(batches, length) }
        : decodeAny(batches, length, 'other');
    case Type.Bool:
      return decodeAny(batches, length, 'boolean');
    default:
      return isText(type) ? { type: 'string', chunk: texts(batches, length) } : decodeAny(batches, length, 'other');
  }
}

function isText(type: DataType): boolean {
  return type.typeId === Type.Utf8 || type.typeId === Type.LargeUtf8 || type.typeId === Type.Utf8View;
}

function filled(batches: Batches, length: number, value: (batch: Batch<unknown>, row: number) => number): Chunk {
  const data = new Float64Array(length);
  const nulls = batches.some((batch) => batch.nullCount > 0) ? new Uint8Array(length) : null;
  let at = 0;
  for (const batch of batches) {
    for (let row = 0; row < batch.length; row++, at++) {
      if (nulls && batch.at(row) === null) {
        data[at] = Number.NaN;
        nulls[at] = 1;
      } else data[at] = value(batch, row);
    }
  }
  return { kind: 'number', data, nulls };
}

function numbers(batches: Batches, length: number): Chunk {
  return filled(batches, length, (batch, row) => Number(batch.value(row)));
}

/** Straight from the 64-bit integers: their own accessor would refuse those past 2^53, which nanoseconds are. */
function times(batches: Batches, length: number, factor: number): Chunk {
  return filled(batches, length, (batch, row) => Number((batch.values as BigInt64Array)[row]) * factor);
}

function integers(batches: Batches, length: number): { type: ColumnType; chunk: Chunk } {
  const least = BigInt(Number.MIN_SAFE_INTEGER);
  const most = BigInt(Number.MAX_SAFE_INTEGER);
  const safe = batches.every((batch) => {
    const values = batch.values as BigInt64Array | BigUint64Array;
    for (let row = 0; row < batch.length; row++) {
      const value = values[row] ?? 0n;
      if ((value < least || value > most) && batch.at(row) !== null) return false;
    }
    return true;
  });
  if (safe) {
    const value = (batch: Batch<unknown>, row: number) => Number((batch.values as BigInt64Array)[row]);
    return { type: 'number', chunk: filled(batches, length, value) };
  }
  return { type: 'int64', chunk: texts(batches, length) };
}

function texts(batches: Batches, length: number): Chunk {
  const codes = new Int32Array(length);
  const words: string[] = [];
  const index = new Map<string, number>();
  let at = 0;
  for (const batch of batches) {
    for (let row = 0; row < batch.length; row++, at++) {
      const value = batch.at(row);
      if (value === null || value === undefined) {
        codes[at] = -1;
        continue;
      }
      const word = String(value);
      let code = index.get(word);
      if (code === undefined) {
        code = words.length;
        words.push(word);
        index.set(word, code);
      }
      codes[at] = code;
    }
  }
  return { kind: 'text', codes, words };
}

/** A dictionary's values are decoded once each, not once a row. */
function dictionary(batches: Batches, length: number): Chunk {
  type Keyed = Batch<unknown> & {
    dictionary?: { at(index: number): unknown; length: number };
    key?(row: number): number;
  };
  const first = batches[0] as Keyed | undefined;
  if (!first || typeof first.key !== 'function' || !first.dictionary) return texts(batches, length);
  const codes = new Int32Array(length);
  const words: string[] = [];
  const index = new Map<string, number>();
  let at = 0;
  for (const batch of batches as readonly Keyed[]) {
    const moved = new Int32Array(batch.dictionary?.length ?? 0).fill(-1);
    for (let row = 0; row < batch.length; row++, at++) {
      const key = batch.at(row) === null ? -1 : (batch.key?.(row) ?? -1);
      if (key < 0) {
        codes[at] = -1;
        continue;
      }
      let code = moved[key] ?? -1;
      if (code < 0) {
        const word = String(batch.dictionary?.at(key) ?? '');
        code = index.get(word) ?? words.length;
        if (code === words.length) {
          words.push(word);
          index.set(word, code);
        }
        moved[key] = code;
      }
      codes[at] = code;
    }
  }
  return { kind: 'text', codes, words };
}

function decodeAny(batches: Batches, length: number, type: ColumnType): { type: ColumnType; chunk: Chunk } {
  const data: Value[] = new Array(length);
  let at = 0;
  for (const batch of batches) {
    for (let row = 0; row < batch.length; row++) data[at++] = plain(batch.at(row));
  }
  return { type, chunk: { kind: 'any', data } };
}

/** Arrow's values as those of JSON: integers past 2^53 as their digits, bytes as hexadecimal digits. */
export function plain(value: unknown): Value {
  if (value === null || value === undefined) return null;
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  if (typeof value !== 'object') return value as Value;
  if (value instanceof Uint8Array) return Array.from(value, (byte) => byte.toString(16).padStart(2, '0')).join('');
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as Iterable<unknown>, plain);
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return Object.fromEntries(Array.from(value, ([key, item]) => [String(key), plain(item)]));
  const source = 'toJSON' in value && typeof value.toJSON === 'function' ? value.toJSON() : value;
  return Object.fromEntries(Object.entries(source as object).map(([key, item]) => [key, plain(item)]));
}

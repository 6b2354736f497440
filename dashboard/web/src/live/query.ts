// One-off queries over POST /api/v1/query.
import { heardDate } from '../time/clock';
import { cellsFor } from './cells';
import { decodeArrow } from './decode';
import { type Frame, frameOf, type Problem } from './frame';

export class QueryError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.message);
  }
}

export interface QueryOptions {
  /** Rows; more are cut off. */
  readonly limit?: number;
  /** Seconds. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

const TYPES = {
  arrow: 'application/vnd.apache.arrow.stream',
  csv: 'text/csv',
  json: 'application/json',
} as const;
export type Download = keyof typeof TYPES;

/** Throws a QueryError. */
export async function runQuery(sql: string, options: QueryOptions = {}): Promise<Frame> {
  // One row more than is wanted tells whether there are more: Arrow has no place for the word.
  const limit = options.limit;
  const response = await ask(sql, TYPES.arrow, limit === undefined ? options : { ...options, limit: limit + 1 });
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw new QueryError(unreachable(error, 'the answer broke off: the query failed while it was under way'));
  }
  const decoded = decodeArrow(bytes);
  const cells = decoded.columns.map(({ type, chunk }) => {
    const made = cellsFor(type);
    made.append(chunk, null);
    if (limit !== undefined) made.truncate(limit);
    return made;
  });
  const truncated = limit !== undefined && decoded.length > limit;
  return frameOf(decoded.columns, cells, { from: 0, to: 0, truncated });
}

/** Saves the answer as a file. Throws a QueryError. */
export async function downloadQuery(sql: string, format: Download, options: QueryOptions = {}): Promise<void> {
  const response = await ask(sql, TYPES[format], options);
  saveFile(await response.blob(), `catchment-${new Date().toISOString().slice(0, 19).replace(/:/g, '')}.${format}`);
}

export function saveFile(content: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** GET of a JSON document of the API. Throws a QueryError. */
export async function getJson<T>(address: string, signal?: AbortSignal): Promise<T> {
  const response = await fetch(address, { headers: { Accept: 'application/json' }, ...(signal && { signal }) }).catch(
    (error) => {
      throw new QueryError(unreachable(error));
    },
  );
  heardDate(response.headers.get('date'));
  if (!response.ok) throw new QueryError(await problemOf(response));
  return (await response.json()) as T;
}

async function ask(sql: string, accept: string, { limit, timeout, signal }: QueryOptions): Promise<Response> {
  const response = await fetch('/api/v1/query', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: accept },
    body: JSON.stringify({ sql, ...(limit !== undefined && { limit }), ...(timeout !== undefined && { timeout }) }),
    ...(signal && { signal }),
  }).catch((error) => {
    throw new QueryError(unreachable(error));
  });
  if (!response.ok) throw new QueryError(await problemOf(response));
  return response;
}

function unreachable(error: unknown, message = 'Catchment does not answer'): Problem {
  if (error instanceof DOMException && error.name === 'AbortError') return { kind: 'aborted', message: 'stopped' };
  return { kind: 'offline', message };
}

async function problemOf(response: Response): Promise<Problem> {
  try {
    const body = (await response.json()) as { error?: Problem };
    if (body.error) return body.error;
  } catch {
    // Not JSON: said by something between, as a proxy.
  }
  return { kind: 'http', message: `the server answered ${response.status} ${response.statusText}` };
}

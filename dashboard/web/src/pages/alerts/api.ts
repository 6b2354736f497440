// Alertmanager's API v2 and Prometheus' rules, as this server has them. Each has its own way to say what is wrong.
import type { Problem } from '../../live/frame';
import { QueryError } from '../../live/query';
import { heardDate } from '../../time/clock';
import type { Matcher } from './matcher';
import type { Alert, AlertGroup, GettableAlert, RuleGroup, Silence } from './model';

/** What a body says of an error: a JSON string, `{error}`, `{message}`, or plain text. */
export function wrongOf(body: string, status: number): Problem {
  const said = (message: string): Problem => ({
    kind: 'http',
    message: message.trim() || `the server answered ${status}`,
  });
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return said(/^\s*</.test(body) ? '' : body.slice(0, 1000));
  }
  if (typeof json === 'string') return said(json);
  const { error, message } = (json ?? {}) as { error?: unknown; message?: unknown };
  if (typeof error === 'string') return said(error);
  if (typeof error === 'object' && error !== null && 'message' in error) return error as Problem;
  return said(typeof message === 'string' ? message : '');
}

/** The body as text. Throws a QueryError. */
export async function request(method: string, address: string, body?: unknown, signal?: AbortSignal): Promise<string> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(address, {
      method,
      headers: { Accept: 'application/json', ...(body !== undefined && { 'Content-Type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(signal && { signal }),
    });
    text = await response.text();
  } catch (error) {
    const aborted = error instanceof DOMException && error.name === 'AbortError';
    throw new QueryError(
      aborted ? { kind: 'aborted', message: 'stopped' } : { kind: 'offline', message: 'Catchment does not answer' },
    );
  }
  heardDate(response.headers.get('date'));
  if (!response.ok) throw new QueryError(wrongOf(text, response.status));
  return text;
}

export interface Answers {
  readonly alerts: readonly GettableAlert[];
  readonly groups: readonly AlertGroup[];
  readonly silences: readonly Silence[];
  readonly rules: readonly RuleGroup[];
}

const ADDRESSES = {
  alerts: '/api/v2/alerts',
  groups: '/api/v2/alerts/groups',
  silences: '/api/v2/silences',
  rules: '/api/v1/rules',
} as const satisfies Record<keyof Answers, string>;

const NONE: Answers = { alerts: [], groups: [], silences: [], rules: [] };

/** Asks for all that is wanted; what says the same as before stays the same object. */
export class Asker {
  #texts = new Map<string, string>();
  #held: Answers = NONE;

  async ask(names: readonly (keyof Answers)[], signal: AbortSignal): Promise<Answers> {
    const texts = await Promise.all(names.map((name) => request('GET', ADDRESSES[name], undefined, signal)));
    const changed = names.filter((name, at) => this.#texts.get(name) !== texts[at]);
    if (changed.length === 0) return this.#held;
    const next: Record<string, unknown> = { ...this.#held };
    for (const name of changed) {
      const text = texts[names.indexOf(name)] ?? 'null';
      const json = JSON.parse(text) as unknown;
      next[name] = name === 'rules' ? ((json as { data?: { groups?: RuleGroup[] } }).data?.groups ?? []) : (json ?? []);
      this.#texts.set(name, text);
    }
    this.#held = next as unknown as Answers;
    return this.#held;
  }
}

export interface NewSilence {
  /** Of the one that it takes the place of. */
  readonly id?: string;
  readonly matchers: readonly Matcher[];
  readonly startsAt: string;
  readonly endsAt: string;
  readonly createdBy: string;
  readonly comment: string;
}

export const postSilence = (silence: NewSilence): Promise<string> => request('POST', '/api/v2/silences', silence);

export const expireSilence = (id: string): Promise<string> =>
  request('DELETE', `/api/v2/silence/${encodeURIComponent(id)}`);

export const acknowledge = (matchers: readonly Matcher[], by: string, comment: string): Promise<string> =>
  request('POST', '/api/v1/alerts/acknowledge', { matchers, by, comment });

/** Links of an alert that a browser may follow: labels and annotations are from outside. */
export function linksOf({ annotations, generatorURL }: Alert): { label: string; href: string }[] {
  const all = [
    ...Object.entries(annotations).map(([label, href]) => ({ label, href })),
    { label: 'source', href: generatorURL },
  ];
  return all.filter(({ href }) => isWeb(href));
}

export function isWeb(text: string): boolean {
  if (!/^https?:\/\/\S+$/i.test(text)) return false;
  try {
    return /^https?:$/.test(new URL(text).protocol);
  } catch {
    return false;
  }
}

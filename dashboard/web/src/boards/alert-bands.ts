// Bands behind a panel's chart: when alerts were pending, firing or acknowledged whose rule reads a metric that the panel reads.
import { signal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { Band } from '../charts/Chart';
import { currentWindow } from '../charts/viewport';
import { useLive } from '../live/live';
import { getJson } from '../live/query';
import {
  type BandState,
  bandsOf,
  eventsOf,
  type HistoryEvent,
  historySql,
  MOST_CHANGES,
} from '../pages/alerts/history';
import type { Labels } from '../pages/alerts/matcher';
import { alerting } from '../shell/firing';
import { sourcesOf } from './states';

interface RuleNames {
  readonly name: string;
  readonly metrics: readonly string[];
}

const rules = signal<readonly RuleNames[]>([]);
let asked = Number.NEGATIVE_INFINITY;
const STALE_MS = 60_000;

interface Answer {
  readonly data?: {
    readonly groups?: readonly { readonly rules: readonly { type: string; name: string; query: string }[] }[];
  };
}

/** Once for all panels of a board. */
async function loadRules(): Promise<void> {
  if (performance.now() - asked < STALE_MS) return;
  asked = performance.now();
  try {
    const { data } = await getJson<Answer>('/api/v1/rules?type=alert&exclude_alerts=true');
    rules.value = (data?.groups ?? [])
      .flatMap((group) => group.rules)
      .map(({ name, query }) => ({ name, metrics: sourcesOf(query).metrics }));
  } catch {
    // A board without bands is a board.
  }
}

export type Vars = Readonly<Record<string, string | readonly string[]>>;

/** An alert of another host than the board is of is not this panel's. */
export function isOf(labels: Labels, vars: Vars): boolean {
  return Object.entries(vars).every(([name, chosen]) => {
    const label = [name, `${name}_name`].find((one) => Object.hasOwn(labels, one));
    return label === undefined || [chosen].flat().includes(labels[label] ?? '');
  });
}

const LEVELS = { firing: 'critical', pending: 'warning', acknowledged: 'accent' } as const satisfies Record<
  BandState,
  string
>;

/** Of all alerts together: stretches of one state that touch or overlap are one. */
export function unionOf(events: readonly HistoryEvent[], window: { from: number; to: number }): Band[] {
  const of = new Map<string, HistoryEvent[]>();
  for (const event of events) of.set(event.fingerprint, [...(of.get(event.fingerprint) ?? []), event]);
  const all = [...of.values()].flatMap((own) => bandsOf(own, window)).sort((a, b) => a.from - b.from);
  const open = new Map<BandState, { from: number; to: number; level: Band['level'] }>();
  const made: Band[] = [];
  for (const { from, to, state } of all) {
    const had = open.get(state);
    if (had && from <= had.to) {
      had.to = Math.max(had.to, to);
      continue;
    }
    const next = { from, to, level: LEVELS[state] };
    open.set(state, next);
    made.push(next);
  }
  return made;
}

const NONE: readonly Band[] = [];
const HISTORY = historySql();

export function useAlertBands(sql: string | null, vars: Vars): readonly Band[] {
  const has = alerting.value === true;
  useEffect(() => {
    if (has) void loadRules();
  }, [has]);
  const known = rules.value;
  const names = useMemo(() => {
    if (!has || sql === null) return null;
    const read = new Set(sourcesOf(sql).metrics);
    const found = known.filter(({ metrics }) => metrics.some((metric) => read.has(metric))).map(({ name }) => name);
    return found.length > 0 ? new Set(found) : null;
  }, [has, sql, known]);
  const live = useLive(names ? { sql: HISTORY, mode: 'table', limit: MOST_CHANGES } : null);
  const frame = live.rows.value;
  const varsKey = JSON.stringify(vars);
  return useMemo(() => {
    if (!names || !frame) return NONE;
    const chosen = JSON.parse(varsKey) as Vars;
    const own = eventsOf(frame).filter(({ labels }) => names.has(labels.alertname ?? '') && isOf(labels, chosen));
    // What is open goes on until the next frame says otherwise.
    const { from, to } = currentWindow();
    return unionOf(own, { from, to: to + (to - from) });
  }, [names, frame, varsKey]);
}

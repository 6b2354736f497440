// Alerts as this page shows them, of what Alertmanager's and Prometheus' APIs say.
import { SEVERITIES, type Severity, severityOf } from '../../shell/severity';
import { type Labels, type Matcher, matches } from './matcher';

/** What matters most about it: an acknowledged alert fires too, a silenced one as well. */
export const STATES = ['firing', 'acknowledged', 'pending', 'silenced', 'inhibited', 'muted'] as const;
export type State = (typeof STATES)[number];

/** `GET /api/v2/alerts`. */
export interface GettableAlert {
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly updatedAt: string;
  readonly fingerprint: string;
  readonly generatorURL?: string;
  readonly receivers: readonly { readonly name: string }[];
  readonly status: {
    readonly state: string;
    readonly silencedBy: readonly string[];
    readonly inhibitedBy: readonly string[];
    readonly mutedBy?: readonly string[];
    /** Ours. */
    readonly acknowledgedBy?: string | null;
  };
}

/** `GET /api/v2/alerts/groups`. */
export interface AlertGroup {
  readonly labels: Labels;
  readonly receiver: { readonly name: string };
  readonly alerts: readonly GettableAlert[];
}

/** An alert of a rule in `GET /api/v1/rules`. */
export interface RuleAlert {
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly state: string;
  readonly activeAt?: string;
  readonly value: string;
}

export interface Rule {
  readonly type: 'alerting' | 'recording';
  readonly name: string;
  readonly query: string;
  /** Seconds. */
  readonly duration?: number;
  readonly keepFiringFor?: number;
  readonly labels: Labels;
  readonly annotations?: Labels;
  readonly alerts?: readonly RuleAlert[];
  readonly health: string;
  readonly lastError?: string;
  readonly evaluationTime: number;
  readonly lastEvaluation: string;
  readonly state?: string;
  /** Ours: what `$range` is in seconds, and what the value is held against. */
  readonly window?: number;
  readonly thresholds?: readonly number[];
}

export interface RuleGroup {
  readonly name: string;
  readonly file: string;
  readonly interval: number;
  readonly lastEvaluation: string;
  readonly evaluationTime: number;
  readonly rules: readonly Rule[];
}

export interface Silence {
  readonly id: string;
  readonly matchers: readonly Matcher[];
  readonly startsAt: string;
  readonly endsAt: string;
  readonly updatedAt: string;
  readonly createdBy: string;
  readonly comment: string;
  readonly status: { readonly state: 'active' | 'pending' | 'expired' };
}

export interface Alert {
  /** Its labels as text: the same alert has the same. */
  readonly key: string;
  readonly fingerprint: string;
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly name: string;
  readonly severity: Severity;
  readonly state: State;
  /** Milliseconds. */
  readonly since: number;
  readonly value: number | null;
  readonly receivers: readonly string[];
  readonly silencedBy: readonly string[];
  readonly inhibitedBy: readonly string[];
  readonly mutedBy: readonly string[];
  readonly acknowledgedBy: string | null;
  readonly generatorURL: string;
  /** Null for alerts from outside. */
  readonly rule: { readonly group: RuleGroup; readonly rule: Rule } | null;
}

export const keyOf = (labels: Labels): string =>
  JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));

const MASK = 0xffff_ffff_ffff_ffffn;

/** FNV-1a of names and values, as Prometheus and the server have it: 16 hexadecimal digits. */
export function fingerprintOf(labels: Labels): string {
  const encoder = new TextEncoder();
  let hash = 0xcbf2_9ce4_8422_2325n;
  const eat = (byte: number) => {
    hash = ((hash ^ BigInt(byte)) * 0x100_0000_01b3n) & MASK;
  };
  const pairs = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  for (const text of pairs.flat()) {
    encoder.encode(text).forEach(eat);
    eat(0xff);
  }
  return hash.toString(16).padStart(16, '0');
}

const parseTime = (text: string | undefined): number => Date.parse(text ?? '');

function stateOf({ status }: GettableAlert): State {
  if (status.silencedBy.length > 0) return 'silenced';
  if (status.inhibitedBy.length > 0) return 'inhibited';
  if ((status.mutedBy ?? []).length > 0) return 'muted';
  return status.acknowledgedBy ? 'acknowledged' : 'firing';
}

interface Known {
  readonly group: RuleGroup;
  readonly rule: Rule;
  readonly of: RuleAlert;
}

/** What fires, from wherever it came, and what is pending by our own rules. */
export function alertsOf(gettable: readonly GettableAlert[], groups: readonly RuleGroup[]): Alert[] {
  const known = new Map<string, Known>();
  const byName = new Map<string, { group: RuleGroup; rule: Rule }>();
  for (const group of groups) {
    for (const rule of group.rules) {
      if (rule.type === 'alerting' && !byName.has(rule.name)) byName.set(rule.name, { group, rule });
      for (const of of rule.alerts ?? []) known.set(keyOf(of.labels), { group, rule, of });
    }
  }
  const alerts = gettable.map((one) => {
    const key = keyOf(one.labels);
    const found = known.get(key);
    known.delete(key);
    return fired(one, key, found, byName.get(one.labels.alertname ?? '') ?? null);
  });
  const pending = [...known].filter(([, { of }]) => of.state === 'pending');
  return [...alerts, ...pending.map(([key, one]) => waiting(key, one))];
}

function fired(one: GettableAlert, key: string, found: Known | undefined, named: Alert['rule']): Alert {
  const value = Number(found?.of.value ?? Number.NaN);
  return {
    key,
    fingerprint: one.fingerprint,
    labels: one.labels,
    annotations: one.annotations,
    name: one.labels.alertname ?? '',
    severity: severityOf(one.labels),
    state: stateOf(one),
    since: parseTime(one.startsAt),
    value: Number.isNaN(value) ? null : value,
    receivers: one.receivers.map(({ name }) => name),
    silencedBy: one.status.silencedBy,
    inhibitedBy: one.status.inhibitedBy,
    mutedBy: one.status.mutedBy ?? [],
    acknowledgedBy: one.status.acknowledgedBy || null,
    generatorURL: one.generatorURL ?? '',
    rule: found ? { group: found.group, rule: found.rule } : named,
  };
}

function waiting(key: string, { group, rule, of }: Known): Alert {
  const value = Number(of.value);
  return {
    key,
    fingerprint: fingerprintOf(of.labels),
    labels: of.labels,
    annotations: of.annotations,
    name: of.labels.alertname ?? rule.name,
    severity: severityOf(of.labels),
    state: 'pending',
    since: parseTime(of.activeAt),
    value: Number.isNaN(value) ? null : value,
    receivers: [],
    silencedBy: [],
    inhibitedBy: [],
    mutedBy: [],
    acknowledgedBy: null,
    generatorURL: '',
    rule: { group, rule },
  };
}

export interface Filter {
  readonly matchers: readonly Matcher[];
  /** Empty: all. */
  readonly states: readonly string[];
  readonly severities: readonly string[];
}

/** What is worst and fires first, then the newest. */
export function filtered(alerts: readonly Alert[], { matchers, states, severities }: Filter): Alert[] {
  const fits = matches(matchers);
  return alerts
    .filter(
      (alert) =>
        fits(alert.labels) &&
        (states.length === 0 || states.includes(alert.state)) &&
        (severities.length === 0 || severities.includes(alert.severity)),
    )
    .sort(
      (a, b) =>
        STATES.indexOf(a.state) - STATES.indexOf(b.state) ||
        SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) ||
        b.since - a.since ||
        (a.key < b.key ? -1 : 1),
    );
}

export const GROUPINGS = ['alertname', 'receiver', 'severity'] as const;
export type Grouping = (typeof GROUPINGS)[number];

export interface Section {
  readonly title: string;
  /** Labels that all of it have in common, where a receiver is told of it as one. */
  readonly labels: Labels;
  readonly alerts: readonly Alert[];
}

export function sectionsOf(alerts: readonly Alert[], by: Grouping, groups: readonly AlertGroup[]): Section[] {
  if (by === 'receiver') return byReceiver(alerts, groups);
  const sections = new Map<string, Alert[]>();
  for (const alert of alerts) {
    const title = by === 'severity' ? alert.severity : alert.name;
    const had = sections.get(title);
    if (had) had.push(alert);
    else sections.set(title, [alert]);
  }
  return [...sections].map(([title, alerts]) => ({ title, labels: {}, alerts }));
}

/** As receivers are told: an alert may be in several; what nobody is told of (it is pending) comes last. */
function byReceiver(alerts: readonly Alert[], groups: readonly AlertGroup[]): Section[] {
  const byKey = new Map(alerts.map((alert) => [alert.key, alert]));
  const told = new Set<string>();
  const sections = groups.flatMap(({ labels, receiver, alerts: members }) => {
    const found = members.flatMap((member) => byKey.get(keyOf(member.labels)) ?? []);
    for (const { key } of found) told.add(key);
    return found.length > 0 ? [{ title: receiver.name, labels, alerts: found }] : [];
  });
  const rest = alerts.filter(({ key }) => !told.has(key));
  return rest.length > 0 ? [...sections, { title: 'nobody yet', labels: {}, alerts: rest }] : sections;
}

// Made-up alerts: a few rules, what they find, silences that can be made and ended, and a history that fits. MOCK_ALERTS=5000 adds so many of a storm;
// MOCK_ALERTS=none is an instance without alerting.
import { randomUUID } from 'node:crypto';

const started = Date.now();
const MINUTE = 60_000;
const iso = (ms) => new Date(ms).toISOString();
const storm = Number(process.env.MOCK_ALERTS ?? 0) || 0;
export const hasAlerting = process.env.MOCK_ALERTS !== 'none';

const DISK = `SELECT host_name, mountpoint, max(value) AS value
FROM "disk"
WHERE $range GROUP BY 1, 2 HAVING max(value) > 0.9`;

const hash = (labels) => {
  let value = 0xcbf29ce484222325n;
  const eat = (byte) => {
    value = ((value ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  };
  for (const text of Object.entries(labels).sort().flat()) {
    Buffer.from(text).forEach(eat);
    eat(0xff);
  }
  return value.toString(16).padStart(16, '0');
};

const alert = (rule, labels, minutes, more = {}) => {
  const all = { alertname: rule, ...labels };
  return {
    labels: all,
    fingerprint: hash(all),
    since: started - minutes * MINUTE,
    state: 'firing',
    value: 1,
    annotations: {},
    ...more,
  };
};

const ALERTS = [
  alert('DiskFull', { host_name: 'db-1', mountpoint: '/var', severity: 'critical' }, 23, {
    value: 0.943,
    annotations: {
      summary: '/var of db-1 is 94.3% full',
      description: 'Postgres stops when it is full.\nFree space or grow the volume.',
      runbook_url: 'https://runbooks.example.com/disk-full',
    },
  }),
  alert('DiskFull', { host_name: 'db-2', mountpoint: '/var/lib/postgresql', severity: 'critical' }, 4, {
    value: 0.911,
    annotations: { summary: '/var/lib/postgresql of db-2 is 91.1% full' },
  }),
  alert('CpuBusy', { host_name: 'birch', severity: 'warning' }, 130, {
    value: 0.97,
    acknowledgedBy: 'kim',
    annotations: { summary: 'system.cpu.utilization is 0.97, above 0.85' },
  }),
  alert('CheckoutErrors', { service_name: 'payment', severity: 'page', team: 'shop' }, 2, {
    state: 'pending',
    value: 0.031,
    annotations: { summary: '3.1% of checkouts fail' },
  }),
  alert('HostDown', { host_name: 'web-7', severity: 'critical', region: 'eu-west' }, 61, {
    annotations: { summary: 'web-7 sends nothing' },
  }),
  alert(
    '<img src=x onerror=alert(1)>',
    { 'label "of" hostile\u202Etext': '"><script>alert(1)</script>', severity: 'info' },
    9,
    {
      annotations: { summary: '</bdi><b>bold?</b>', link: 'javascript:alert(1)' },
      outside: true,
    },
  ),
  ...Array.from({ length: storm }, (_, i) =>
    alert(
      'TargetDown',
      { instance: `10.0.${i >> 8}.${i & 255}:9100`, job: 'node', severity: 'warning' },
      3 + (i % 50),
      {
        annotations: { summary: 'does not answer' },
      },
    ),
  ),
];

let silences = [
  {
    id: randomUUID(),
    matchers: [{ name: 'host_name', value: 'web-7', isRegex: false, isEqual: true }],
    startsAt: iso(started - 50 * MINUTE),
    endsAt: iso(started + 3 * 60 * MINUTE),
    updatedAt: iso(started - 50 * MINUTE),
    createdBy: 'kim',
    comment: 'being replaced',
  },
  {
    id: randomUUID(),
    matchers: [
      { name: 'alertname', value: 'Cpu.*', isRegex: true, isEqual: true },
      { name: 'team', value: 'shop', isRegex: false, isEqual: false },
    ],
    startsAt: iso(started + 600 * MINUTE),
    endsAt: iso(started + 720 * MINUTE),
    updatedAt: iso(started),
    createdBy: 'lee',
    comment: 'load test',
  },
  {
    id: randomUUID(),
    matchers: [{ name: 'alertname', value: 'DiskFull', isRegex: false, isEqual: true }],
    startsAt: iso(started - 900 * MINUTE),
    endsAt: iso(started - 600 * MINUTE),
    updatedAt: iso(started - 900 * MINUTE),
    createdBy: 'lee',
    comment: 'known',
  },
];

const silenceState = ({ startsAt, endsAt }) => {
  const now = Date.now();
  return now >= Date.parse(endsAt) ? 'expired' : now >= Date.parse(startsAt) ? 'active' : 'pending';
};
const fits = (matchers, labels) =>
  matchers.every(({ name, value, isRegex, isEqual = true }) => {
    const has = labels[name] ?? '';
    return (isRegex ? new RegExp(`^(?:${value})$`).test(has) : has === value) === isEqual;
  });

function gettable({ labels, annotations, fingerprint, since, acknowledgedBy, outside }) {
  const silencedBy = silences
    .filter((one) => silenceState(one) === 'active' && fits(one.matchers, labels))
    .map(({ id }) => id);
  return {
    labels,
    annotations,
    fingerprint,
    startsAt: iso(since),
    endsAt: iso(Date.now() + 4 * MINUTE),
    updatedAt: iso(Date.now()),
    generatorURL: outside ? 'http://prometheus.example.com/graph?g0.expr=up' : '',
    receivers: [{ name: labels.severity === 'critical' ? 'ops-pager' : 'team-mail' }],
    status: {
      state: silencedBy.length > 0 ? 'suppressed' : 'active',
      silencedBy,
      inhibitedBy: [],
      mutedBy: [],
      ...(acknowledgedBy && { acknowledgedBy }),
    },
  };
}

const rule = (name, query, more = {}) => ({
  type: 'alerting',
  name,
  query,
  duration: 300,
  keepFiringFor: 0,
  labels: { severity: 'critical' },
  annotations: { summary: '{{ $labels.host_name }} is {{ $value }}' },
  alerts: ALERTS.filter(({ labels, outside }) => labels.alertname === name && !outside).map((one) => ({
    labels: one.labels,
    annotations: one.annotations,
    state: one.state,
    activeAt: iso(one.since),
    value: String(one.value),
  })),
  health: 'ok',
  evaluationTime: 0.0042,
  lastEvaluation: iso(Date.now() - 7000),
  ...more,
});
const withState = (one) => ({
  ...one,
  state:
    one.state ??
    (one.alerts.some(({ state }) => state === 'firing') ? 'firing' : one.alerts.length > 0 ? 'pending' : 'inactive'),
});

const groups = () => [
  {
    name: 'hosts',
    file: '/etc/catchment/rules/hosts.yaml',
    interval: 30,
    evaluationTime: 0.0123,
    lastEvaluation: iso(Date.now() - 7000),
    rules: [
      rule('DiskFull', DISK),
      rule('CpuBusy', 'SELECT host_name, avg(value) AS value FROM "cores" WHERE $range GROUP BY host_name', {
        thresholds: [0.85],
        window: 300,
        labels: { severity: 'warning' },
      }),
      rule('HostDown', 'SELECT host_name, 1.0 AS value FROM "broken" WHERE $range'),
    ].map(withState),
  },
  {
    name: 'shop',
    file: '',
    interval: 60,
    evaluationTime: 0.08,
    lastEvaluation: iso(Date.now() - 31_000),
    rules: [
      rule(
        'CheckoutErrors',
        'SELECT service_name, avg(value) AS value FROM "errors" WHERE $range GROUP BY 1 HAVING avg(value) > 0.02',
        {
          labels: { severity: 'page', team: 'shop' },
        },
      ),
      rule('Latency', 'SELECT service_name, valeu FROM "latency" WHERE $range', {
        health: 'err',
        lastError: "column 'valeu' not found; did you mean 'value'?",
      }),
      {
        ...rule('job:errors:rate5m', 'SELECT job, sum(value) AS value FROM "errors" WHERE $range GROUP BY 1'),
        type: 'recording',
      },
      rule('Heartbeat', 'SELECT host_name, count(*) AS value FROM "beat" WHERE $range GROUP BY 1', {
        state: 'no_data',
      }),
    ].map(withState),
  },
];

/** Answers an address of alerts; false: it is none. */
export async function answer(request, pathname, json) {
  if (!hasAlerting) return false;
  const body = async () => {
    let text = '';
    for await (const chunk of request) text += chunk;
    return JSON.parse(text || '{}');
  };
  const firing = ALERTS.filter(({ state }) => state === 'firing').map(gettable);
  if (pathname === '/api/v2/alerts') {
    const open = new URL(request.url, 'http://mock').searchParams.get('silenced') === 'false';
    return json(open ? firing.filter(({ status }) => status.silencedBy.length === 0) : firing);
  }
  if (pathname === '/api/v2/alerts/groups') {
    const of = new Map();
    for (const one of firing) {
      const key = `${one.receivers[0].name} ${one.labels.alertname}`;
      const had = of.get(key) ?? {
        labels: { alertname: one.labels.alertname },
        receiver: one.receivers[0],
        alerts: [],
      };
      had.alerts.push(one);
      of.set(key, had);
    }
    return json([...of.values()]);
  }
  if (pathname === '/api/v1/rules') return json({ status: 'success', data: { groups: groups() } });
  if (pathname === '/api/v2/silences' && request.method === 'POST') {
    const made = await body();
    if (made.comment === 'refuse') return json('silence invalid: refused for a try', 400);
    const id = made.id || randomUUID();
    silences = [...silences.filter((one) => one.id !== id), { ...made, id, updatedAt: iso(Date.now()) }];
    return json({ silenceID: id });
  }
  if (pathname === '/api/v2/silences')
    return json(silences.map((one) => ({ ...one, status: { state: silenceState(one) } })));
  if (pathname.startsWith('/api/v2/silence/') && request.method === 'DELETE') {
    const id = pathname.split('/').at(-1);
    silences = silences.map((one) => (one.id === id ? { ...one, endsAt: iso(Date.now()) } : one));
    return json({});
  }
  if (pathname === '/api/v1/alerts/acknowledge') {
    const { matchers, by } = await body();
    for (const one of ALERTS) if (fits(matchers, one.labels)) one.acknowledgedBy = by;
    return json({ status: 'success' });
  }
  return false;
}

/** The history of the table `alerts`, in the columns that the page asks for. */
export function history({ from, to, sql }) {
  const columns = { ts: [], change: [], fingerprint: [], attributes: [], starts: [] };
  const add = (one, at, change, starts) => {
    if (at < from || at > Math.min(to, Date.now()) || !(sql ?? '').includes('fingerprint')) return;
    const only = /'alert\.fingerprint'\) = '(\w+)'/.exec(sql)?.[1];
    if (only && only !== one.fingerprint) return;
    columns.ts.push(at);
    columns.change.push(change);
    columns.fingerprint.push(one.fingerprint);
    columns.attributes.push(
      JSON.stringify({
        ...one.labels,
        'alert.change': change,
        'alert.fingerprint': one.fingerprint,
        'alert.value': one.value,
      }),
    );
    columns.starts.push(iso(starts));
  };
  ALERTS.forEach((one, i) => {
    // It came and went before.
    for (let n = 1; n <= 2 + (i % 3); n++) {
      const at = one.since - n * (7 + (i % 5) * 3) * MINUTE;
      add(one, at, 'pending', at);
      if ((i + n) % 4 === 0) {
        add(one, at + 2 * MINUTE, 'withdrawn', at);
        continue;
      }
      add(one, at + 90_000, 'firing', at + 90_000);
      add(one, at + 5 * MINUTE, 'resolved', at + 90_000);
    }
    if (one.state === 'pending') {
      add(one, one.since, 'pending', one.since);
      return;
    }
    add(one, one.since - 2 * MINUTE, 'pending', one.since - 2 * MINUTE);
    add(one, one.since, 'firing', one.since);
    if (one.acknowledgedBy) add(one, one.since + 20 * MINUTE, 'acknowledged', one.since);
    add(one, Date.now() - 20_000, 'still_firing', one.since);
  });
  return columns;
}

/** What a rule's query gave at the points that a statement asks for; null for a metric that there is not. */
export function values(sql) {
  const metric = /FROM\s+"(\w+)"/.exec(sql)?.[1];
  const points = [...sql.matchAll(/TIMESTAMP '([^']+)' AS "evaluated"/g)].map(([, at]) => Date.parse(at));
  if (points.length === 0 || metric === 'broken') return null;
  const columns = { evaluated: [], host_name: [], mountpoint: [], value: [] };
  for (const at of points) {
    for (const [host, mountpoint, base] of [
      ['db-1', '/var', 0.9],
      ['db-2', '/var/lib/postgresql', 0.86],
      ['birch', '', 0.86],
    ]) {
      columns.evaluated.push(at);
      columns.host_name.push(host);
      columns.mountpoint.push(mountpoint);
      columns.value.push(base + 0.06 * Math.sin(at / (4 * MINUTE) + base * 70) + 0.01 * Math.sin(at / 20_000));
    }
  }
  return columns;
}

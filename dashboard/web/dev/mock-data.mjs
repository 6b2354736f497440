// Made-up metrics: smooth noise of the time, the same for the same time.
const mix = (x) => {
  let h = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return ((h ^ (h >>> 15)) >>> 0) / 2 ** 32;
};
const noise = (seed, t, scale) => {
  const at = t / scale;
  const i = Math.floor(at);
  const f = at - i;
  const s = f * f * (3 - 2 * f);
  return mix(i * 7919 + seed * 104729) * (1 - s) + mix((i + 1) * 7919 + seed * 104729) * s;
};
const wave = (seed, t) =>
  0.5 * noise(seed, t, 240_000) + 0.3 * noise(seed + 1, t, 45_000) + 0.2 * noise(seed + 2, t, 7_000);

/** Rows of series: label columns, and a function of seed and time for the value. */
function series(labels, value) {
  return ({ from, to, step }) => {
    const columns = { t: [], ...Object.fromEntries(Object.keys(labels[0]).map((name) => [name, []])), value: [] };
    for (let t = from; t < to; t += step) {
      labels.forEach((label, i) => {
        const v = value(i, t, label);
        if (v === undefined) return;
        columns.t.push(t);
        for (const [name, text] of Object.entries(label)) columns[name].push(text);
        columns.value.push(v);
      });
    }
    return columns;
  };
}
const list = (name, values) => values.map((value) => ({ [name]: value }));
const GiB = 1024 ** 3;
const hostile = [
  '<img src=x onerror=alert(1)>',
  '../../etc/passwd',
  `${'very-long-name-'.repeat(40)}`,
  '\u202Eright to left \u05E9\u05DC\u05D5\u05DD',
  'plain',
];
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, Number.POSITIVE_INFINITY];

export const generators = {
  cpu: ({ from, to, step }) => {
    const columns = { t: [], state: [], value: [] };
    for (let t = from; t < to; t += step) {
      const user = 0.15 + 0.45 * wave(1, t);
      const system = 0.05 + 0.12 * wave(5, t);
      const wait = Math.max(0, wave(9, t) - 0.6) * 0.4;
      for (const [state, value] of [
        ['user', user],
        ['system', system],
        ['wait', wait],
        ['steal', 0.002],
        ['idle', 1 - user - system - wait - 0.002],
      ]) {
        columns.t.push(t);
        columns.state.push(state);
        columns.value.push(value);
      }
    }
    return columns;
  },
  busy: series([{}], (_, t) => 0.25 + 0.6 * wave(1, t)),
  cores: series(
    list(
      'cpu',
      Array.from({ length: 8 }, (_, i) => `cpu${i}`),
    ),
    (i, t) => Math.min(1, 0.1 + 0.9 * wave(i * 10 + 3, t)),
  ),
  load: series(
    [{ name: '1m' }, { name: '5m' }, { name: '15m' }],
    (i, t) => 1 + 3 * noise(77, t, [60_000, 300_000, 900_000][i]),
  ),
  memory: series(
    list('state', ['used', 'cached', 'buffered', 'free']),
    (i, t) => [9 + 2 * wave(21, t), 5 + wave(23, t), 0.7, 1.5][i] * GiB,
  ),
  memshare: series([{}], (_, t) => 0.86 + 0.06 * wave(21, t)),
  diskshare: series([{}], () => 0.62),
  uptime: series([{}], (_, t) => (t - 1.79e12) / 1000),
  disk: series(
    [
      { device: 'nvme0n1', direction: 'read' },
      { device: 'nvme0n1', direction: 'write' },
      { device: 'sda', direction: 'read' },
    ],
    (i, t) => wave(40 + i * 4, t) ** 3 * 180e6,
  ),
  network: series(
    [
      { device: 'eth0', direction: 'receive' },
      { device: 'eth0', direction: 'transmit' },
    ],
    (i, t) => (t % 1_200_000 < 120_000 ? undefined : wave(60 + i * 4, t) ** 2 * 40e6),
  ),
  connections: series(
    list('state', ['ESTABLISHED', 'TIME_WAIT', 'LISTEN', 'CLOSE_WAIT']),
    (i, t) => [140 + 90 * wave(70, t), 60 * wave(74, t), 22, 3][i],
  ),
  requests: series(
    list('route', [
      '/',
      '/cart',
      '/checkout',
      '/api/items',
      '/api/items/{id}',
      '/login',
      '/healthz',
      '/static',
      '/admin',
    ]),
    (i, t) => (30 / (i + 1)) * (0.6 + wave(80 + i, t)),
  ),
  errors: series(list('status', ['500', '502', '503']), (i, t) => Math.max(0, wave(90 + i * 3, t) - 0.55) * 4),
  latency: series(
    [{ q: 'p50' }, { q: 'p95' }, { q: 'p99' }],
    (i, t) => [0.02, 0.11, 0.34][i] * (0.7 + wave(100 + i, t)),
  ),
  hostile: series(list('name', hostile), (i, t) => 10 * wave(110 + i, t)),
  histogram: ({ from, to, step }) => {
    const columns = { t: [], le: [], value: [] };
    for (let t = from; t < to; t += step) {
      const peak = 3 + 3 * wave(120, t);
      BOUNDS.forEach((le, i) => {
        columns.t.push(t);
        columns.le.push(le);
        columns.value.push(Math.round(400 * Math.exp(-((i - peak) ** 2) / 3) * (0.5 + wave(123, t))));
      });
    }
    return columns;
  },
  hosts: () => ({ host: ['alder', 'birch', 'cedar', 'a-host-with-a-rather-long-name.eu-central-1.compute.internal'] }),
  processes: ({ to }) => {
    const names = ['postgres', 'catchment', 'node', 'java', 'nginx', 'redis-server', 'systemd', 'dockerd', ...hostile];
    return {
      program: names,
      pid: names.map((_, i) => String(400 + i * 37)),
      owner: names.map((_, i) => (i % 3 ? 'root' : 'www-data')),
      cores: names.map((_, i) => wave(200 + i, Math.floor(to / 5000) * 5000) * (2 / (i + 1))),
      memory: names.map((_, i) => wave(230 + i, Math.floor(to / 5000) * 5000) * 2e9),
      series_id: names.map((_, i) => 9_007_199_254_740_993n + BigInt(i) * 1_000_003n),
    };
  },
  shares: () => ({ service: ['web', 'api', 'worker', 'billing', 'search'], value: [420, 310, 120, 64, 12] }),
  empty: () => ({ t: [], value: [] }),
};
for (let i = 0; i < 12; i++) {
  generators[`many${i}`] = series(
    list('name', [`series ${i}`, `other ${i}`]),
    (j, t) => 50 + 50 * wave(300 + i * 2 + j, t),
  );
}

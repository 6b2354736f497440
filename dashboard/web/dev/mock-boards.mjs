// Boards of the stand-in: a host, services, every chart kind and state, and twelve charts of 3,600 points.
const panel = (title, chart, from, rest = {}) => ({
  title,
  chart,
  query: {
    sql: `SELECT date_bin($step, ts) AS t, value FROM "${from}" WHERE $range AND host IN $host`,
    mode: rest.mode ?? 'series',
    min_step: rest.step,
  },
  span: 6,
  ...rest,
});
const host = { name: 'host', label: 'Host', query: 'SELECT DISTINCT host FROM hosts', multi: true };
const levels = [
  { value: 0.8, level: 'warning' },
  { value: 0.95, level: 'critical' },
];

export const boards = [
  {
    id: 'host',
    title: 'Host',
    description: 'This machine, and every host that reports here',
    icon: 'host',
    variables: [host],
    sections: [
      {
        title: 'Now',
        panels: [
          panel('CPU', 'gauge', 'busy', { unit: '1', percent: true, min: 0, max: 1, span: 2, thresholds: levels }),
          panel('Memory', 'gauge', 'memshare', {
            unit: '1',
            percent: true,
            min: 0,
            max: 1,
            span: 2,
            thresholds: levels,
          }),
          panel('Fullest file system', 'gauge', 'diskshare', {
            unit: '1',
            percent: true,
            min: 0,
            max: 1,
            span: 2,
            thresholds: levels,
          }),
          panel('Load', 'stat', 'busy', { span: 2 }),
          panel('Network', 'stat', 'network', { unit: 'By/s', span: 2, series: '{direction}' }),
          panel('Up for', 'stat', 'uptime', { unit: 's', span: 2 }),
        ],
      },
      {
        title: 'CPU and memory',
        panels: [
          panel('CPU by state', 'stacked', 'cpu', {
            description: "Share of all cores' time",
            unit: '1',
            percent: true,
            min: 0,
            max: 1,
            series: '{state}',
            colors: { idle: 'muted', user: 'blue', system: 'orange', wait: 'red' },
            legend: ['min', 'mean', 'max', 'last'],
            height: 'l',
          }),
          panel('Busy by core', 'line', 'cores', {
            unit: '1',
            percent: true,
            min: 0,
            max: 1,
            legend: ['mean', 'max', 'last'],
            thresholds: levels,
            height: 'l',
          }),
          panel('Load', 'line', 'load', { description: 'Threads that run or wait' }),
          panel('Memory', 'stacked', 'memory', { unit: 'By', colors: { free: 'muted' }, legend: ['mean', 'last'] }),
        ],
      },
      {
        title: 'Disk and network',
        panels: [
          panel('Disk throughput', 'line', 'disk', { unit: 'By/s', legend: ['max', 'last'] }),
          panel('Network throughput', 'area', 'network', { unit: 'By/s', legend: ['max', 'last'] }),
          panel('Connections', 'bar', 'connections', { span: 12, unit: '{connection}' }),
        ],
      },
      {
        title: 'Processes',
        panels: [
          panel('Top processes', 'table', 'processes', {
            span: 12,
            mode: 'table',
            columns: { memory: { unit: 'By' } },
            height: 'l',
            links: { column: 'program', to: '/logs?q={program}' },
          }),
        ],
      },
    ],
  },
  {
    id: 'services',
    title: 'Services',
    icon: 'services',
    description: 'Every service that sends requests',
    variables: [{ name: 'host', label: 'Service', query: 'SELECT DISTINCT host FROM hosts' }],
    sections: [
      {
        title: 'Requests',
        panels: [
          panel('Requests', 'stacked', 'requests', {
            unit: '{request}/s',
            legend: ['mean', 'max', 'last'],
            height: 'l',
          }),
          panel('Failures', 'bar', 'errors', { unit: '{request}/s', colors: { 500: 'red' }, height: 'l' }),
          panel('Duration', 'line', 'latency', {
            unit: 's',
            legend: ['mean', 'max', 'last'],
            thresholds: [{ value: 0.3, level: 'warning' }],
          }),
          panel('Durations', 'heatmap', 'histogram', { unit: 's' }),
          panel('Share of requests', 'pie', 'shares', { mode: 'table', unit: '{request}' }),
          panel('Requests by service', 'bar', 'shares', { mode: 'table', unit: '{request}' }),
        ],
      },
    ],
  },
  {
    id: 'states',
    title: 'States',
    sections: [
      {
        title: 'What a panel can say',
        panels: [
          panel('Broken', 'line', 'broken', { span: 4 }),
          panel('No data yet', 'line', 'nothing', { span: 4 }),
          panel('Nothing in this range', 'line', 'empty', { span: 4 }),
          panel('Loading', 'line', 'slow', { span: 4 }),
          panel('Loading a table', 'table', 'slow', { span: 4, mode: 'table' }),
          panel('Loading a value', 'stat', 'slow', { span: 4, height: 'm' }),
          panel('Hostile names', 'line', 'hostile', { legend: ['last'] }),
          panel('Hostile names in a table', 'table', 'processes', { mode: 'table' }),
        ].map((one) => ({ ...one, query: { ...one.query, sql: one.query.sql.replace(' AND host IN $host', '') } })),
      },
    ],
  },
  {
    id: 'many',
    title: 'Twelve charts',
    sections: [
      {
        title: 'Of 3,600 points',
        panels: Array.from({ length: 12 }, (_, i) =>
          panel(`Chart ${i + 1}`, i % 3 ? 'line' : 'area', `many${i}`, { span: 4, legend: ['last'] }),
        ).map((one) => ({ ...one, query: { ...one.query, sql: one.query.sql.replace(' AND host IN $host', '') } })),
      },
    ],
  },
];

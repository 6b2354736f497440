// A stand-in for Catchment while pages are worked on: `npm run mock`, then `CATCHMENT_URL=http://localhost:8081 npm run dev`, or
// http://localhost:8081 for what is built in dist/. It speaks /api/v1/live and serves boards with made-up metrics that depend on
// nothing but the time: asked twice, it says the same. `MOCK_STEP=1000` says how often data arrives (ms); `MOCK_FINE=1` gives a point a second, however
// many that are.
import { createReadStream, existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { dictionary, float64, int64, TimeUnit, tableFromArrays, tableToIPC, timestamp, utf8 } from '@uwdata/flechette';
import { WebSocketServer } from 'ws';
import { answer, hasAlerting, history, values } from './mock-alerts.mjs';
import { boards } from './mock-boards.mjs';
import { generators } from './mock-data.mjs';
import { snapshot } from './mock-status.mjs';

const PORT = Number(process.env.MOCK_PORT ?? 8081);
const TICK = Number(process.env.MOCK_STEP ?? 1000);
const LOG = 'mock-log';
const LADDER = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400].map(
  (s) => s * 1000,
);
const DURATIONS = { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };

const duration = (text) =>
  [...text.matchAll(/(\d+)([smhdw])/g)].reduce((sum, [, n, unit]) => sum + Number(n) * DURATIONS[unit], 0);

const source = (sql) => /FROM\s+"?([\w.]+)"?/i.exec(sql)?.[1] ?? '';

function windowOf(range) {
  if (range.last) {
    const to = Date.now();
    return { from: to - duration(range.last), to };
  }
  return { from: Date.parse(range.from), to: Date.parse(range.to) };
}

/** Rows of a query between two times, as named arrays. */
function rows(query, from, to, step, vars) {
  if (source(query.sql) === 'alerts') return hasAlerting ? history({ from, to, sql: query.sql }) : null;
  const make = generators[source(query.sql)];
  if (!make) return null;
  return make({ from: Math.ceil(from / step) * step, to: Math.min(to, Date.now()), step, vars: vars ?? {} });
}

const time = timestamp(TimeUnit.MICROSECOND, 'UTC');
const TYPES = { t: time, ts: time, evaluated: time, value: float64(), series_id: int64() };

function encode(columns) {
  const types = {};
  const data = {};
  for (const [name, values] of Object.entries(columns)) {
    const sample = values.find((value) => value !== null && value !== undefined);
    types[name] =
      TYPES[name] ??
      (Array.isArray(sample) || typeof sample === 'object'
        ? undefined
        : typeof sample === 'number'
          ? float64()
          : dictionary(utf8()));
    data[name] = values;
    if (types[name] === undefined) delete types[name];
  }
  return tableToIPC(tableFromArrays(data, { types }), { format: 'stream' });
}

function frame(header, columns) {
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  return Buffer.concat([length, json, encode(columns)]);
}

const MEDIA = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const dist = new URL('../dist/', import.meta.url).pathname;
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'";

const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, 'http://mock');
  const json = (body, status = 200) => {
    response.writeHead(status, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(body));
  };
  if (pathname === '/api/v1/pipeline') return json(snapshot());
  if ((await answer(request, pathname, json)) !== false) return;
  if (pathname === '/api/v1/query') {
    let text = '';
    for await (const chunk of request) text += chunk;
    const columns = values(JSON.parse(text).sql);
    if (!columns) return json({ error: { kind: 'bad_sql', message: 'the stand-in has no such metric' } }, 400);
    response.writeHead(200, { 'Content-Type': 'application/vnd.apache.arrow.stream' });
    return response.end(encode(columns));
  }
  if (pathname === '/api/v1/boards')
    return json({ boards: boards.map(({ id, title, description, icon }) => ({ id, title, description, icon })) });
  if (pathname.startsWith('/api/v1/boards/')) {
    const board = boards.find(({ id }) => id === pathname.split('/').at(-1));
    return board ? json(board) : json({ error: { kind: 'not_found', message: 'no board has this id' } }, 404);
  }
  if (pathname.startsWith('/api/'))
    return json({ error: { kind: 'not_found', message: 'the stand-in has no such address' } }, 404);
  const file = join(dist, pathname);
  const path = extname(pathname) && existsSync(file) ? file : join(dist, 'index.html');
  response.writeHead(200, {
    'Content-Type': MEDIA[extname(path)] ?? 'application/octet-stream',
    'Content-Security-Policy': CSP,
  });
  createReadStream(path).pipe(response);
});

let streams = 0;
new WebSocketServer({ server, path: '/api/v1/live' }).on('connection', (socket) => {
  const timers = new Map();
  const send = (message) => socket.send(JSON.stringify(message));
  send({ op: 'hello', version: '0.1.0', log: LOG });
  socket.on('message', (text) => {
    const message = JSON.parse(text);
    if (message.op === 'unsubscribe') {
      clearInterval(timers.get(message.id));
      timers.delete(message.id);
      return;
    }
    if (message.status) {
      const tell = () => send({ op: 'status', id: message.id, snapshot: snapshot() });
      tell();
      timers.set(message.id, setInterval(tell, 1000));
      return;
    }
    const { id, query, range, width, resume, limit } = message;
    const span = windowOf(range);
    const least = query.min_step ? duration(query.min_step) : 1000;
    const step = process.env.MOCK_FINE
      ? 1000
      : (LADDER.find((candidate) => candidate >= least && (span.to - span.from) / candidate <= width) ?? LADDER.at(-1));
    const problem =
      source(query.sql) === 'broken'
        ? {
            kind: 'bad_sql',
            message: "column 'valeu' not found; did you mean 'value'?",
            position: { line: 1, column: 8 },
          }
        : source(query.sql) === 'nothing'
          ? { kind: 'no_data_yet', message: 'no metric has this name yet' }
          : null;
    if (problem) return send({ op: 'error', id, error: problem });
    if (source(query.sql) === 'slow') return;
    const stream = ++streams;
    send({ op: 'subscribed', id, stream, step_ms: step });
    const answer = (since) => {
      const { from, to } = windowOf(range);
      const table = query.mode === 'table';
      const start = since === null || table ? from : since;
      const columns = rows(query, start, to, step, query.vars);
      if (columns === null)
        return send({ op: 'error', id, error: { kind: 'no_data_yet', message: 'no metric has this name yet' } });
      if (limit) for (const name of Object.keys(columns)) columns[name] = columns[name].slice(-limit);
      socket.send(
        frame(
          {
            stream,
            replace_from: since === null || table ? null : start,
            from,
            to,
            step_ms: step,
            position: String(to),
            truncated: false,
          },
          columns,
        ),
      );
    };
    const resumed = resume && resume.log === LOG && resume.step_ms === step;
    answer(resumed ? Math.floor(resume.to / step) * step - step : null);
    if (!range.last) return;
    timers.set(
      id,
      setInterval(
        () => answer(Math.floor((Date.now() - TICK) / step) * step),
        query.mode === 'table' ? 5000 : Math.max(TICK, Math.min(step, 10_000)),
      ),
    );
  });
  socket.on('close', () => {
    for (const timer of timers.values()) clearInterval(timer);
  });
});

server.listen(PORT, '127.0.0.1', () => console.log(`http://localhost:${PORT}`));

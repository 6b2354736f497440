// The server is killed and started again under an open page: it comes back by itself, and its chart has each point once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { panel, panelRows, visit } from './lib/app.mjs';
import { gauge, sendUntilAcknowledged } from './lib/otlp.mjs';
import { fed, withPage } from './lib/session.mjs';
import { until } from './lib/wait.mjs';

/** A second holds no more than two: of three the server would leave the middle one out. */
const EVERY = 520;

/** Counts up, one point after another, each again until it is acknowledged. */
function counting(otlp) {
  let stopped = false;
  const points = [];
  let retries = 0;
  const running = (async () => {
    for (let v = 1; !stopped; v++) {
      const point = { t: Date.now(), v };
      points.push(point);
      retries += await sendUntilAcknowledged(otlp, 'metrics', [gauge('page.ledger', [point])]);
      await new Promise((done) => setTimeout(done, Math.max(0, point.t + EVERY - Date.now())));
    }
  })();
  return {
    points,
    get retries() {
      return retries;
    },
    stop: async () => {
      stopped = true;
      await running;
    },
  };
}

/** Headers of the frames that the page was sent since the last look. */
function frames(page) {
  const seen = [];
  page.on('websocket', (socket) => {
    seen.push({ opened: true });
    socket.on('framereceived', ({ payload }) => {
      if (typeof payload !== 'string') {
        const length = payload.readUInt32LE(0);
        seen.push({ header: JSON.parse(payload.subarray(4, 4 + length)) });
      } else if (payload.includes('"subscribed"')) seen.push({ subscribed: JSON.parse(payload) });
    });
  });
  return seen;
}

test('killed twice, the page recovers by itself, without a gap or a doubled point', async () => {
  const server = await fed();
  const sender = counting(server.otlp);
  await withPage({}, async (page) => {
    page.expectProblem(/WebSocket|ERR_CONNECTION|Failed to (fetch|load)/);
    const seen = frames(page);
    const from = new Date(Date.now() - 60_000).toISOString();
    await visit(page, '/boards/ledger?from=now-5m&to=now');
    await until('the first points', async () => (await panelRows(page, 'Points')).length > 5);

    for (let round = 1; round <= 2; round++) {
      const sockets = seen.filter(({ opened }) => opened).length;
      await server.kill();
      await page.getByText(/Not connected/).first().waitFor();
      await panel(page, 'Points').getByText('not connected, last data shown').waitFor({ state: 'attached' });
      assert((await panelRows(page, 'Points')).length > 5, 'what was shown stays');
      const before = sender.points.length;
      await server.start();
      await page.getByText('Connected', { exact: true }).first().waitFor();
      await until('another socket', () => seen.filter(({ opened }) => opened).length > sockets);
      await until('points from after the restart', async () => {
        const rows = await panelRows(page, 'Points');
        return Number(rows.at(-1).value) > before + 5;
      });
      // It went on from what it held: it was not sent everything again.
      const again = seen.slice(seen.findLastIndex(({ opened }) => opened)).flatMap(({ header }) => header ?? []);
      assert(again.length > 0 && again.every((header) => header.replace_from !== null), JSON.stringify(again.slice(0, 4)));
    }
    assert(sender.retries > 0, 'the sender had to try again');
    await sender.stop();

    const last = sender.points.at(-1);
    const rows = await until('the last point', async () => {
      const rows = await panelRows(page, 'Points');
      return Number(rows.at(-1).value) === last.v && rows;
    });
    const shown = rows.map(({ t, value }) => [Date.parse(t), Number(value)]);
    assert.deepEqual(shown.map(([, value]) => value), sender.points.map(({ v }) => v), 'each counted point once, in order');
    const sql = await server.sql(
      `SELECT CAST(date_part('epoch', ts) * 1000 AS BIGINT), value FROM "page.ledger" WHERE ts >= TIMESTAMP '${from}' ORDER BY ts`,
    );
    assert.deepEqual(shown, sql.map(([t, value]) => [Number(t), Number(value)]), 'what SQL says');
    const seconds = await panelRows(page, 'A second');
    assert.equal(seconds.reduce((sum, { value }) => sum + Number(value), 0), last.v, 'the bars count each point once');
    const first = await server.sql('SELECT count(*) FROM "page.ledger"');
    assert.equal(Number(first[0][0]), last.v);
  }).finally(() => sender.stop());
});

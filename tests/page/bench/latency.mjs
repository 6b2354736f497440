// Acknowledged -> drawn: a point each second over OTLP/HTTP; the time from its acknowledgement to the frame of the screen after
// the chart has drawn it. `node tests/page/bench/latency.mjs`; POINTS (120), BOARDS=host adds a page with the Host board open.
import { visit } from '../lib/app.mjs';
import { gauge, send } from '../lib/otlp.mjs';
import { measuredPage, ms, now, open, pause, quantile, setting } from './lib.mjs';

const { server, browser, close } = await open();
const point = (t, v) => send(server.otlp, 'metrics', [gauge('bench.point', [{ t, v }])]);
await point(Date.now() - 1000, 0);
const page = await measuredPage(browser, server.url);
await visit(page, '/boards/one?from=now-5m&to=now');
await page.waitForFunction(() => globalThis.drawn.first > 0);
if (process.env.BOARDS) {
  const other = await measuredPage(browser, server.url);
  await visit(other, `/boards/${process.env.BOARDS}`);
  await page.bringToFront();
}

const count = setting('POINTS', 120);
const acknowledged = [];
for (let n = 1; n <= count; n++) {
  const began = now();
  const t = Date.now();
  await point(t, n);
  acknowledged.push({ t, at: now() });
  await pause(1000 - (now() - began));
}
await page.waitForFunction((last) => globalThis.drawn.times.at(-1).newest >= last, acknowledged.at(-1).t);
const drawn = await page.evaluate(() => globalThis.drawn.times);
const delays = acknowledged.map(({ t, at }) => drawn.find(({ newest }) => newest >= t).at - at);
console.log(
  `acknowledged -> drawn, ${count} points, one a second: ${ms(quantile(delays, 0.5))} at the median, ${ms(quantile(delays, 0.99))} at p99, ${ms(Math.max(...delays))} at most`,
);
await close();

// The heap over an hour of updates, one a second, pressed into less: twelve live charts, RATE (10) updates a second until UPDATES
// (3600) were sent, the heap taken after a collection every 200. `node tests/page/bench/heap.mjs`
import { visit } from '../lib/app.mjs';
import { until } from '../lib/wait.mjs';
import { measuredPage, open, setting } from './lib.mjs';
import { feedTwelve, fillTwelve } from './twelve.mjs';

const { server, browser, close } = await open();
await fillTwelve(server.otlp);
const page = await measuredPage(browser, server.url, { viewport: { width: 1600, height: 1500 } });
// The bench's own notes would grow.
await page.addInitScript(() => {
  globalThis.catchmentDrawn = () => {
    globalThis.drawings = (globalThis.drawings ?? 0) + 1;
  };
});
await visit(page, '/boards/twelve?from=now-1m&to=now');
const session = await page.context().newCDPSession(page);
await session.send('HeapProfiler.enable');

async function heap() {
  for (let i = 0; i < 3; i++) await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  const { nodes } = await session.send('Memory.getDOMCounters');
  return { bytes: usedSize, nodes };
}

const updates = setting('UPDATES', 3600);
const every = Math.max(1, Math.floor(updates / 18));
const feed = feedTwelve(server.otlp, setting('RATE', 10));
const samples = [];
for (let next = every; next <= updates; next += every) {
  await until(`${next} updates`, () => feed.sent >= next, 600_000);
  const taken = { updates: feed.sent, ...(await heap()) };
  samples.push(taken);
  console.log(`${taken.updates} updates: ${(taken.bytes / 2 ** 20).toFixed(2)} MiB, ${taken.nodes} nodes`);
}
await feed.stop();

// The first third fills the window and warms the compiler.
const later = samples.slice(Math.floor(samples.length / 3));
const mean = (pick) => later.reduce((sum, sample) => sum + pick(sample), 0) / later.length;
const [x, y] = [mean((sample) => sample.updates), mean((sample) => sample.bytes)];
const slope = later.reduce((sum, s) => sum + (s.updates - x) * (s.bytes - y), 0) / later.reduce((sum, s) => sum + (s.updates - x) ** 2, 0);
console.log(
  `heap ${(y / 2 ** 20).toFixed(1)} MiB; slope ${((slope * 3600) / 2 ** 20).toFixed(2)} MiB in an hour of updates; ${await page.evaluate(() => globalThis.drawings)} drawings`,
);
await close();

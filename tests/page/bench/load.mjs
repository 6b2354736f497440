// Page load: from navigation to the first chart that has drawn points, cold (nothing cached) and warm, on the Host board with
// five minutes of this machine's data. `node tests/page/bench/load.mjs`; RUNS (10).
import { measuredPage, ms, open, pause, quantile, setting } from './lib.mjs';

const { server, browser, close } = await open();
await pause(setting('WARM_SECONDS', 20) * 1000);

async function load(page) {
  await page.goto('/', { waitUntil: 'commit' });
  await page.waitForFunction(() => globalThis.drawn?.first > 0);
  return page.evaluate(() => ({
    first: globalThis.drawn.first - performance.timeOrigin,
    paint: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.NaN,
  }));
}

const runs = setting('RUNS', 10);
const cold = [];
const warm = [];
for (let run = 0; run < runs; run++) {
  const page = await measuredPage(browser, server.url);
  cold.push(await load(page));
  await page.goto('about:blank');
  warm.push(await load(page));
  await page.context().close();
}
for (const [name, all] of [
  ['cold', cold],
  ['warm', warm],
]) {
  const first = all.map(({ first }) => first);
  const paint = all.map(({ paint }) => paint);
  console.log(
    `${name}: first chart drawn after ${ms(quantile(first, 0.5))} at the median, ${ms(Math.max(...first))} at most of ${runs}; first paint ${ms(quantile(paint, 0.5))}`,
  );
}
await close();

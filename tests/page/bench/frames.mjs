// Twelve charts of 3,600 points: frames a second and the processor's time, live with data each second, and while they are panned
// by a pointer that does not rest. `node tests/page/bench/frames.mjs`; SECONDS (20) of each.
import { visit } from '../lib/app.mjs';
import { measuredPage, open, pause, quantile, setting } from './lib.mjs';
import { CHARTS, feedTwelve, fillTwelve } from './twelve.mjs';

const { server, browser, close } = await open();
await fillTwelve(server.otlp);
const feed = feedTwelve(server.otlp);
// All twelve are on the screen.
const page = await measuredPage(browser, server.url, { viewport: { width: 1600, height: 1500 } });
await visit(page, '/boards/twelve?from=now-15m&to=now');
await page.waitForFunction((count) => document.querySelectorAll('.panel canvas').length === count, CHARTS);
await pause(3000);

const inBrowser = await browser.newBrowserCDPSession();
const inPage = await page.context().newCDPSession(page);
await inPage.send('Performance.enable');

/** Seconds of processor time: the page's process, and all of the browser's. */
async function cpu() {
  const { processInfo } = await inBrowser.send('SystemInfo.getProcessInfo');
  const { metrics } = await inPage.send('Performance.getMetrics');
  const metric = (name) => metrics.find((one) => one.name === name).value;
  return {
    // One page only: the busiest renderer is its.
    renderer: Math.max(...processInfo.filter(({ type }) => type === 'renderer').map(({ cpuTime }) => cpuTime)),
    all: processInfo.reduce((sum, { cpuTime }) => sum + cpuTime, 0),
    script: metric('ScriptDuration'),
    task: metric('TaskDuration'),
  };
}

const startFrames = () =>
  page.evaluate(() => {
    globalThis.frameTimes = [];
    let last = performance.now();
    const each = (at) => {
      globalThis.frameTimes.push(at - last);
      last = at;
      globalThis.frameLoop = requestAnimationFrame(each);
    };
    globalThis.frameLoop = requestAnimationFrame((at) => {
      last = at;
      globalThis.frameLoop = requestAnimationFrame(each);
    });
  });
const endFrames = () =>
  page.evaluate(() => {
    cancelAnimationFrame(globalThis.frameLoop);
    return globalThis.frameTimes;
  });

const seconds = setting('SECONDS', 20);
function report(name, before, after, frames) {
  const share = (part) => `${(((after[part] - before[part]) / seconds) * 100).toFixed(0)}%`;
  const rate = frames ? `${(frames.length / (frames.reduce((a, b) => a + b) / 1000)).toFixed(1)} frames/s, p95 ${quantile(frames, 0.95).toFixed(1)} ms, worst ${Math.max(...frames).toFixed(0)} ms; ` : '';
  console.log(`${name}: ${rate}renderer ${share('renderer')} of one core (main thread ${share('task')}, script ${share('script')}), browser in all ${share('all')}`);
}

// Live without a loop of ours: what the page costs by itself.
let before = await cpu();
await pause(seconds * 1000);
report('live, a point a second', before, await cpu());

await startFrames();
before = await cpu();
await pause(seconds * 1000);
report('live, frames counted', before, await cpu(), await endFrames());

const box = await page.locator('.panel .u-over').first().boundingBox();
await page.keyboard.down('Shift');
await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
await page.mouse.down();
await startFrames();
before = await cpu();
const end = performance.now() + seconds * 1000;
for (let n = 0; performance.now() < end; n++) {
  await page.mouse.move(box.x + box.width * (0.5 + 0.4 * Math.sin(n / 25)), box.y + box.height / 2);
  await pause(8);
}
report('panned without rest', before, await cpu(), await endFrames());
await page.mouse.up();
await page.keyboard.up('Shift');

await feed.stop();
await close();

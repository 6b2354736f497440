// Pictures of every board and page in light, dark and a phone's width, from the real binary with the shop feeding it:
// `node tests/page/screenshots.mjs OUT_DIR [part of a name ...]`. WARM is for how many seconds the shop runs before (120), LOOKS a
// choice of light,dark,phone. PAGE_URL and PAGE_OTLP name a server that runs already, with a shop of its own.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { choose, panel, scrollThrough, settled, visit } from './lib/app.mjs';
import { launch, newPage } from './lib/browser.mjs';
import { gauge, send } from './lib/otlp.mjs';
import { REPO } from './lib/parts.mjs';
import { sendSamples } from './lib/samples.mjs';
import { Server } from './lib/server.mjs';
import { openShop } from './lib/shop.mjs';
import { until } from './lib/wait.mjs';

const [out, ...wanted] = process.argv.slice(2);
if (!out) throw new Error('usage: node tests/page/screenshots.mjs OUT_DIR [part of a name ...]');
mkdirSync(out, { recursive: true });

const running = process.env.PAGE_URL !== undefined;
const server = running
  ? Server.at(process.env.PAGE_URL, process.env.PAGE_OTLP)
  : await Server.start({ boards: join(REPO, 'tests/page/boards') });
const shop = running ? null : openShop(server.otlp, '--seconds', '36000');
await sendSamples(server.otlp);
const browser = await launch();
const warm = Number(process.env.WARM ?? (running ? 0 : 120));
await new Promise((done) => setTimeout(done, warm * 1000));

const one = async (sql) => (await server.sql(sql))[0][0];
const trace = await one("SELECT trace_id FROM spans WHERE name = 'POST /checkout' ORDER BY ts DESC LIMIT 1");
const failed = await until('a failed checkout', () =>
  one("SELECT trace_id FROM spans WHERE name = 'POST /checkout' AND status_code = 2 ORDER BY ts DESC LIMIT 1").catch(() => null),
).catch(() => trace);
const explore = (sql, more = {}) => `/explore?${new URLSearchParams({ sql, ...more })}`;
const RATES = `SELECT date_bin($step, ts) AS t, service_name, count(*) / $step_seconds AS spans
FROM spans
WHERE $range
GROUP BY 1, 2`;

/** Name: [address, what is done there before the picture]. */
const SHOTS = {
  host: ['/?from=now-5m&to=now'],
  'host-hover': [
    '/?from=now-5m&to=now',
    async (page) => {
      const over = page.locator('.panel .u-over').nth(1);
      await over.scrollIntoViewIfNeeded();
      const box = await over.boundingBox();
      await page.mouse.move(box.x + box.width * 0.6, box.y + box.height / 2);
    },
    { fullPage: false },
  ],
  hosts: ['/boards/hosts?from=now-5m&to=now'],
  services: ['/boards/services?from=now-5m&to=now'],
  catchment: ['/boards/catchment?from=now-5m&to=now'],
  kinds: ['/boards/kinds?from=now-15m&to=now'],
  'panel-as-table': ['/boards/kinds', async (page) => choose(page, 'Lines', 'View as table'), { fullPage: false }],
  'panel-full': ['/boards/kinds', async (page) => choose(page, 'Lines', 'Full screen'), { fullPage: false }],
  'panel-menu': ['/boards/kinds', async (page) => panel(page, 'Lines').getByRole('button', { name: /Menu/ }).click(), { fullPage: false }],
  variable: ['/boards/kinds', async (page) => page.getByRole('button', { name: /^Zone/ }).click(), { fullPage: false }],
  range: ['/', async (page) => page.getByRole('button', { name: /^Time range/ }).click(), { fullPage: false }],
  help: ['/', async (page) => page.keyboard.press('?'), { fullPage: false }],
  'range-of-the-past': [`/?from=${new Date(Date.now() - 60_000).toISOString()}&to=${new Date().toISOString()}&tz=Asia/Tokyo`],
  logs: ['/logs?from=now-5m&to=now'],
  'logs-open': [
    '/logs?from=now-5m&to=now&q=service%3Dpayment',
    async (page) => page.locator('.log-row [data-opens]').nth(1).click(),
  ],
  'logs-search-help': ['/logs?q=severity>=loud', async (page) => page.getByRole('button', { name: 'What can be searched for' }).click()],
  'logs-none': ['/logs?q=nothinghasthistext'],
  traces: ['/traces?from=now-5m&to=now'],
  'traces-filtered': ['/traces?from=now-5m&to=now&service=payment&errors=true'],
  trace: [`/traces/${trace}`],
  'trace-failed-span': [`/traces/${failed}`, async (page) => page.getByRole('treegrid').getByRole('row').last().click()],
  'trace-logs': [`/traces/${trace}?tab=logs`],
  'trace-missing': ['/traces/00000000000000000000000000000001'],
  explore: ['/explore'],
  'explore-chart': [explore(RATES, { chart: 'line', from: 'now-5m', to: 'now' })],
  'explore-table': [explore('SELECT service_name, name, duration_ns / 1e6 AS ms, trace_id FROM spans ORDER BY ts DESC LIMIT 200', { chart: 'table' })],
  'explore-mistake': [explore('SELECT service_name,\n  duratoin_ns\nFROM spans')],
  'explore-history': [explore('SELECT 1 AS one'), async (page) => page.getByRole('tab', { name: 'History' }).click()],
  'explore-completion': [
    '/explore',
    async (page) => {
      await page.getByRole('textbox', { name: 'SQL' }).click();
      await page.keyboard.type('SELECT * FROM sys');
      await page.keyboard.press('Control+Space');
      await page.locator('.cm-tooltip-autocomplete').waitFor();
    },
    { fullPage: false },
  ],
  pipelines: ['/pipelines'],
  'pipelines-node': ['/pipelines', async (page) => page.getByRole('button', { name: 'Durable log' }).click()],
  'pipelines-tables': ['/pipelines?view=tables'],
  'not-found': ['/nowhere'],
  loading: [
    '/boards/kinds',
    null,
    {
      fullPage: false,
      before: (page) =>
        page.routeWebSocket('**/api/v1/live', (socket) => {
          socket.connectToServer().onMessage((message) => typeof message === 'string' && socket.send(message));
        }),
    },
  ],
  empty: ['/boards/services?from=2020-01-01T00:00:00Z&to=2020-01-01T01:00:00Z'],
};

const problems = [];
async function shoot(look, name, [path, act, { fullPage = true, before } = {}]) {
  const page = await newPage(browser, server.url, { look });
  page.on('pageerror', (error) => problems.push(`${name} ${look}: ${error.message}`));
  if (before) {
    await before(page);
    await page.goto(path);
    await page.locator('.skeleton').first().waitFor();
  } else if (name === 'not-found') await page.goto(path);
  else if (name.startsWith('trace-missing')) await page.goto(path).then(() => page.getByRole('button', { name: /Look/ }).waitFor());
  else {
    await visit(page, path);
    if (fullPage) await scrollThrough(page);
  }
  if (act) await act(page);
  await settled(page).catch(() => {});
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  await page.screenshot({ path: join(out, `${name}-${look}.png`), fullPage });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 0) problems.push(`${name} ${look}: ${wide} px wider than the screen`);
  await page.context().close();
}

const fits = (name) => wanted.length === 0 || wanted.some((part) => name.includes(part));
const looks = (process.env.LOOKS ?? 'light,dark,phone').split(',');
for (const [name, shot] of Object.entries(SHOTS)) {
  if (!fits(name)) continue;
  for (const look of looks) {
    await shoot(look, name, shot).catch((error) => problems.push(`${name} ${look}: ${error.message.split('\n')[0]}`));
  }
}

// The last ones: the server goes away under the page, and the page is opened without it.
if (!running && fits('disconnected')) {
  for (const look of looks) {
    const page = await newPage(browser, server.url, { look });
    await visit(page, '/?from=now-5m&to=now');
    await scrollThrough(page);
    await server.kill();
    await page.getByText(/Not connected/).first().waitFor({ state: 'attached' });
    await page.screenshot({ path: join(out, `disconnected-${look}.png`), fullPage: false });
    await page.getByRole('navigation').getByRole('link', { name: 'Traces' }).click().catch(() => {});
    await page.screenshot({ path: join(out, `disconnected-other-page-${look}.png`), fullPage: false });
    await page.context().close();
    await server.start();
    await send(server.otlp, 'metrics', [gauge('page.back', [{ t: Date.now(), v: 1 }])]);
  }
}

for (const problem of problems) console.log(problem);
await browser.close();
await shop?.kill();
if (!running) await server.stop();

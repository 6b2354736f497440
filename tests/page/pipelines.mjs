// Pipelines: the running graph with what flows, the same as tables, and each part's details.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { assertTitle, visit } from './lib/app.mjs';
import { assertAccessible } from './lib/axe.mjs';
import { attributes, gauge, nanos, send } from './lib/otlp.mjs';
import { fed, withPage, withPageOf } from './lib/session.mjs';
import { Server } from './lib/server.mjs';
import { until } from './lib/wait.mjs';

const graph = (page) => page.getByRole('region', { name: 'The running graph' });

test('the graph has every part that runs, with its rates', () =>
  withPage({}, async (page) => {
    const snapshot = await (await fed()).get('/api/v1/pipeline');
    await visit(page, '/pipelines');
    await assertTitle(page, 'Pipelines · Catchment');
    const parts = [...snapshot.receivers, ...snapshot.exporters].map(({ id }) => id);
    assert(parts.includes('otlp') && parts.includes('host_metrics') && parts.includes('parquet'), parts.join());
    for (const id of [...parts, 'Durable log']) await graph(page).getByRole('button', { name: id }).first().waitFor();
    for (const id of ['metrics', 'logs', 'traces']) await graph(page).getByText(id, { exact: true }).first().waitFor();
    const otlp = graph(page).getByRole('button', { name: 'otlp' }).first();
    await until('a rate of the shop', async () => /[1-9][\d.,]*\S*\/s\D*accepted/.test(await otlp.textContent()));
    await page.getByRole('region', { name: 'The instance' }).getByText('ready').waitFor();
  }));

test('a part tells all about itself', () =>
  withPage({}, async (page) => {
    await visit(page, '/pipelines');
    const log = graph(page).getByRole('button', { name: 'Durable log' });
    await log.focus();
    await page.keyboard.press('Enter');
    const details = page.getByRole('complementary', { name: /Durable log/ });
    await details.getByText('fsync', { exact: true }).waitFor();
    await details.getByText('Refused', { exact: true }).waitFor();
    await details.getByRole('button', { name: 'Close' }).click();
    await details.waitFor({ state: 'detached' });
  }));

test('the tables say the same', () =>
  withPage({}, async (page) => {
    await visit(page, '/pipelines');
    await page.getByRole('tab', { name: 'Tables' }).click();
    assert.equal(new URL(page.url()).searchParams.get('view'), 'tables');
    const accepted = async () => {
      const row = page.getByRole('table', { name: 'Receivers' }).getByRole('row', { name: /^otlp/ });
      return Number((await row.getByRole('cell').nth(3).or(row.getByRole('cell').nth(2)).first().textContent()).replace(/\D/g, ''));
    };
    const first = await until('the count', accepted);
    await until('the count to grow by itself', async () => (await accepted()) > first);
    await page.getByRole('table', { name: /Exporters/ }).getByRole('row', { name: /parquet/ }).waitFor();
    await page.getByRole('heading', { name: /lake/i }).or(page.getByRole('table', { name: /lake/i })).first().waitFor();
  }));

const KEPT = 6;
const NOISE = 4;

let joined;
/** Logs go through a filter and a connector into the lake; of the metrics one is older than the lake takes. */
function withConnector() {
  joined ??= (async () => {
    const server = await Server.start({
      more: {
        processors: { filter: { log_conditions: ["body = 'noise'"] } },
        connectors: { forward: {} },
        service: {
          pipelines: {
            logs: { receivers: ['otlp'], processors: ['filter'], exporters: ['forward'] },
            'logs/kept': { receivers: ['forward'], exporters: ['parquet'] },
          },
        },
      },
    });
    const now = Date.now();
    const record = (body) => ({ timeUnixNano: nanos(now), body: { stringValue: body }, attributes: attributes({ n: 1 }) });
    const bodies = [...Array(KEPT).fill('kept'), ...Array(NOISE).fill('noise')];
    await send(server.otlp, 'logs', bodies.map(record));
    const old = now - 30 * 86_400_000;
    await send(server.otlp, 'metrics', [gauge('page.old', [{ t: now, v: 1 }, { t: old, v: 1 }])]);
    return server;
  })();
  return joined;
}
after(async () => (await joined)?.stop());

for (const look of ['light', 'dark', 'phone']) {
  test(`a connector stands among the receivers and tells what goes through it (${look})`, async () =>
    withPageOf(await withConnector(), { look }, async (page) => {
      await visit(page, '/pipelines');
      const connector = graph(page).getByRole('button', { name: /^connector\b.*forward/ });
      await connector.getByText('from logs', { exact: true }).waitFor();
      // The way back to it is drawn, and its arrow is clear of every node.
      const arrow = await graph(page).locator('path.head').boundingBox();
      for (const node of await graph(page).getByRole('button').all()) {
        const box = await node.boundingBox();
        const clear = arrow.x + arrow.width <= box.x + 1 || arrow.y + arrow.height <= box.y + 1 || box.x + box.width <= arrow.x || box.y + box.height <= arrow.y;
        assert(clear, `${JSON.stringify(arrow)} over ${JSON.stringify(box)} of ${await node.textContent()}`);
      }
      await connector.click();
      const details = page.getByRole('complementary', { name: 'connector forward' });
      const fact = (name) => details.locator('.facts > div').filter({ has: page.getByText(name, { exact: true }) }).locator('dd');
      assert.equal(await fact('From pipelines').textContent(), 'logs');
      assert.equal(await fact('To pipelines').textContent(), 'logs/kept');
      await until('what went in and out', async () => {
        const [into, out] = [await fact('In').textContent(), await fact('Out').textContent()];
        return into.startsWith(`${KEPT},`) && out.startsWith(`${KEPT},`);
      });
      assert.match(await fact('Saved up to').textContent(), /^position [\d,]+ of [\d,]+$/);
      await assertAccessible(page, `a connector's details, ${look}`);
      const sticksOut = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert(sticksOut <= 0, `${sticksOut} px wider than the screen`);
    }));
}

test('reasons are given for what was taken out and what was refused', async () =>
  withPageOf(await withConnector(), {}, async (page) => {
    await visit(page, '/pipelines');
    await graph(page).getByRole('button', { name: /^processor\b.*filter/ }).click();
    await page.getByRole('complementary', { name: 'processor filter' }).getByText(`${NOISE} filtered`).waitFor();
    await graph(page).getByRole('button', { name: /^receiver\b.*otlp/ }).click();
    await page.getByRole('complementary', { name: 'receiver otlp' }).getByText('1 too old').waitFor();
    await visit(page, '/pipelines?view=tables');
    const row = page.getByRole('table', { name: 'Connectors' }).getByRole('row', { name: /^forward/ });
    await row.getByRole('cell', { name: 'logs/kept', exact: true }).waitFor();
    await assertAccessible(page, 'the tables with a connector');
  }));

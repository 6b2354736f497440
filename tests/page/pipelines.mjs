// Pipelines: the running graph with what flows, the same as tables, and each part's details.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertTitle, visit } from './lib/app.mjs';
import { fed, withPage } from './lib/session.mjs';
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

// What the page shows while it waits, when it is refused, and when it has lost its way.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertTitle, goBack, panel, visit } from './lib/app.mjs';
import { withPage } from './lib/session.mjs';
import { until } from './lib/wait.mjs';

test('while answers are on their way, panels say so and hold their place', () =>
  withPage({}, async (page) => {
    let release;
    const held = new Promise((done) => {
      release = done;
    });
    await page.routeWebSocket('**/api/v1/live', (socket) => {
      const server = socket.connectToServer();
      server.onMessage(async (message) => {
        if (typeof message !== 'string') await held;
        socket.send(message);
      });
    });
    await page.goto('/boards/kinds?var-zone=north');
    const lines = panel(page, 'Lines');
    await lines.getByText('Loading').waitFor({ state: 'attached' });
    const before = await lines.boundingBox();
    release();
    await lines.locator('canvas').waitFor();
    const after = await lines.boundingBox();
    assert.deepEqual([after.y, after.height], [before.y, before.height], 'nothing jumps');
  }));

test('a page that cannot be had says why and can be asked again', () =>
  withPage({}, async (page) => {
    page.expectProblem(/ERR_FAILED|Failed to fetch|Failed to load resource/);
    await page.route('**/api/v1/boards/host', (route) => route.abort());
    await page.goto('/');
    await page.getByText('No connection').waitFor();
    await page.unroute('**/api/v1/boards/host');
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('heading', { level: 1, name: 'Host' }).waitFor();
  }));

test('an address without a page, and a board that is none, are said to be so', () =>
  withPage({}, async (page) => {
    page.expectProblem(/404/);
    await page.goto('/boards/none');
    await page.getByRole('alert').waitFor();
    await page.getByRole('navigation').getByRole('link', { name: 'Logs' }).click();
    await page.waitForURL((url) => url.pathname === '/logs');
  }));

test('back and forward go through the pages as they were', () =>
  withPage({}, async (page) => {
    await visit(page, '/boards/kinds?from=now-5m&to=now');
    const nav = page.getByRole('navigation');
    await nav.getByRole('link', { name: 'Logs' }).click();
    await assertTitle(page, 'Logs · Catchment');
    assert.equal(new URL(page.url()).searchParams.get('from'), 'now-5m', 'the range goes along');
    await nav.getByRole('link', { name: 'Pipelines' }).click();
    await assertTitle(page, 'Pipelines · Catchment');
    await goBack(page);
    await assertTitle(page, 'Logs · Catchment');
    await goBack(page);
    await assertTitle(page, 'Every kind · Catchment');
    await page.goForward();
    await assertTitle(page, 'Logs · Catchment');
    await until('the present page to be marked', async () => (await nav.locator('[aria-current=page]').textContent()) === 'Logs');
  }));

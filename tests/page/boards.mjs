// Every board: each panel has what it is to show, as a chart and as a table; the values are those that were sent.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertTitle, choose, chooseIn, drawnShare, panel, panelRows, scrollThrough, visit } from './lib/app.mjs';
import { BOUNDS, COUNT, END, level, START, STEP, ZONES } from './lib/samples.mjs';
import { fed, withPage } from './lib/session.mjs';
import { until } from './lib/wait.mjs';

const WINDOW = `from=${new Date(START).toISOString()}&to=${new Date(END + STEP).toISOString()}`;
/** The built-in boards show a host and a shop that live; what a container has none of may be empty. */
const MAY_BE_EMPTY = /disk|file system|paging|swap|log destinations|lost|refused|retries|connections/i;

/** What a panel shows: a state by its words, or `data`. */
const shows = (article) =>
  article.evaluate((element) => {
    const body = element.querySelector('.panel-body');
    if (body.querySelector('.skeleton')) return 'loading';
    const state = body.querySelector('.state');
    return state ? state.textContent.trim() : body.textContent.trim() || body.querySelector('canvas') ? 'data' : 'nothing';
  });

test('the page opens on this machine', () =>
  withPage({}, async (page) => {
    await visit(page, '/');
    await assertTitle(page, 'Host · Catchment');
    assert.equal(await page.getByRole('heading', { level: 1 }).textContent(), 'Host');
    const cpu = page.locator('.panel canvas').first();
    await cpu.waitFor();
    await until('the first chart to be drawn', async () => (await drawnShare(cpu)) > 0);
    await page.getByRole('status').getByText('Connected').waitFor();
  }));

test('every board', async (t) => {
  const { boards } = await (await fed()).get('/api/v1/boards');
  assert(boards.some(({ id }) => id === 'host') && boards.some(({ id }) => id === 'services'), 'the built-in boards');
  for (const { id, title } of boards.filter(({ id }) => !['kinds', 'ledger'].includes(id))) {
    await t.test(`${title}: every panel has data, as a chart and as a table`, () => everyPanel(id, title));
  }
});

async function everyPanel(id, title) {
  const board = await (await fed()).get(`/api/v1/boards/${id}`);
  await withPage({}, async (page) => {
    await visit(page, `/boards/${id}?from=now-5m&to=now`);
    await assertTitle(page, `${title} · Catchment`);
    await scrollThrough(page);
    const panels = board.sections.flatMap((section) => section.panels.map((one) => ({ ...one, section: section.title })));
    for (const { title: name, chart, section } of panels) {
      const article = page.getByRole('region', { name: section, exact: true }).getByRole('article', { name, exact: true });
      await article.scrollIntoViewIfNeeded();
      const shown = await until(`${name} to show something`, async () => {
        const now = await shows(article);
        return now !== 'loading' && (now === 'data' || MAY_BE_EMPTY.test(name) || /failed/.test(now)) && now;
      });
      assert(shown === 'data' || MAY_BE_EMPTY.test(name), `${name} shows: ${shown}`);
      if (shown !== 'data') continue;
      if (chart !== 'table') await chooseIn(article, 'View as table');
      const table = article.getByRole('table', { name });
      await table.waitFor();
      assert((await table.locator('tbody tr:not([aria-hidden])').count()) > 0, `${name}: its table has rows`);
      assert((await table.locator('thead th').count()) > 0, `${name}: its table has heads`);
    }
  });
}

test('the charts of a board show what was sent', () =>
  withPage({}, async (page) => {
    await visit(page, `/boards/kinds?${WINDOW}`);
    await assertTitle(page, 'Every kind · Catchment');
    const lines = await panelRows(page, 'Lines');
    assert.deepEqual(
      lines.map(({ t, zone, value }) => [Date.parse(t), zone, Number(value)]).sort(byText),
      Array.from({ length: COUNT }, (_, n) => ZONES.map((zone) => [START + n * STEP, zone, level(n, zone)]))
        .flat()
        .sort(byText),
    );
    const stack = await panelRows(page, 'Stack');
    assert.equal(new Set(stack.map(({ t }) => Date.parse(t) % 10_000)).size, 1, 'buckets of its least step, 10 s');
    const waits = await panelRows(page, 'Waits');
    assert.deepEqual(
      waits.slice(1).map(({ counts, bounds }) => [JSON.parse(counts).map(Number), JSON.parse(bounds)]),
      // Each cumulative histogram is [n, 2n, 3n, n, 0]: the increase of one step is always the same.
      Array.from({ length: COUNT - 1 }, () => [[1, 2, 3, 1, 0], BOUNDS]),
    );
  }));

const byText = (a, b) => (String(a) < String(b) ? -1 : 1);

test('every kind of chart is drawn', () =>
  withPage({}, async (page) => {
    await visit(page, `/boards/kinds?${WINDOW}`);
    await scrollThrough(page);
    for (const title of ['Lines', 'Areas', 'Stack', 'Bars', 'Share', 'Waits']) {
      await panel(page, title).scrollIntoViewIfNeeded();
      const canvas = panel(page, title).locator('canvas');
      await canvas.waitFor();
      // Samples fill the window; the axis on the left does not.
      await until(`${title} to be drawn`, async () => (await drawnShare(canvas)) > 0.7);
    }
    const mean = (zone) => 10 * (1 + ZONES.indexOf(zone)) + 5.5;
    const pie = panel(page, 'Shares of a whole');
    assert.equal(await pie.locator('.slice').count(), 3);
    const total = ZONES.reduce((sum, zone) => sum + mean(zone), 0);
    for (const zone of ZONES) {
      const percent = new Intl.NumberFormat('en', { style: 'percent', maximumFractionDigits: 1 }).format(mean(zone) / total);
      await pie.getByRole('row', { name: zone }).getByText(percent, { exact: true }).waitFor();
    }
    const last = ((COUNT - 1) % 20) / 20;
    await panel(page, 'Gauge').getByText(`${last * 100}`).first().waitFor();
    await panel(page, 'Gauge').getByText('(critical)').waitFor({ state: 'attached' });
    await panel(page, 'One value').locator('.sparkline').waitFor();
    for (const [i, zone] of ZONES.entries()) {
      await panel(page, 'Categories').getByRole('row', { name: zone }).getByText(`${10 * (i + 1) + 11}`, { exact: true }).waitFor();
    }
  }));

test('a legend tells lowest, mean, highest and last, and hides series', () =>
  withPage({}, async (page) => {
    await visit(page, `/boards/kinds?${WINDOW}`);
    const lines = panel(page, 'Lines');
    const row = lines.locator('.legend tr', { hasText: 'north' });
    await row.waitFor();
    const figure = async (name) => Number.parseFloat(await row.locator(`td[data-value=${name}]`).textContent());
    assert.deepEqual(
      [await figure('min'), await figure('max'), await figure('last'), Math.round((await figure('mean')) * 2) / 2],
      [10, 21, level(COUNT - 1, 'north'), 15.5],
    );

    const button = (name) => lines.getByRole('button', { name, exact: true });
    const pointed = async () => {
      await lines.locator('.u-over').hover();
      const names = await lines.locator('.tooltip th').allTextContents();
      await page.mouse.move(0, 0);
      return names.map((name) => name.trim()).sort();
    };
    assert.deepEqual(await pointed(), ZONES);
    await button('north').click();
    assert.equal(await button('north').getAttribute('aria-pressed'), 'false');
    assert.deepEqual(await pointed(), ['south', 'west']);
    await button('north').click();
    await button('west').click({ modifiers: ['Shift'] });
    assert.deepEqual(await pointed(), ['west'], 'one alone');
    await button('west').click({ modifiers: ['Shift'] });
    assert.deepEqual(await pointed(), ZONES, 'all again');
  }));

test('a board keeps to the chosen values of its variables, in the address', () =>
  withPage({}, async (page) => {
    await visit(page, `/boards/kinds?${WINDOW}`);
    await page.getByRole('button', { name: /^Zone all 3/ }).click();
    await page.getByRole('checkbox', { name: 'south' }).check();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Zone south', exact: true }).waitFor();
    assert.deepEqual(new URL(page.url()).searchParams.getAll('var-zone'), ['south']);
    await until('only the chosen zone', async () => {
      const rows = await panelRows(page, 'Lines');
      return rows.length === COUNT && rows.every(({ zone }) => zone === 'south');
    });
    await page.reload();
    await page.getByRole('button', { name: 'Zone south', exact: true }).waitFor();
  }));

test('a panel without data, or with a mistake, says so', () =>
  withPage({}, async (page) => {
    await visit(page, '/boards/kinds?from=now-15m&to=now');
    await scrollThrough(page);
    await panel(page, 'Never sent').getByText('No data yet').waitFor();
    await panel(page, 'Never sent').getByText('page.never').waitFor();
    await panel(page, 'Long ago').getByText('Nothing in this range').waitFor();
    const wrong = panel(page, 'Wrong').getByRole('alert');
    await wrong.getByText(/line 1, column \d+/).waitFor();
    await wrong.getByText(/valeu/).waitFor();
    await wrong.getByRole('button', { name: 'Try again' }).waitFor();
  }));

test("a table's cells lead to their traces", () =>
  withPage({}, async (page) => {
    await visit(page, '/boards/kinds?from=now-5m&to=now');
    await scrollThrough(page);
    const cell = panel(page, 'Checkouts').getByRole('link').first();
    await cell.waitFor();
    const id = (await cell.textContent()).trim();
    await cell.click();
    await page.waitForURL((url) => url.pathname === `/traces/${id}`);
    await page.getByRole('treegrid', { name: 'Spans' }).waitFor();
  }));

test('a panel fills the screen, opens in Explore, and can be folded away', () =>
  withPage({}, async (page) => {
    await visit(page, `/boards/kinds?${WINDOW}&var-zone=west`);
    await choose(page, 'Lines', 'Full screen');
    const dialog = page.getByRole('dialog', { name: 'Lines' });
    await dialog.locator('canvas').waitFor();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Now', exact: true }).click();
    await panel(page, 'Gauge').waitFor({ state: 'detached' });
    await page.reload();
    await panel(page, 'Lines').waitFor();
    assert.equal(await panel(page, 'Gauge').count(), 0, 'folded after a reload too');
    await choose(page, 'Lines', 'Open in Explore');
    await page.waitForURL((url) => url.pathname === '/explore');
    const sql = new URL(page.url()).searchParams.get('sql');
    assert.match(sql, /zone IN \('west'\)/);
    await page.getByRole('region', { name: 'Result' }).locator('canvas').waitFor();
  }));

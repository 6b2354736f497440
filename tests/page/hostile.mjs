// Names that mean harm (examples/shop/hostile.py) are shown as the text they are, everywhere, and break nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { panel, scrollThrough, visit } from './lib/app.mjs';
import { assertAccessible } from './lib/axe.mjs';
import { openShop } from './lib/shop.mjs';
import { fed, withPage } from './lib/session.mjs';
import { until } from './lib/wait.mjs';

const IMAGE = '<img src=x onerror=alert(1)>';
const SCRIPT = '"><script>alert(document.domain)</script>';
const PATH = '../../etc/passwd';
const OVERRIDE = '\u202egnp.exe\u202c ends here';

let sent;
async function harmed() {
  sent ??= (async () => {
    const server = await fed();
    const shop = openShop(server.otlp, '--hostile', '--requests', '1');
    assert.equal(await shop.ended, 0, shop.said.join('\n'));
    return server;
  })();
  return sent;
}

/** Elements that only a label can have made. */
function intruders() {
  const foreign = document.querySelectorAll('img:not(.cm-widgetBuffer), iframe, object, embed, base, form[action], [onerror], [onload], [onclick]');
  const scripts = [...document.scripts].filter(({ src }) => !src.startsWith(`${location.origin}/assets/`));
  const links = [...document.querySelectorAll('a[href]')].filter(
    (link) => link.origin !== location.origin || !/^\/($|boards\/|logs|traces|alerts|explore|pipelines)/.test(link.pathname),
  );
  return [...foreign, ...scripts, ...links].map((element) => element.outerHTML.slice(0, 200));
}

/** Text of a label whose direction could reach its neighbours. */
function unisolated() {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { parentElement: parent, textContent: text } = walker.currentNode;
    if (!/[\u202a-\u202e\u05d0-\u05ea\u0621-\u064a]/.test(text) || !parent.checkVisibility()) continue;
    const isolated = (element) =>
      /^(isolate|isolate-override|plaintext)$/.test(getComputedStyle(element).unicodeBidi) || element.closest('bdi, option, .cm-content') !== null;
    if (!isolated(parent)) found.push(parent.outerHTML.slice(0, 200));
  }
  return found;
}

async function assertUnharmed(page, what) {
  assert.deepEqual(await page.evaluate(intruders), [], `${what}: elements that a label made`);
  assert.deepEqual(await page.evaluate(unisolated), [], `${what}: text whose direction is not isolated`);
  const { scrolls, screen } = await page.evaluate(() => ({
    scrolls: document.documentElement.scrollWidth,
    screen: document.documentElement.clientWidth,
  }));
  assert(scrolls <= screen, `${what}: ${scrolls - screen} px wider than the screen`);
}

const query = (of) => new URLSearchParams(of);
const PLACES = async () => {
  const { sql } = await harmed();
  const [[trace]] = await (await harmed()).sql(`SELECT trace_id FROM spans WHERE name = '${IMAGE}' LIMIT 1`);
  assert(sql);
  return {
    Host: `/?from=now-5m&to=now&${query({ 'var-host': IMAGE })}`,
    Hosts: '/boards/hosts?from=now-5m&to=now',
    Services: '/boards/services?from=now-5m&to=now',
    'One service': `/boards/services?from=now-5m&to=now&${query({ 'var-service': IMAGE })}`,
    Logs: `/logs?from=now-5m&to=now&${query({ q: `service="${IMAGE}"` })}`,
    Traces: `/traces?from=now-5m&to=now&${query({ service: IMAGE })}`,
    'A trace': `/traces/${trace}`,
    Explore: `/explore?${query({ sql: 'SELECT service_name, name, attributes FROM spans WHERE status_message IS NOT NULL', chart: 'table' })}`,
    'A chart': `/explore?${query({ sql: 'SELECT ts AS t, name, count(*) AS value FROM spans WHERE $range GROUP BY 1, 2', chart: 'line' })}`,
    Pipelines: '/pipelines',
  };
};

for (const look of ['light', 'phone']) {
  test(`hostile names are text on every page (${look})`, async (t) => {
    for (const [name, path] of Object.entries(await PLACES())) {
      await t.test(name, () =>
        withPage({ look }, async (page) => {
          await visit(page, path);
          await scrollThrough(page);
          await assertUnharmed(page, name);
        }),
      );
    }
  });
}

test('the names can be read as they were sent', async () => {
  await harmed();
  await withPage({}, async (page) => {
    await visit(page, `/boards/services?from=now-5m&to=now`);
    await scrollThrough(page);
    await panel(page, 'Services').first().getByText(IMAGE, { exact: true }).first().waitFor();
    await panel(page, 'Services').first().getByText(PATH, { exact: true }).first().waitFor();

    await visit(page, `/logs?from=now-5m&to=now&${query({ q: `service="${IMAGE}"` })}`);
    const records = page.getByRole('region', { name: 'Records', exact: true });
    await records.getByText(SCRIPT, { exact: true }).first().waitFor();
    const row = records.locator('.log-row').filter({ hasText: SCRIPT }).first();
    await row.getByRole('button', { name: /^Open the record/ }).click();
    await records.locator('.log-details').getByText(SCRIPT).first().waitFor();
    await assertUnharmed(page, 'an open record');
    await assertAccessible(page, 'an open record');

    await visit(page, `/traces?from=now-5m&to=now&${query({ service: IMAGE })}`);
    await page.getByRole('button', { name: 'Pause' }).last().click();
    await page.getByRole('list', { name: 'Traces' }).getByText(SCRIPT).first().click();
    const spans = page.getByRole('treegrid', { name: 'Spans' });
    await spans.getByText(SCRIPT).first().click();
    await page.getByRole('complementary', { name: 'Span', exact: true }).getByText(SCRIPT).first().waitFor();
    await assertUnharmed(page, 'a span');
  });
});

test('names of 10 KB and names that run backwards keep to their place', async () => {
  await harmed();
  await withPage({}, async (page) => {
    await visit(page, `/explore?${query({ sql: `SELECT name, length(name) AS long, service_name FROM spans WHERE length(name) > 9000 OR name = '${OVERRIDE}'`, chart: 'table' })}`);
    const table = page.getByRole('table', { name: 'Result' });
    await table.getByText('10000').first().waitFor();
    const heights = await table.locator('tbody tr:not([aria-hidden])').evaluateAll((rows) => rows.map((row) => row.getBoundingClientRect().height));
    assert(Math.max(...heights) <= 60, `rows of ${Math.max(...heights)} px`);
    await assertUnharmed(page, 'long names');
  });
});

test('the editor and the metric list offer hostile names as text', async () => {
  await harmed();
  await withPage({}, async (page) => {
    await visit(page, '/explore');
    const search = page.getByRole('searchbox', { name: /metric/i });
    await search.fill('<img');
    await page.getByRole('complementary').getByText(IMAGE, { exact: true }).first().waitFor();
    await page.getByRole('textbox', { name: 'SQL' }).click();
    await page.keyboard.insertText('SELECT * FROM "<im');
    await page.keyboard.press('Control+Space');
    const offered = page.locator('.cm-tooltip-autocomplete').getByText(IMAGE).first();
    await offered.waitFor();
    await assertUnharmed(page, 'completion');
    // Keys that come right after the list are taken for typing; a click is not.
    await offered.click();
    await page.keyboard.insertText(' LIMIT 5');
    await page.keyboard.press('Control+Enter');
    await until('the answer', async () => (await page.getByRole('region', { name: 'Result', exact: true }).count()) === 1);
    await assertUnharmed(page, 'the answer of a hostile metric');
  });
});

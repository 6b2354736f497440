// Logs: severities over time, search, the live list, one record in full.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertTitle, drawnShare, visit } from './lib/app.mjs';
import { attributes, nanos, send } from './lib/otlp.mjs';
import { fed, withPage } from './lib/session.mjs';
import { until } from './lib/wait.mjs';

const record = (body, more = {}) => {
  const { severity = 9, ...rest } = more;
  return {
    timeUnixNano: nanos(Date.now()),
    severityNumber: severity,
    severityText: '',
    body: { stringValue: body },
    attributes: attributes(rest),
  };
};
/** Its own in every run, so that a server can be used again. */
const SERVICE = `page-logs-${Date.now().toString(36)}`;
const RESOURCE = { 'service.name': SERVICE, 'host.name': 'page-host' };
const sendLogs = async (...records) => send((await fed()).otlp, 'logs', records, RESOURCE);

const list = (page) => page.getByRole('region', { name: 'Records', exact: true });
const rows = (page) => list(page).locator('.log-row');
const bodies = (page) => list(page).locator('.log-row .body').allTextContents();
const search = (page) => page.getByRole('searchbox', { name: 'Search logs' });
const onlyOurs = `/logs?${new URLSearchParams({ q: `service=${SERVICE}` })}`;

test('records and their severities over time', () =>
  withPage({}, async (page) => {
    await visit(page, '/logs');
    await assertTitle(page, 'Logs · Catchment');
    await rows(page).first().waitFor();
    const times = await list(page).locator('.log-row time').allTextContents();
    assert.deepEqual(times, [...times].sort().reverse(), 'newest first');
    const bars = page.getByRole('region', { name: 'Records over time' });
    await until('the bars', async () => (await drawnShare(bars.locator('canvas'))) > 0);
    await bars.getByRole('button', { name: 'info' }).waitFor();
    await until('the total', async () => /^\d[\d,. ]* records$/.test((await bars.locator('.total').textContent()).trim()));
  }));

test('the list is live, stands still while it is read, and goes on', () =>
  withPage({}, async (page) => {
    await sendLogs(record('page log one'));
    await visit(page, onlyOurs);
    await until('the first record', async () => (await bodies(page))[0] === 'page log one');
    await sendLogs(record('page log two'));
    await until('the second above it', async () => (await bodies(page))[0] === 'page log two');

    await rows(page).first().hover();
    await page.getByText('Paused while you point at it').waitFor();
    await sendLogs(record('page log three'));
    await page.getByRole('button', { name: /^Resume/ }).getByText(/1 new/).waitFor();
    assert.equal((await bodies(page))[0], 'page log two');
    await page.mouse.move(2, 2);
    await until('the third when the pointer has left', async () => (await bodies(page))[0] === 'page log three');
  }));

test('search finds by text, attribute and severity, and says what it cannot read', () =>
  withPage({}, async (page) => {
    await sendLogs(
      record('needle in hay', { severity: 17, 'page.kind': 'sharp' }),
      record('hay only', { severity: 13, 'page.kind': 'soft' }),
      record('NEEDLE alone', { severity: 5, 'page.kind': 'sharp' }),
    );
    await visit(page, onlyOurs);
    await rows(page).first().waitFor();
    for (const [query, expected] of [
      [`service=${SERVICE} needle`, ['NEEDLE alone', 'needle in hay']],
      [`service=${SERVICE} needle -hay`, ['NEEDLE alone']],
      [`service=${SERVICE} "hay only"`, ['hay only']],
      [`service=${SERVICE} page.kind=sharp severity>=error`, ['needle in hay']],
      [`service=${SERVICE} page.kind=*`, ['NEEDLE alone', 'hay only', 'needle in hay']],
    ]) {
      await search(page).fill(query);
      await search(page).press('Enter');
      await until(`${query} to find ${expected.length}`, async () => {
        const found = (await bodies(page)).sort();
        return JSON.stringify(found) === JSON.stringify([...expected].sort());
      });
      assert.equal(new URL(page.url()).searchParams.get('q'), query, 'the address carries the search');
    }
    await page.getByRole('combobox', { name: 'Least severity' }).selectOption({ label: 'error and above' });
    await until('only the error', async () => (await bodies(page)).join() === 'needle in hay');

    await search(page).fill('severity>=loud');
    await search(page).press('Enter');
    await until('the mistake', async () => /severity>=loud/.test(await page.locator('#log-search-mistakes').textContent()));
    assert.equal(await search(page).getAttribute('aria-invalid'), 'true');
    await search(page).fill(`service=${SERVICE} nothing-has-this-text`);
    await search(page).press('Enter');
    await list(page).getByText('No records').waitFor();
  }));

test('a record opens to all of it, and its attributes narrow the search', () =>
  withPage({}, async (page) => {
    await sendLogs(record('{"order":7,"paid":true}', { severity: 9, 'page.order': 7 }));
    await visit(page, `/logs?${new URLSearchParams({ q: `service=${SERVICE} page.order=7` })}`);
    await rows(page).first().getByRole('button', { name: /^Open the record/ }).focus();
    await page.keyboard.press('Enter');
    const details = list(page).locator('.log-details');
    await details.getByText('page.order').waitFor();
    await details.getByText('page-host').waitFor();
    assert.match(await details.locator('pre').textContent(), /"order": 7/, 'JSON is laid out');
    await list(page).getByRole('link', { name: 'As SQL' }).click();
    await page.waitForURL((url) => url.pathname === '/explore' && url.searchParams.get('sql').includes('page.order'));
  }));

test('a record of the shop leads to its trace', () =>
  withPage({}, async (page) => {
    await visit(page, `/logs?${new URLSearchParams({ q: 'service=frontend order placed trace_id=*' })}`);
    await rows(page).first().getByRole('button', { name: /^Open the record/ }).click();
    const link = list(page).locator('.log-details').getByRole('link').first();
    const id = (await link.textContent()).trim();
    assert.match(id, /^[0-9a-f]{32}$/);
    await link.click();
    await page.waitForURL((url) => url.pathname === `/traces/${id}`);
    await page.getByRole('treegrid', { name: 'Spans' }).waitFor();
  }));

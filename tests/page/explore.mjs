// Explore: SQL with its mistakes at their place, tables and charts of answers, downloads, history, links.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { assertTitle, drawnShare, goBack, rangeOf, visit } from './lib/app.mjs';
import { parseCsv } from './lib/csv.mjs';
import { COUNT, END, level, START, STEP, ZONES } from './lib/samples.mjs';
import { fed, withPage } from './lib/session.mjs';
import { until } from './lib/wait.mjs';

const WINDOW = `from=${new Date(START).toISOString()}&to=${new Date(END + STEP).toISOString()}`;
const SUMS = `SELECT zone, count(*) AS n, sum(value) AS total FROM "page.level"
WHERE ts >= TIMESTAMP '${new Date(START).toISOString()}' AND ts <= TIMESTAMP '${new Date(END).toISOString()}' GROUP BY 1 ORDER BY 1`;
const expected = ZONES.map((zone) => ({
  zone,
  n: COUNT,
  total: Array.from({ length: COUNT }, (_, n) => level(n, zone)).reduce((a, b) => a + b),
}));

const result = (page) => page.getByRole('region', { name: 'Result', exact: true });
const editor = (page) => page.getByRole('textbox', { name: 'SQL' });

async function type(page, sql) {
  await editor(page).click();
  await page.keyboard.press('Control+A');
  await page.keyboard.press('Delete');
  await page.keyboard.insertText(sql);
}

test('a query is typed, run with the keyboard, and answered', () =>
  withPage({}, async (page) => {
    await visit(page, '/explore');
    await assertTitle(page, 'Explore · Catchment');
    await editor(page).waitFor();
    await type(page, SUMS);
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+Enter');
    await result(page).waitFor();
    await result(page).getByRole('tab', { name: 'Table' }).click();
    const cells = async () =>
      result(page).locator('tbody tr').evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.textContent)));
    await until('the rows', async () => (await cells()).length === ZONES.length);
    assert.deepEqual(await cells(), expected.map(({ zone, n, total }) => [zone, String(n), String(total)]));
    await result(page).getByText('3 rows').waitFor();
    assert.equal(new URL(page.url()).searchParams.get('sql'), SUMS, 'the address carries the query');
  }));

test('a mistake is marked where it is', () =>
  withPage({}, async (page) => {
    page.expectProblem(/400/);
    await visit(page, '/explore');
    await editor(page).waitFor();
    await type(page, 'SELECT 1,\n  valeu\nFROM "page.level"');
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.getByRole('alert').getByText(/line 2, column 3/).waitFor();
    const mark = page.locator('.cm-lintRange-error');
    await mark.waitFor();
    assert.equal(await mark.textContent(), 'valeu');
    await type(page, 'SELECT 1 AS one');
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await until('no mark any more', async () => (await mark.count()) === 0);
    await result(page).getByText('1 row').waitFor();
  }));

test('metrics, columns and functions complete', () =>
  withPage({}, async (page) => {
    await visit(page, '/explore');
    await editor(page).waitFor();
    for (const [typed, offered] of [
      ['SELECT * FROM page.lev', 'page.level'],
      ['SELECT * FROM "page.lev', 'page.level'],
      ['SELECT * FROM lo', 'logs'],
      ['SELECT date_b', 'date_bin'],
    ]) {
      await type(page, '');
      await page.keyboard.type(typed);
      await page.keyboard.press('Control+Space');
      await page.locator('.cm-tooltip-autocomplete').getByText(offered).first().waitFor();
      await page.keyboard.press('Escape');
    }
  }));

test('an answer over time is a chart of any kind', () =>
  withPage({}, async (page) => {
    const sql = 'SELECT date_bin($step, ts) AS t, zone, avg(value) AS value FROM "page.level" WHERE $range GROUP BY 1, 2';
    await visit(page, `/explore?${WINDOW}&${new URLSearchParams({ sql })}`);
    for (const kind of ['Lines', 'Area', 'Stacked', 'Bars']) {
      await result(page).getByRole('tab', { name: kind }).click();
      const canvas = result(page).locator('canvas');
      await canvas.waitFor();
      await until(`${kind} to be drawn`, async () => (await drawnShare(canvas)) > 0.5);
    }
    assert.equal(new URL(page.url()).searchParams.get('chart'), 'bar');
    for (const zone of ZONES) await result(page).getByRole('button', { name: zone }).waitFor();
    await result(page).getByText(/^(Live|A range of the past)$/).waitFor();
  }));

async function downloadedAs(page, name) {
  const [file] = await Promise.all([page.waitForEvent('download'), result(page).getByRole('button', { name, exact: true }).click()]);
  return { name: file.suggestedFilename(), bytes: readFileSync(await file.path()) };
}

test('the answer is downloaded as CSV, JSON and Arrow', () =>
  withPage({}, async (page) => {
    await visit(page, `/explore?${new URLSearchParams({ sql: SUMS })}`);
    await result(page).waitFor();
    const csv = await downloadedAs(page, 'CSV');
    assert.match(csv.name, /\.csv$/);
    assert.deepEqual(parseCsv(csv.bytes.toString()).map(numbers), expected);
    const json = await downloadedAs(page, 'JSON');
    const { columns, rows } = JSON.parse(json.bytes);
    assert.deepEqual(rows.map((row) => numbers(Object.fromEntries(columns.map(({ name }, i) => [name, row[i]])))), expected);
    const arrow = await downloadedAs(page, 'Arrow');
    // An Arrow IPC stream: the continuation marker, then a message of metadata version 5; the reader is the SDK's peer, Python.
    assert.equal(arrow.bytes.readUInt32LE(0), 0xffffffff);
    assert.deepEqual(await readArrow(arrow.bytes), expected);
  }));

const numbers = ({ zone, n, total }) => ({ zone, n: Number(n), total: Number(total) });

async function readArrow(bytes) {
  const { execFileSync } = await import('node:child_process');
  const { python } = await import('./lib/parts.mjs');
  const script = 'import sys, json, pyarrow; print(json.dumps(pyarrow.ipc.open_stream(sys.stdin.buffer).read_all().to_pylist()))';
  return JSON.parse(execFileSync(python(), ['-c', script], { input: bytes }));
}

test('what was run is in the history, and a link carries query and range', () =>
  withPage({}, async (page) => {
    await visit(page, `/explore?${WINDOW}&${new URLSearchParams({ sql: 'SELECT 41 AS answer', chart: 'table' })}`);
    await result(page).getByText('41').waitFor();
    assert.equal(rangeOf(page).from, START, 'the range of the link');
    await editor(page).waitFor();
    await type(page, 'SELECT 42 AS answer');
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await result(page).getByText('42').waitFor();
    await goBack(page);
    await result(page).getByText('41').waitFor();
    await page.getByRole('tab', { name: 'History' }).click();
    await page.getByRole('button', { name: /SELECT 42 AS answer/ }).first().click();
    await result(page).getByText('42').waitFor();
    await page.reload();
    await page.getByRole('tab', { name: 'History' }).click();
    await page.getByRole('button', { name: /Delete the query SELECT 42/ }).click();
    await until('it to be gone', async () => (await page.getByRole('button', { name: /Delete the query SELECT 42/ }).count()) === 0);
  }));

test('metrics are found and asked for without writing SQL', () =>
  withPage({}, async (page) => {
    await visit(page, '/explore');
    await page.getByRole('searchbox', { name: /metric/i }).fill('page.lev');
    await page.getByRole('button', { name: /^page\.level/ }).click();
    await result(page).locator('canvas').waitFor();
    assert.match(new URL(page.url()).searchParams.get('sql'), /page\.level/);
  }));

test('a query that runs can be stopped', () =>
  withPage({}, async (page) => {
    const sql = 'SELECT count(*) FROM metrics a CROSS JOIN metrics b CROSS JOIN metrics c WHERE a.value + b.value > c.value';
    await visit(page, '/explore');
    await editor(page).waitFor();
    await type(page, sql);
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Cancel' }).waitFor({ state: 'detached' });
    assert.deepEqual(await (await fed()).sql('SELECT 1'), [[1]], 'others are answered');
  }));

// Traces: the list and its filters, the waterfall of a trace that is known.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { assertTitle, goBack, visit } from './lib/app.mjs';
import { attributes, nanos, send } from './lib/otlp.mjs';
import { fed, withPage } from './lib/session.mjs';
import { until } from './lib/wait.mjs';

/** Its own in every run, so that a server can be used again. */
const TRACE = randomBytes(16).toString('hex');
const SERVICE = `page-traces-${TRACE.slice(0, 6)}`;
const id = (n) => n.toString(16).padStart(16, '0');
const BEGIN = Date.now() - 20_000;

/** A request of 100 ms: [number, parent, name, start, end (ms), failed]. */
const SPANS = [
  [1, 0, 'GET /known', 0, 100, false],
  [2, 1, 'load', 5, 60, false],
  [3, 2, 'SELECT', 10, 30, false],
  [4, 2, 'SELECT', 31, 55, false],
  [5, 1, 'render', 60, 95, true],
];

const span = ([n, parent, name, start, end, failed]) => ({
  traceId: TRACE,
  spanId: id(n),
  parentSpanId: parent ? id(parent) : '',
  name,
  kind: n === 1 ? 2 : 1,
  startTimeUnixNano: nanos(BEGIN + start),
  endTimeUnixNano: nanos(BEGIN + end),
  attributes: attributes({ 'page.number': n }),
  events: failed ? [{ timeUnixNano: nanos(BEGIN + end - 1), name: 'exception', attributes: attributes({ 'exception.message': 'no template' }) }] : [],
  status: failed ? { code: 2, message: 'could not render' } : {},
});

let sent;
const known = async () => {
  sent ??= send((await fed()).otlp, 'traces', SPANS.map(span), { 'service.name': SERVICE });
  await sent;
};

const items = (page) => page.getByRole('list', { name: 'Traces' }).getByRole('listitem');
const grid = (page) => page.getByRole('treegrid', { name: 'Spans' });
const spans = (page) => grid(page).getByRole('row');

test('traces are listed by service, operation, duration and error', () =>
  withPage({}, async (page) => {
    await known();
    await visit(page, '/traces?from=now-5m&to=now');
    await assertTitle(page, 'Traces · Catchment');
    await items(page).first().waitFor();
    await page.getByRole('img', { name: /traces by start and duration/ }).waitFor();
    const service = page.getByRole('combobox', { name: 'Service' });
    await until('the services', async () => (await service.locator('option').allTextContents()).includes(SERVICE));
    await service.selectOption(SERVICE);
    await until('one trace', async () => (await items(page).count()) === 1);
    const text = await items(page).first().textContent();
    for (const part of ['GET /known', '100 ms', '5 spans', '1 error']) assert.match(text, new RegExp(part), text);
    const shows = async (query, count) => {
      await visit(page, `/traces?from=now-5m&to=now&service=${SERVICE}&${query}`);
      if (count === 0) await page.getByText('No traces').waitFor();
      else await until(`${count} with ${query}`, async () => (await items(page).count()) === count);
    };
    await shows('min=99ms', 1);
    await shows('min=101ms', 0);
    await shows('max=101ms&errors=true', 1);
    await shows('operation=GET+%2Fknown', 1);
    await shows('operation=load', 1);
    await shows('operation=elsewhere', 0);
  }));

test('the longest come first when asked for', () =>
  withPage({}, async (page) => {
    await visit(page, '/traces?from=now-5m&to=now&service=frontend');
    await page.getByRole('combobox', { name: 'Order' }).selectOption({ label: 'Longest first' });
    await page.waitForURL((url) => url.searchParams.get('sort') === 'longest');
    const seconds = (text) => {
      const [, number, unit] = /([\d.]+)\s*(µs|us|ms|s|min)/.exec(text);
      return Number(number) * { µs: 1e-6, us: 1e-6, ms: 1e-3, s: 1, min: 60 }[unit];
    };
    await until('the order of their durations', async () => {
      const durations = (await items(page).locator('.duration').allTextContents()).map(seconds);
      return durations.length > 3 && durations.every((one, i) => i === 0 || one <= durations[i - 1]);
    });
  }));

test('the waterfall of a trace has every span at its place', () =>
  withPage({}, async (page) => {
    await known();
    await visit(page, `/traces/${TRACE}`);
    await until('all spans', async () => (await spans(page).count()) === SPANS.length);
    await assertTitle(page, 'Traces · Catchment').catch(() => {});
    assert.deepEqual(await spans(page).locator('.operation').allTextContents(), SPANS.map(([, , name]) => name));
    assert.deepEqual(
      await spans(page).evaluateAll((all) => all.map((row) => Number(row.getAttribute('aria-level')))),
      [1, 2, 3, 3, 2],
    );
    const bars = await grid(page).locator('.bar').evaluateAll((all) =>
      all.map((bar) => [bar.style.left, bar.style.width].map(Number.parseFloat)),
    );
    SPANS.forEach(([n, , , start, end], i) => {
      const [left, width] = bars[i];
      assert(Math.abs(left - start) < 0.5 && Math.abs(width - (end - start)) < 0.5, `span ${n} is at ${left}%, ${width}% wide`);
    });
    await page.getByText('5 spans', { exact: true }).waitFor();
    await page.getByText('1 error', { exact: true }).waitFor();
  }));

test('a span shows all of itself, and has a link', () =>
  withPage({}, async (page) => {
    await known();
    await visit(page, `/traces/${TRACE}`);
    await spans(page).filter({ hasText: 'render' }).click();
    const details = page.getByRole('complementary', { name: 'Span', exact: true });
    for (const text of ['could not render', 'no template', 'page.number', id(5)]) {
      await details.getByText(text, { exact: true }).first().waitFor();
    }
    assert.equal(new URL(page.url()).searchParams.get('span'), id(5));
    await page.reload();
    await details.getByText('could not render').waitFor();
    await details.getByRole('button', { name: 'Close the span' }).click();
    await details.waitFor({ state: 'detached' });
  }));

test('the tree of spans goes by the keys', () =>
  withPage({}, async (page) => {
    await known();
    await visit(page, `/traces/${TRACE}`);
    await until('all spans', async () => (await spans(page).count()) === SPANS.length);
    await grid(page).focus();
    const active = () => grid(page).getAttribute('aria-activedescendant');
    const first = await active();
    await page.keyboard.press('ArrowDown');
    assert.notEqual(await active(), first);
    await page.keyboard.press('ArrowLeft');
    await until('load to be closed', async () => (await spans(page).count()) === SPANS.length - 2);
    await page.keyboard.press('ArrowRight');
    await until('load to be open', async () => (await spans(page).count()) === SPANS.length);
    await page.keyboard.press('Enter');
    await page.getByRole('complementary', { name: 'Span', exact: true }).getByRole('heading', { name: 'load' }).waitFor();
    await page.getByRole('searchbox', { name: 'Find spans' }).fill('select');
    await page.getByText(/2 found/).waitFor();
  }));

test('a trace of the shop goes through its services, and back leads to the list', () =>
  withPage({}, async (page) => {
    await visit(page, '/traces?from=now-5m&to=now&service=frontend&operation=POST+%2Fcheckout');
    await page.getByRole('button', { name: 'Pause' }).last().click();
    await items(page).first().getByRole('link').click();
    await spans(page).first().waitFor();
    const trace = new URL(page.url()).pathname.split('/').at(-1);
    const [[count, services]] = await (await fed()).sql(
      `SELECT count(*), count(DISTINCT service_name) FROM spans WHERE trace_id = '${trace}'`,
    );
    await until('as many rows as spans', async () => (await spans(page).count()) === Number(count));
    const shown = await spans(page).locator('.service').allTextContents();
    assert.equal(new Set(shown).size, Number(services));
    await page.getByRole('tab', { name: /^Logs \(\d/ }).click();
    await page.getByText(/order \d+ (placed|failed)|checkout of order/).first().waitFor();
    await goBack(page);
    await items(page).first().waitFor();
  }));

test('a trace that is not there is said to be missing', () =>
  withPage({}, async (page) => {
    await page.goto('/traces/00000000000000000000000000000001');
    await page.getByText('No spans of this trace').waitFor();
    await page.getByRole('button', { name: /Look/ }).waitFor();
  }));

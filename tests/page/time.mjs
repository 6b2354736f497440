// The time range: relative, absolute, typed, in any zone; zoomed, panned, paused; and the crosshair that all charts share.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { goBack, panel, panelRows, plots, rangeOf, settled, visit } from './lib/app.mjs';
import { gauge, send } from './lib/otlp.mjs';
import { END, START, STEP } from './lib/samples.mjs';
import { fed, withPage } from './lib/session.mjs';
import { until } from './lib/wait.mjs';

const TO = END + STEP;
const WINDOW = `from=${new Date(START).toISOString()}&to=${new Date(TO).toISOString()}`;
const openKinds = (page, query = WINDOW) => visit(page, `/boards/kinds?${query}`);
const picker = (page) => page.getByRole('button', { name: /^Time range/ });

test('the usual ranges are a click away, and back undoes one', () =>
  withPage({}, async (page) => {
    await openKinds(page, '');
    assert.match(await picker(page).textContent(), /Last 15 minutes/);
    await picker(page).click();
    await page.getByRole('button', { name: 'Last 5 minutes' }).click();
    assert.equal(rangeOf(page).text, 'now-5m');
    assert.match(await picker(page).textContent(), /Last 5 minutes/);
    await until('only rows of the last five minutes', async () => {
      const rows = await panelRows(page, 'Lines');
      return rows.length > 0 && rows.every(({ t }) => Date.parse(t) > Date.now() - 310_000);
    });
    await goBack(page);
    assert.match(await picker(page).textContent(), /Last 15 minutes/);
  }));

test('a range is typed, in the zone that is chosen, and the address carries both', () =>
  withPage({}, async (page) => {
    await openKinds(page, 'tz=Asia/Kolkata');
    const clock = new Intl.DateTimeFormat('sv-SE', { timeZone: 'Asia/Kolkata', dateStyle: 'short', timeStyle: 'medium' });
    await picker(page).click();
    await page.getByRole('textbox', { name: 'From' }).fill(clock.format(START));
    await page.getByRole('textbox', { name: 'To', exact: true }).fill(clock.format(TO));
    await page.getByRole('button', { name: 'Show this range' }).click();
    assert.deepEqual(rangeOf(page), { from: START, to: TO, text: new Date(START).toISOString() });
    assert.match(await picker(page).textContent(), /Asia\/Kolkata/);

    const article = panel(page, 'Lines');
    await article.getByRole('button', { name: 'Menu of Lines' }).click();
    await page.getByRole('menuitem', { name: 'View as table' }).click();
    const first = article.getByRole('table').locator('tbody tr').first().locator('td').first();
    await first.waitFor();
    assert.equal(await first.textContent(), clock.format(END), 'the newest row, on the clock of the zone');
    await page.reload();
    await settled(page);
    assert.deepEqual(rangeOf(page).from, START);
    assert.match(await picker(page).textContent(), /Asia\/Kolkata/);
  }));

test('what is not a range is refused with the reason', () =>
  withPage({}, async (page) => {
    await openKinds(page);
    await picker(page).click();
    const from = page.getByRole('textbox', { name: 'From' });
    for (const [typed, mistake] of [
      ['yesterday-ish', /is not a time/],
      ['2099-01-01 00:00', /ends before it begins/],
    ]) {
      await from.fill(typed);
      await page.getByRole('button', { name: 'Show this range' }).click();
      assert.match(await page.getByRole('alert').textContent(), mistake);
    }
    assert.equal(rangeOf(page).from, START);
  }));

/** The time at a share of a plot's width, give or take one pixel. */
async function assertRange(page, from, to, width) {
  await until('the address to have the new range', () => rangeOf(page).from !== START || rangeOf(page).to !== TO);
  const range = rangeOf(page);
  const pixel = (TO - START) / width;
  assert(Math.abs(range.from - from) <= 1.5 * pixel, `${page.url()}: from is ${(range.from - from) / pixel} pixels off`);
  assert(Math.abs(range.to - to) <= 1.5 * pixel, `to is ${(range.to - to) / pixel} pixels off`);
}

const at = (share) => START + share * (TO - START);

async function plotOf(page, title) {
  const over = panel(page, title).locator('.u-over');
  await over.waitFor();
  await over.scrollIntoViewIfNeeded();
  return { over, ...(await over.boundingBox()) };
}

async function drag(page, box, from, to) {
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + from * box.width, y);
  await page.mouse.down();
  await page.mouse.move(box.x + ((from + to) / 2) * box.width, y);
  await page.mouse.move(box.x + to * box.width, y);
  await page.mouse.up();
}

test('dragging zooms, back and a double click zoom out', () =>
  withPage({}, async (page) => {
    await openKinds(page);
    const plot = await plotOf(page, 'Lines');
    await drag(page, plot, 0.25, 0.75);
    await assertRange(page, at(0.25), at(0.75), plot.width);
    await goBack(page);
    assert.equal(rangeOf(page).from, START);
    await drag(page, plot, 0.8, 0.5);
    await assertRange(page, at(0.5), at(0.8), plot.width);
    await plot.over.dblclick();
    await until('the range to be twice as long', () => {
      const { from, to } = rangeOf(page);
      return Math.abs(to - from - 0.6 * (TO - START)) < 20_000;
    });
  }));

test('the window moves with Shift, the wheel, the buttons and the keys', () =>
  withPage({}, async (page) => {
    const length = TO - START;
    // A length back, so that there is room before and after.
    const [from, to] = [START - length, TO - length];
    const open = async () => {
      await openKinds(page, `from=${new Date(from).toISOString()}&to=${new Date(to).toISOString()}`);
      await panel(page, 'Lines').waitFor();
    };
    const moved = async (by, act, width = 1000) => {
      await act();
      await until('another range', () => rangeOf(page).from !== from);
      const range = rangeOf(page);
      const pixel = length / width;
      assert(Math.abs(range.from - from - by * length) <= 1.5 * pixel, `moved by ${(range.from - from) / length} instead of ${by}`);
      assert(Math.abs(range.to - to - by * length) <= 1.5 * pixel, 'the length stays');
    };
    await openKinds(page);
    await page.keyboard.press('[');
    await until('half a window back', () => rangeOf(page).from === START - length / 2);
    const plot = await plotOf(page, 'Lines');
    const before = rangeOf(page);
    await page.keyboard.down('Shift');
    await drag(page, plot, 0.3, 0.5);
    await page.keyboard.up('Shift');
    await until('a fifth further back', () => Math.abs(rangeOf(page).from - before.from + 0.2 * length) <= (1.5 * length) / plot.width);
    const dragged = rangeOf(page);
    await page.mouse.wheel(plot.width / 4, 0);
    await until('a quarter forward', () => Math.abs(rangeOf(page).from - dragged.from - length / 4) <= (1.5 * length) / plot.width);
    await page.keyboard.down('Control');
    await page.mouse.wheel(0, -100);
    await page.keyboard.up('Control');
    await until('a shorter range', () => rangeOf(page).to - rangeOf(page).from < length * 0.9);

    for (const [by, act] of [
      [-0.5, () => page.getByRole('button', { name: 'Back in time' }).click()],
      [0.5, () => page.getByRole('button', { name: 'Forward in time' }).click()],
      [-0.5, () => page.keyboard.press('[')],
      [0.5, () => page.keyboard.press(']')],
    ]) {
      await open();
      await moved(by, act);
    }
    await open();
    await page.getByRole('banner').getByRole('button', { name: 'Zoom out' }).click();
    await until('twice the range', () => rangeOf(page).to - rangeOf(page).from > 1.9 * length);
    await openKinds(page);
    await page.keyboard.press(']');
    await until('a window that would end in the future to end now, and slide', () => rangeOf(page).text === 'now-10m');
  }));

test('pointing at one chart points at the same time in all', () =>
  withPage({}, async (page) => {
    await openKinds(page);
    await until('several plots', async () => (await plots(page)).length >= 4);
    const plot = await plotOf(page, 'Lines');
    await page.mouse.move(plot.x + plot.width * 0.4, plot.y + 20);
    const places = await until('a crosshair in every plot', async () => {
      const found = await page.locator('.u-over').evaluateAll((all) =>
        all
          .filter((over) => over.getBoundingClientRect().top < innerHeight)
          .map((over) => {
            const line = over.querySelector('.crosshair');
            const box = over.getBoundingClientRect();
            return line.hidden ? null : (line.getBoundingClientRect().left - box.left) / box.width;
          }),
      );
      return found.length >= 4 && found.every((share) => share !== null) && found;
    });
    for (const share of places) assert(Math.abs(share - 0.4) < 0.01, `a crosshair at ${share} instead of 0.4`);
    const times = await page.locator('.legend .pointed').allTextContents();
    assert(times.length > 1, 'legends show the values at that time');
    await page.mouse.move(2, 2);
    await until('no crosshair', async () => (await page.locator('.crosshair:not([hidden])').count()) === 0);
  }));

const now = (v) => gauge('page.now', [{ t: Date.now(), v }]);
const LIVE = `/explore?${new URLSearchParams({ sql: 'SELECT ts AS t, value FROM "page.now" WHERE $range', chart: 'table' })}`;
const shownRows = async (page) => page.getByRole('table', { name: 'Result' }).locator('tbody tr:not([aria-hidden])').count();

test('data shows as it comes; paused it does not; resumed it does again', () =>
  withPage({}, async (page) => {
    const { otlp } = await fed();
    await send(otlp, 'metrics', [now(1)]);
    await visit(page, LIVE);
    const first = await until('the first row', () => shownRows(page));
    await send(otlp, 'metrics', [now(2)]);
    await until('the second row by itself', async () => (await shownRows(page)) === first + 1);

    await page.getByRole('button', { name: 'Pause', exact: true }).first().click();
    assert.equal(new URL(page.url()).searchParams.get('refresh'), 'paused');
    await page.getByText('Paused').first().waitFor();
    const other = await page.context().newPage();
    await visit(other, LIVE);
    await until('the rows in a second window', async () => (await shownRows(other)) === first + 1);
    await send(otlp, 'metrics', [now(3)]);
    await until('the new row in the second window', async () => (await shownRows(other)) === first + 2);
    assert.equal(await shownRows(page), first + 1, 'nothing moves while paused');

    await page.locator('h1').click();
    await page.keyboard.press('p');
    await until('the third row', async () => (await shownRows(page)) === first + 2);
  }));

test('results come every so often when asked for', () =>
  withPage({}, async (page) => {
    await visit(page, '/boards/kinds');
    await page.getByRole('button', { name: /^Refresh: Live/ }).click();
    await page.getByRole('menuitemcheckbox', { name: 'Every 5s' }).click();
    assert.equal(new URL(page.url()).searchParams.get('refresh'), '5s');
    const { otlp } = await fed();
    const before = (await panelRows(page, 'Lines')).length;
    await send(otlp, 'metrics', [gauge('page.level', [{ t: Date.now() - 1000, v: 5, zone: 'north' }])]);
    await until('the new point', async () => (await panelRows(page, 'Lines')).length > before);
  }));

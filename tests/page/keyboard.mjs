// Everything by the keyboard alone: reachable in order, with the focus in sight, and back where it was after a dialog.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { focused, panel, scrollThrough, settled, visit } from './lib/app.mjs';
import { END, START, STEP } from './lib/samples.mjs';
import { fed, withPage } from './lib/session.mjs';
import { until } from './lib/wait.mjs';

const WINDOW = `from=${new Date(START).toISOString()}&to=${new Date(END + STEP).toISOString()}`;
const MOST = 400;

/** In the page: what the focused element is and whether its focus shows. */
function describe() {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const marked = (at) => {
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(at);
    return (outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 1) || boxShadow !== 'none';
  };
  const box = element.getBoundingClientRect();
  globalThis.walked ??= [];
  const before = globalThis.walked.at(-1);
  globalThis.walked.push(element);
  return {
    name: `${element.tagName.toLowerCase()}.${String(element.className)} “${(element.getAttribute('aria-label') ?? element.textContent).trim().slice(0, 50)}”`,
    again: globalThis.walked.indexOf(element) < globalThis.walked.length - 1,
    marked: marked(element) || marked(element.parentElement) || element.closest('.cm-editor') !== null,
    seen: box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
    forward: !before || (before.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING) !== 0,
  };
}

async function walk(page) {
  const stops = [];
  for (let i = 0; i < MOST; i++) {
    await page.keyboard.press('Tab');
    const stop = await page.evaluate(describe);
    if (stop === null || stop.again) return stops;
    stops.push(stop);
  }
  throw new Error(`more than ${MOST} stops: ${stops.at(-1).name}`);
}

for (const [name, path] of [
  ['a board', `/boards/kinds?${WINDOW}`],
  ['Logs', `/logs?from=now-5m&to=now&refresh=paused&q=${encodeURIComponent('severity>=error')}`],
  ['Traces', '/traces?from=now-1m&to=now&refresh=paused&errors=true'],
  ['Explore', '/explore'],
  ['Pipelines', '/pipelines'],
]) {
  test(`Tab goes through ${name} in order, and the focus is always in sight`, () =>
    withPage({}, async (page) => {
      await visit(page, path);
      // What a panel shows has come before the walk does, and not behind it.
      await scrollThrough(page);
      await page.evaluate(() => document.activeElement?.blur());
      const stops = await walk(page);
      assert.match(stops[0].name, /To the content/, 'the first stop leads past the navigation');
      const wrong = stops.filter(({ marked, seen, forward }) => !marked || !seen || !forward);
      assert.deepEqual(wrong, [], `${stops.length} stops`);
      const controls = await page.evaluate(() => {
        const all = document.querySelectorAll('a[href], button, input, select, textarea, [tabindex="0"]');
        const reachable = [...all].filter(
          (element) => element.tabIndex >= 0 && !element.disabled && element.checkVisibility({ visibilityProperty: true }) && !element.closest('[popover]:not(:popover-open)'),
        );
        return reachable.filter((element) => !globalThis.walked.includes(element)).map((element) => element.outerHTML.slice(0, 120));
      });
      // A live list may have changed under the walk; what stays must have been reached.
      const missed = path.startsWith('/boards') ? controls : controls.filter((html) => !/data-opens|trace-row/.test(html));
      assert.deepEqual(missed, [], 'controls that Tab does not reach');
    }));
}

test('the skip link leads to the content', () =>
  withPage({}, async (page) => {
    await visit(page, `/boards/kinds?${WINDOW}`);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await until('the focus to be on the content', async () => /^main/.test(await focused(page)));
  }));

test('? lists the keys, Tab stays in the dialog, Escape gives the focus back', () =>
  withPage({}, async (page) => {
    await visit(page, `/boards/kinds?${WINDOW}`);
    const opener = page.getByRole('banner').getByRole('button', { name: 'Zoom out' });
    await opener.focus();
    await page.keyboard.press('?');
    const dialog = page.getByRole('dialog', { name: 'Keyboard shortcuts' });
    await dialog.waitFor();
    for (let i = 0; i < 6; i++) {
      await page.keyboard.press('Tab');
      assert(await dialog.evaluate((element) => element.contains(document.activeElement) || document.activeElement === document.body));
    }
    for (const label of ['Time range', 'Pause or resume', 'Zoom out', 'Light or dark', 'Explore']) {
      await dialog.getByText(label, { exact: true }).waitFor();
    }
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    assert(await opener.evaluate((element) => element === document.activeElement), await focused(page));
  }));

test('two keys go to every page, and their focus is on its content', () =>
  withPage({}, async (page) => {
    await visit(page, '/boards/kinds');
    for (const [key, path] of Object.entries({ l: '/logs', t: '/traces', e: '/explore', p: '/pipelines', s: '/boards/services', h: '/' })) {
      await page.keyboard.press('g');
      await page.keyboard.press(key);
      await page.waitForURL((url) => url.pathname === path);
      await settled(page);
      await until('the focus to be on the content', async () => /^main/.test(await focused(page)));
    }
    // While something is typed, letters are letters.
    await page.keyboard.press('g');
    await page.keyboard.press('l');
    await page.waitForURL((url) => url.pathname === '/logs');
    await page.getByRole('searchbox', { name: 'Search logs' }).focus();
    await page.keyboard.type('gh?p');
    assert.equal(new URL(page.url()).pathname, '/logs');
    assert.equal(await page.getByRole('dialog').count(), 0);
  }));

test('menus, the range and the values of a chart go by the keys', () =>
  withPage({}, async (page) => {
    await visit(page, `/boards/kinds?${WINDOW}`);
    const lines = panel(page, 'Lines');
    const menu = lines.getByRole('button', { name: 'Menu of Lines' });
    await menu.focus();
    await page.keyboard.press('Enter');
    await until('the first item', async () => /View as table/.test(await focused(page)));
    await page.keyboard.press('ArrowDown');
    assert.match(await focused(page), /Full screen/);
    await page.keyboard.press('End');
    assert.match(await focused(page), /Download CSV/);
    await page.keyboard.press('Escape');
    await until('the focus on the menu again', () => menu.evaluate((element) => element === document.activeElement));

    const plot = lines.locator('.plot');
    await plot.focus();
    const spoken = lines.locator('[aria-live=polite]');
    await page.keyboard.press('End');
    const clock = new Date(END).toISOString().slice(0, 19).replace('T', ' ');
    await until('the last values to be told', async () => (await spoken.textContent()).startsWith(clock));
    for (const zone of ['north', 'south', 'west']) assert.match(await spoken.textContent(), new RegExp(zone));
    await page.keyboard.press('ArrowLeft');
    const before = new Date(END - STEP).toISOString().slice(0, 19).replace('T', ' ');
    await until('the values before', async () => (await spoken.textContent()).startsWith(before));
    await page.keyboard.press('Escape');
    await until('no crosshair', async () => (await page.locator('.crosshair:not([hidden])').count()) === 0);
    await page.keyboard.press('+');
    await until('half the range', () => new URL(page.url()).searchParams.get('from') !== new Date(START).toISOString());

    await page.keyboard.press('t');
    await page.getByRole('dialog', { name: /^Time range/ }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog', { name: /^Time range/ }).waitFor({ state: 'hidden' });
  }));

test('movement is avoided for who asks for it', async () => {
  await fed();
  await withPage({ reducedMotion: 'reduce' }, async (page) => {
    await visit(page, '/');
    const moving = await page.evaluate(() =>
      document
        .getAnimations()
        .map(({ effect }) => effect)
        .filter((effect) => effect.getComputedTiming().duration > 1)
        .map((effect) => effect.target.outerHTML.slice(0, 100)),
    );
    assert.deepEqual(moving, []);
  });
});

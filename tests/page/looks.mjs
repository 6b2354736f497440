// Light, dark and the system's look without a flash; a phone's width; what axe finds; the size of what is loaded first.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scrollThrough, settled, visit } from './lib/app.mjs';
import { assertAccessible } from './lib/axe.mjs';
import { colourAt, newPage } from './lib/browser.mjs';
import { END, START, STEP } from './lib/samples.mjs';
import { browser, fed, withPage } from './lib/session.mjs';
import { until } from './lib/wait.mjs';

// As long as the range's text gets.
const WINDOW = new URLSearchParams({
  from: new Date(START).toISOString(),
  to: new Date(END + STEP).toISOString(),
  tz: 'America/Argentina/Buenos_Aires',
});
const PAGES = {
  Host: '/?from=now-5m&to=now',
  Services: '/boards/services?from=now-5m&to=now',
  'Every kind': `/boards/kinds?${WINDOW}`,
  Logs: '/logs',
  Traces: '/traces?from=now-5m&to=now',
  Explore: `/explore?${new URLSearchParams({ sql: 'SELECT ts AS t, zone, value FROM "page.level" WHERE $range' })}`,
  'An answer as a table': `/explore?${new URLSearchParams({ sql: 'SELECT * FROM logs LIMIT 50', chart: 'table' })}`,
  'Alerts, of which there are none': '/alerts',
  Pipelines: '/pipelines',
  'Pipelines as tables': '/pipelines?view=tables',
};

async function aTrace() {
  const [[id]] = await (await fed()).sql("SELECT trace_id FROM spans WHERE name = 'POST /checkout' LIMIT 1");
  return `/traces/${id}`;
}

const allPages = async () => ({ ...PAGES, 'A trace': await aTrace() });

const luminance = ([red, green, blue]) => 0.2126 * red + 0.7152 * green + 0.0722 * blue;

/** The first paint: the app's own script is held back, so that only what stands in the page itself can colour it. */
async function firstPaint(options, stored) {
  const { url } = await fed();
  const page = await newPage(await browser(), url, options);
  if (stored) await page.addInitScript((theme) => localStorage.setItem('catchment.theme', theme), stored);
  let release;
  const held = new Promise((done) => {
    release = done;
  });
  await page.route(/\/assets\/index-.*\.js$/, async (route) => {
    await held;
    await route.continue();
  });
  await page.goto('/pipelines', { waitUntil: 'commit' });
  await page.waitForFunction(() => document.styleSheets.length > 0 && document.getElementById('app'));
  const before = await colourAt(page, 300, 300);
  release();
  await settled(page);
  const after = await colourAt(page, 4, 890);
  await page.assertClean();
  await page.context().close();
  return { before, after };
}

test('the first paint has the right background, before any script of the app has run', async () => {
  for (const [look, stored, dark] of [
    ['light', null, false],
    ['dark', null, true],
    ['light', 'dark', true],
    ['dark', 'light', false],
  ]) {
    const { before, after } = await firstPaint({ look }, stored);
    const what = `system ${look}, chosen ${stored}: ${before}, then ${after}`;
    assert.equal(luminance(before) < 60, dark, what);
    assert.equal(luminance(before) > 200, !dark, what);
    assert.equal(luminance(after) < 60, dark, what);
  }
});

test('the look is chosen in the menu or with a key, and stays', () =>
  withPage({}, async (page) => {
    const dark = () => page.evaluate(() => getComputedStyle(document.documentElement).colorScheme === 'dark');
    await visit(page, '/boards/kinds');
    await page.getByRole('button', { name: 'Theme' }).click();
    await page.getByRole('menuitemcheckbox', { name: 'Dark' }).click();
    assert(await dark());
    await page.reload();
    assert(await dark());
    await settled(page);
    await page.keyboard.press('d');
    assert(!(await dark()));
    await page.getByRole('button', { name: 'Theme' }).click();
    await page.getByRole('menuitemcheckbox', { name: 'As the system' }).click();
    await page.emulateMedia({ colorScheme: 'dark' });
    await until('a canvas of the dark look', () =>
      page.evaluate(() => matchMedia('(prefers-color-scheme: dark)').matches && document.documentElement.dataset.theme === undefined),
    );
  }));

for (const look of ['light', 'dark']) {
  test(`axe finds nothing serious in the ${look} look`, async (t) => {
    for (const [name, path] of Object.entries(await allPages())) {
      await t.test(name, () =>
        withPage({ look }, async (page) => {
          await visit(page, path);
          if (name === 'Every kind') await scrollThrough(page);
          await assertAccessible(page, `${name}, ${look}`);
        }),
      );
    }
  });
}

test('axe finds nothing serious in what opens', () =>
  withPage({}, async (page) => {
    await visit(page, '/boards/kinds');
    await page.getByRole('button', { name: /^Time range/ }).click();
    await page.getByRole('textbox', { name: 'From' }).waitFor();
    await assertAccessible(page, 'the range picker');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Menu of Lines' }).click();
    await assertAccessible(page, 'the menu of a panel');
    await page.keyboard.press('Escape');
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
    await assertAccessible(page, 'the help');
  }));

/** What sticks out of the screen and cannot be scrolled to within its own box. */
function tooWide() {
  const width = document.documentElement.clientWidth;
  const clipped = (element) => {
    for (let at = element.parentElement; at; at = at.parentElement) {
      if (getComputedStyle(at).overflowX !== 'visible') return true;
    }
    return false;
  };
  return [...document.querySelectorAll('body *')]
    .filter((element) => element.getBoundingClientRect().right > width + 1 && element.checkVisibility() && !clipped(element))
    .map((element) => `${element.tagName.toLowerCase()}.${element.className}`)
    .slice(0, 10);
}

test('a phone shows every page without scrolling sideways', async (t) => {
  for (const [name, path] of Object.entries(await allPages())) {
    await t.test(name, () =>
      withPage({ look: 'phone' }, async (page) => {
        await visit(page, path);
        await scrollThrough(page);
        const { scrolls, screen } = await page.evaluate(() => ({
          scrolls: document.documentElement.scrollWidth,
          screen: document.documentElement.clientWidth,
        }));
        assert.equal(screen, 360);
        assert(scrolls <= screen, `${scrolls - screen} px too wide: ${await page.evaluate(tooWide)}`);
        await assertAccessible(page, `${name} on a phone`);
      }),
    );
  }
});

test('a phone has the navigation behind a button', () =>
  withPage({ look: 'phone' }, async (page) => {
    await visit(page, '/boards/kinds');
    await page.getByRole('button', { name: 'Open the menu' }).tap();
    const drawer = page.getByRole('dialog', { name: 'Catchment' });
    await drawer.getByRole('link', { name: 'Logs' }).tap();
    await page.waitForURL((url) => url.pathname === '/logs');
    await drawer.waitFor({ state: 'detached' });
  }));

test('the first load is at most 150 KB of JavaScript, and everything is compressed and kept', () =>
  withPage({}, async (page) => {
    const loaded = [];
    const session = await page.context().newCDPSession(page);
    await session.send('Network.enable');
    const types = new Map();
    session.on('Network.responseReceived', ({ requestId, type, response }) => types.set(requestId, { type, response }));
    session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
      const of = types.get(requestId);
      if (of) loaded.push({ ...of, bytes: encodedDataLength });
    });
    await visit(page, '/');
    await page.locator('.panel canvas').first().waitFor();
    const scripts = loaded.filter(({ response }) => /javascript/.test(response.mimeType));
    const bytes = scripts.reduce((sum, one) => sum + one.bytes, 0);
    assert(scripts.length > 0 && bytes <= 150 * 1024, `${bytes} bytes of JavaScript in ${scripts.length} files`);
    for (const { response } of loaded.filter(({ response }) => /\/assets\/.*\.(js|css)$/.test(response.url))) {
      const headers = Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name.toLowerCase(), value]));
      assert.match(headers['content-encoding'] ?? 'none', /^(br|gzip)$/, response.url);
      assert.match(headers['cache-control'], /immutable/, response.url);
    }
  }));

test('the policy of the page lets nothing in from elsewhere', async () => {
  const { url } = await fed();
  for (const path of ['/', '/logs', '/traces/abc', '/explore', '/pipelines', '/boards/host']) {
    const policy = (await fetch(url + path)).headers.get('content-security-policy');
    const of = Object.fromEntries(policy.split(';').map((part) => part.trim().split(/ (.*)/s)));
    assert.equal(of['default-src'], "'none'", path);
    assert.equal(of['script-src'], "'self'", path);
    assert.equal(of['connect-src'], "'self'", path);
    assert.equal(of['frame-ancestors'], "'none'", path);
  }
});

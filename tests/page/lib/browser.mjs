// Chromium, and pages that are watched: what the console, the Content-Security-Policy or the network has against them is a failure.
import assert from 'node:assert/strict';
import { chromiumPath, playwright } from './parts.mjs';
import { PATIENCE } from './wait.mjs';

export const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export const launch = (more = []) =>
  playwright().chromium.launch({ executablePath: chromiumPath(), args: [...FLAGS, ...more] });

export const LOOKS = {
  light: { viewport: { width: 1440, height: 900 }, colorScheme: 'light' },
  dark: { viewport: { width: 1440, height: 900 }, colorScheme: 'dark' },
  phone: {
    viewport: { width: 360, height: 740 },
    colorScheme: 'light',
    isMobile: true,
    hasTouch: true,
    deviceScaleFactor: 2,
  },
};

/** Runs in the page before its own scripts. */
function listen() {
  globalThis.violations = [];
  document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sourceFile }) => {
    globalThis.violations.push(`${violatedDirective} ${blockedURI} ${sourceFile}`);
  });
  globalThis.alert = globalThis.confirm = globalThis.prompt = () => globalThis.violations.push('a dialog');
}

/** A page in a context of its own. `options` are Playwright's of a context, over those of a look. */
export async function newPage(browser, base, { look = 'light', ...options } = {}) {
  const context = await browser.newContext({ baseURL: base, timezoneId: 'UTC', locale: 'en', ...LOOKS[look], ...options });
  context.setDefaultTimeout(PATIENCE);
  await context.addInitScript(listen);
  const page = await context.newPage();
  watch(page, base);
  return page;
}

function watch(page, base) {
  const problems = [];
  const expected = [];
  const add = (problem) => {
    if (!expected.some((pattern) => pattern.test(problem))) problems.push(problem);
  };
  page.on('console', (message) => {
    // Chromium's advice about the checks' own reading of a canvas.
    if (/willReadFrequently/.test(message.text())) return;
    if (['error', 'warning'].includes(message.type())) {
      add(`console ${message.type()}: ${message.text()} ${message.location().url ?? ''}`);
    }
  });
  page.on('pageerror', (error) => add(`error: ${error.stack ?? error.message}`));
  page.on('request', (request) => {
    const { protocol, host } = new URL(request.url());
    if (/^https?:$/.test(protocol) && host !== new URL(base).host) add(`request to another origin: ${request.url()}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400) add(`${response.status()} ${response.url()}`);
  });
  page.on('dialog', (dialog) => {
    add(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  /** From now on, problems of this kind belong to what is tested. */
  page.expectProblem = (pattern) => expected.push(pattern);
  page.assertClean = async () => {
    const violations = await page.evaluate(() => globalThis.violations.splice(0));
    assert.deepEqual([...problems.splice(0), ...violations.map((text) => `CSP: ${text}`)], [], page.url());
  };
}

/** The colour that is on the screen at a place of the page: [red, green, blue]. A blank page reads the picture. */
export async function colourAt(page, x, y) {
  const png = await page.screenshot({ clip: { x, y, width: 1, height: 1 } });
  const reader = await page.context().browser().newPage();
  const colour = await reader.evaluate(async (base64) => {
    const image = new Image();
    image.src = `data:image/png;base64,${base64}`;
    await image.decode();
    const context = new OffscreenCanvas(1, 1).getContext('2d');
    context.drawImage(image, 0, 0);
    return [...context.getImageData(0, 0, 1, 1).data.subarray(0, 3)];
  }, png.toString('base64'));
  await reader.context().close();
  return colour;
}

// Screenshots of pages, to be looked at: `node dev/shoot.mjs [base] [path ...]` writes dev/shots/*.png, in light, dark and phone width, and
// says what axe and the console have against them. Needs Debian's chromium.
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';
import { FLAGS, LOOKS } from '../../../tests/page/lib/browser.mjs';

const [base = 'http://localhost:8081', ...paths] = process.argv.slice(2);
const pages = paths.length > 0 ? paths : ['/', '/boards/services', '/boards/states'];
const only = process.env.SHOOT?.split(',');
const wait = Number(process.env.WAIT ?? 2500);
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const shots = new URL('shots/', import.meta.url).pathname;
mkdirSync(shots, { recursive: true });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: FLAGS,
});
for (const [look, options] of Object.entries(LOOKS)) {
  if (only && !only.includes(look)) continue;
  const context = await browser.newContext({ ...options, bypassCSP: true });
  const page = await context.newPage();
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && console.log(look, message.text()));
  page.on('pageerror', (error) => console.log(look, 'error', error.stack));
  for (const path of pages) {
    await page.goto(base + path);
    await page.waitForTimeout(wait);
    await page.evaluate(async () => {
      for (let y = 0; y < document.body.scrollHeight; y += 500) {
        scrollTo(0, y);
        await new Promise((done) => setTimeout(done, 80));
      }
      scrollTo(0, 0);
    });
    await page.waitForTimeout(900);
    const name = `${path.replace(/\?.*/, '').replace(/\W+/g, '-').replace(/^-|-$/g, '') || 'home'}-${look}`;
    await page.screenshot({ path: `${shots}${name}.png`, fullPage: process.env.FULL !== '0' });
    await page.addScriptTag({ path: axe });
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    for (const { id, impact, nodes } of violations) {
      console.log(
        look,
        path,
        impact,
        id,
        nodes.slice(0, 3).map(({ html, any }) => `${html.slice(0, 140)} ${any[0]?.message ?? ''}`),
      );
    }
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 0) console.log(look, path, `is ${wide} px wider than the screen`);
  }
  await context.close();
}
await browser.close();

// The page as its users find it: by what is written and by roles.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parseCsv } from './csv.mjs';
import { until } from './wait.mjs';

/** Opens an address and waits until its page is there. */
export async function visit(page, path) {
  await page.goto(path);
  await settled(page);
}

/** The page's own content has come: it has its heading, and nothing says that it is loading. */
export async function settled(page) {
  await page.locator('main h1').first().waitFor();
  await until(`what ${page.url()} shows to have loaded`, () =>
    page.evaluate(() => {
      const near = (element) => {
        const { top, bottom } = element.getBoundingClientRect();
        return bottom > 0 && top < innerHeight;
      };
      const waiting = [...document.querySelectorAll('main .skeleton, main [role=status]')].filter(near);
      return !waiting.some((element) => /^(Loading|Running)/.test(element.textContent.trim()));
    }),
  );
}

/** From the top of the page to its end, so that everything that waits to be seen is asked for. */
export async function scrollThrough(page) {
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  const step = page.viewportSize().height * 0.8;
  for (let top = 0; top < height; top += step) {
    await page.evaluate((to) => scrollTo(0, to), top);
    await settled(page);
  }
  await page.evaluate(() => scrollTo(0, 0));
}

export const panel = (page, title) => page.getByRole('article', { name: title, exact: true });

/** Picks an item of a panel's menu. */
export async function choose(page, title, item) {
  await chooseIn(panel(page, title), item);
}

export async function chooseIn(article, item) {
  await article.getByRole('button', { name: /^Menu of / }).click();
  await article.page().getByRole('menuitem', { name: item, exact: true }).click();
}

/** Every row that a panel holds, as its own download gives them. */
export async function panelRows(page, title) {
  const [download] = await Promise.all([page.waitForEvent('download'), choose(page, title, 'Download CSV')]);
  return parseCsv(readFileSync(await download.path(), 'utf8'));
}

/** The page's range as its address has it, in milliseconds where it stands still. */
export function rangeOf(page) {
  const query = new URL(page.url()).searchParams;
  return { from: Date.parse(query.get('from')), to: Date.parse(query.get('to')), text: query.get('from') };
}

/** The plots in sight, each with the box that the pointer moves in. */
export async function plots(page) {
  return page.locator('.panel .u-over').all();
}

/** The columns of a canvas in which something of a strong colour is drawn, as a share of its width. */
export function drawnShare(canvas) {
  return canvas.evaluate((element) => {
    const { width, height } = element;
    const { data } = element.getContext('2d').getImageData(0, 0, width, height);
    let columns = 0;
    for (let x = 0; x < width; x++) {
      for (let y = 0; y < height; y++) {
        const i = (y * width + x) * 4;
        const colour = Math.max(data[i], data[i + 1], data[i + 2]) - Math.min(data[i], data[i + 1], data[i + 2]);
        if (data[i + 3] > 100 && colour > 40) {
          columns++;
          break;
        }
      }
    }
    return columns / width;
  });
}

/** What has the focus, for a person who reads a failed test. */
export const focused = (page) =>
  page.evaluate(() => {
    const element = document.activeElement;
    return `${element.tagName.toLowerCase()}.${element.className} ${element.getAttribute('aria-label') ?? element.textContent.trim().slice(0, 40)}`;
  });

export async function goBack(page) {
  await page.goBack();
  await settled(page);
}

export async function assertTitle(page, title) {
  await until(`the title to be ${title}`, async () => (await page.title()) === title).catch(async () => {
    assert.equal(await page.title(), title);
  });
}

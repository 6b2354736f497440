// What the figures share: a server of its own with the bench's boards, a page that notes its drawings, and numbers as text.
import { join } from 'node:path';
import { launch, newPage } from '../lib/browser.mjs';
import { binary, REPO } from '../lib/parts.mjs';
import { Server } from '../lib/server.mjs';

export async function open() {
  const server = await Server.start({ boards: join(REPO, 'tests/page/bench/boards') });
  // Frames are drawn as on a screen, and nothing is put off because nobody looks.
  const browser = await launch(['--disable-background-timer-throttling', '--disable-renderer-backgrounding']);
  console.log(`binary: ${binary()}`);
  return {
    server,
    browser,
    close: async () => {
      await browser.close();
      await server.stop();
    },
  };
}

/** Runs in the page before its own scripts: when a chart has drawn its first points, and each newest one. */
function noteDrawings() {
  globalThis.drawn = { first: 0, times: [] };
  globalThis.catchmentDrawn = (_over, newest) => {
    if (Number.isNaN(newest)) return;
    const { drawn } = globalThis;
    const at = performance.timeOrigin + performance.now();
    drawn.first ||= at;
    const last = drawn.times.at(-1);
    // What a drawing put on the canvas is on the screen with the frame that it was made for.
    if (!last || newest > last.newest) {
      const entry = { newest, at: 0 };
      drawn.times.push(entry);
      requestAnimationFrame(() => {
        entry.at = performance.timeOrigin + performance.now();
      });
    }
  };
}

export async function measuredPage(browser, url, options) {
  const page = await newPage(browser, url, options);
  await page.addInitScript(noteDrawings);
  return page;
}

export const now = () => performance.timeOrigin + performance.now();
export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)];
}

export const ms = (value) => `${value.toFixed(0)} ms`;
export const setting = (name, otherwise) => Number(process.env[name] ?? otherwise);

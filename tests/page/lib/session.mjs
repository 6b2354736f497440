// What all checks share: one Catchment with the built-in configuration, the shop that feeds it, one browser. Made by the first
// check that asks, ended after the last. PAGE_URL and PAGE_OTLP name one that runs already, with a shop of its own.
import { after } from 'node:test';
import { join } from 'node:path';
import { launch, newPage } from './browser.mjs';
import { REPO } from './parts.mjs';
import { sendSamples } from './samples.mjs';
import { Server } from './server.mjs';
import { openShop } from './shop.mjs';
import { until } from './wait.mjs';

const ends = [];
after(async () => {
  for (const end of ends.reverse()) await end();
});

function once(make) {
  let made;
  return () => {
    made ??= make();
    return made;
  };
}

export const browser = once(async () => {
  const made = await launch();
  ends.push(() => made.close());
  return made;
});

/** Running, with no data but its own host's. */
export const server = once(async () => {
  if (process.env.PAGE_URL) return Server.at(process.env.PAGE_URL, process.env.PAGE_OTLP);
  const made = await Server.start({ boards: join(REPO, 'tests/page/boards') });
  ends.push(() => made.stop());
  return made;
});

/** The shop has sent every signal, and the samples of `boards/kinds.yaml` are there. */
export const fed = once(async () => {
  const made = await server();
  if (process.env.PAGE_URL) {
    await sendSamples(made.otlp);
    return made;
  }
  const shop = openShop(made.otlp, '--seconds', '3600', '--rate', '10');
  ends.push(() => shop.kill());
  await sendSamples(made.otlp);
  const ended = shop.ended.then((code) => {
    throw new Error(`the shop ended with ${code}:\n${shop.said.join('\n')}`);
  });
  ended.catch(() => {});
  const every = until('the shop to have sent every signal', async () => {
    const tables = ["spans WHERE name = 'POST /checkout'", 'logs', 'histograms', 'exp_histograms'];
    const counts = await made.sql(tables.map((table) => `SELECT count(*) FROM ${table}`).join(' UNION ALL '));
    return counts.every(([count]) => Number(count) > 0);
  });
  await Promise.race([every, ended]);
  return made;
});

/** After so many failures the rest is not tried: each may wait for its patience's end. */
const MOST_FAILURES = 6;
let failures = 0;

/** A page of its own on the fed server; closed, and found clean, when `use` has ended. */
export const withPage = async (options, use) => withPageOf(await fed(), options, use);

export async function withPageOf({ url }, options, use) {
  if (failures >= MOST_FAILURES) throw Object.assign(new Error(`not tried, after ${failures} failures`), { stack: 'not tried' });
  const page = await newPage(await browser(), url, options);
  try {
    await use(page);
    await page.assertClean();
  } catch (error) {
    failures++;
    throw error;
  } finally {
    await page.context().close();
  }
}

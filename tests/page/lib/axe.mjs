// Accessibility as axe-core sees it: WCAG 2.2 A and AA and its own good practices.
import assert from 'node:assert/strict';
import { axeSource } from './parts.mjs';

const source = `${axeSource()};0`;

export async function findings(page) {
  // Evaluated by the debugger, so that the page's own policy stays in force.
  await page.evaluate(source);
  const { violations } = await page.evaluate(() =>
    globalThis.axe.run(document, {
      resultTypes: ['violations'],
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    }),
  );
  return violations.map(({ id, impact, help, nodes }) => ({
    id,
    impact,
    help,
    count: nodes.length,
    where: nodes.slice(0, 4).map(({ target, failureSummary }) => `${target.join(' ')}: ${failureSummary.split('\n').slice(1, 3).join(' ').trim()}`),
  }));
}

export async function assertAccessible(page, what) {
  const serious = (await findings(page)).filter(({ impact }) => ['serious', 'critical'].includes(impact));
  assert.deepEqual(serious, [], `${what}: axe's serious findings`);
}

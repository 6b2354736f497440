// Alerts on the page, from rules that fire on what is sent here: why, silence and acknowledge in two clicks, history, the rules' health.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { assertTitle, drawnShare, visit } from './lib/app.mjs';
import { HOSTILE, sendLevels, startAlerting } from './lib/alerting.mjs';
import { assertAccessible } from './lib/axe.mjs';
import { fed, withPage, withPageOf } from './lib/session.mjs';
import { until } from './lib/wait.mjs';

let made;
/** With both alerts firing. */
function firing() {
  made ??= (async () => {
    const server = await startAlerting();
    await sendLevels(server);
    await until('both alerts to fire', async () => (await alertsOf(server)).length === 2);
    return server;
  })();
  return made;
}
after(async () => (await made)?.stop());

const alertsOf = (server) => server.get('/api/v2/alerts?filter=alertname%3D"PageLevel"');
const silencesOf = async (server, state) =>
  (await server.get('/api/v2/silences')).filter(({ status }) => status.state === state);

const NORTH = '/alerts?q=place%3Dnorth,alertname%3DPageLevel';
const row = (page, state) => page.getByRole('article', { name: `PageLevel, ${state}`, exact: true });
const form = (page, title) => page.getByRole('dialog', { name: title });

/** What the second click needs once: who it is. */
async function confirm(page, title, button) {
  const name = form(page, title).getByLabel('By');
  if ((await name.inputValue()) === '') await name.fill('kim');
  await form(page, title).getByRole('button', { name: button }).click();
  await form(page, title).waitFor({ state: 'detached' });
}

test('what fires is listed and counted, and says why', async () =>
  withPageOf(await firing(), {}, async (page) => {
    await visit(page, '/alerts');
    await assertTitle(page, 'Alerts · Catchment');
    await until('both to be listed', async () => (await row(page, 'firing').count()) === 2);
    await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: /Alerts\s*2 firing/ }).waitFor();
    await page.getByText(HOSTILE).first().waitFor();
    await visit(page, NORTH);
    await until('one to be listed', async () => (await row(page, 'firing').count()) === 1);
    const alert = row(page, 'firing');
    await alert.getByText('north is at 9').waitFor();
    await alert.getByRole('button', { name: 'Open PageLevel' }).focus();
    await page.keyboard.press('Enter');
    await alert.getByRole('region', { name: "The rule's query" }).getByText('HAVING max(value) > 5').waitFor();
    await alert.getByText('held against 5').waitFor();
    await alert.getByRole('group', { name: /^Value of PageLevel: 1 series/ }).waitFor();
    await until('the values to be drawn', async () => (await drawnShare(alert.locator('canvas').first())) > 0.05);
    await alert.getByRole('img', { name: /^History of PageLevel: firing once/ }).waitFor();
    assert.equal(await alert.getByRole('link', { name: 'runbook_url' }).getAttribute('href'), 'https://runbooks.example.com/level');
    await alert.getByRole('link', { name: 'Open in Explore' }).click();
    await page.getByRole('textbox', { name: 'SQL' }).getByText('HAVING').waitFor();
  }));

test('two clicks silence an alert, one more ends the silence', async () => {
  const server = await firing();
  await withPageOf(server, {}, async (page) => {
    await visit(page, NORTH);
    await row(page, 'firing').getByRole('button', { name: 'Silence PageLevel' }).click();
    await form(page, 'Silence').getByText('1 alert would be silenced').waitFor();
    await form(page, 'Silence').getByLabel('4 hours').check();
    await confirm(page, 'Silence', 'Silence for 4h');
    await row(page, 'silenced').waitFor();
    const [silence, ...more] = await silencesOf(server, 'active');
    assert.deepEqual(more, []);
    assert.equal(silence.createdBy, 'kim');
    const matchers = Object.fromEntries(silence.matchers.map(({ name, value }) => [name, value]));
    assert.deepEqual(matchers, { alertname: 'PageLevel', place: 'north', severity: 'critical' });
    const hours = (Date.parse(silence.endsAt) - Date.parse(silence.startsAt)) / 3_600_000;
    assert(Math.abs(hours - 4) < 0.1, `${hours} hours`);

    await visit(page, '/alerts?view=silences');
    const entry = page.getByRole('article', { name: 'Silence by kim, active' });
    await entry.getByText('Silences 1 alert now').waitFor();
    await entry.getByRole('button', { name: '1 hour more' }).click();
    await until('a longer silence', async () => (await silencesOf(server, 'active')).some(({ endsAt }) => Date.parse(endsAt) > Date.parse(silence.endsAt)));
    await entry.getByRole('button', { name: 'Expire' }).click();
    await entry.getByRole('button', { name: 'End it now' }).click();
    await until('no silence', async () => (await silencesOf(server, 'active')).length === 0);
    await visit(page, NORTH);
    await row(page, 'firing').waitFor();
  });
});

test('what the server refuses is said where it was asked', async () =>
  withPageOf(await firing(), {}, async (page) => {
    await visit(page, '/alerts?view=silences');
    await page.getByRole('button', { name: 'New silence' }).click();
    const silence = form(page, 'Silence');
    await silence.getByLabel('Alerts with').fill('place=~".*"');
    await silence.getByText('all of these fit every alert').waitFor();
    await silence.getByLabel('Alerts with').fill('place="north"');
    await silence.getByLabel('By').fill('kim');
    page.expectProblem(/400/);
    // In the server's place: the page itself sends nothing that it would refuse.
    await page.route('**/api/v2/silences', (route) =>
      route.request().method() === 'POST' ? route.fulfill({ status: 400, json: 'silence invalid: no' }) : route.continue(),
    );
    await silence.getByRole('button', { name: /^Silence for/ }).click();
    await silence.getByRole('alert').getByText('silence invalid: no').waitFor();
  }));

test('two clicks acknowledge an alert', async () => {
  const server = await firing();
  await withPageOf(server, {}, async (page) => {
    await visit(page, NORTH);
    await row(page, 'firing').getByRole('button', { name: 'Acknowledge PageLevel' }).click();
    await confirm(page, 'Acknowledge', 'Acknowledge');
    await row(page, 'acknowledged').getByText('kim').waitFor();
  });
});

test('alerts over time have a lane each, and their names are counted', async () =>
  withPageOf(await firing(), {}, async (page) => {
    await visit(page, '/alerts?view=time');
    await page.getByRole('region', { name: 'How often they fired' }).getByText(/2 times\s*of 2 alerts/).waitFor();
    const lanes = page.getByRole('region', { name: 'Alerts over time' });
    await lanes.getByRole('img', { name: /^PageLevel .*place=north.*firing once/ }).waitFor();
    await until('a lane for what waits', async () => (await lanes.getByRole('img', { name: /^PageWaits .*: pending once/ }).count()) === 2);
  }));

test('rules tell how they are', async () =>
  withPageOf(await firing(), {}, async (page) => {
    await visit(page, '/alerts?view=rules');
    const group = page.getByRole('region', { name: 'Group page' });
    await group.getByText('firing · 2').waitFor();
    await group.getByText('pending · 2').waitFor();
    await group.getByText(/valeu/).first().waitFor();
    await page.getByRole('searchbox', { name: 'Rules with' }).fill('waits');
    await until('one rule', async () => (await group.locator('details').count()) === 1);
  }));

for (const look of ['light', 'dark', 'phone']) {
  test(`every view of alerts is accessible, and no wider than the screen (${look})`, async () =>
    withPageOf(await firing(), { look }, async (page) => {
      for (const [path, open] of [
        ['/alerts', '[data-opens]'],
        ['/alerts?view=time', null],
        ['/alerts?view=silences&silences=expired', null],
        ['/alerts?view=rules', 'summary'],
      ]) {
        await visit(page, path);
        if (open) {
          await page.locator(open).first().click();
          if (open === '[data-opens]') await page.getByRole('img', { name: /^History of/ }).waitFor();
        }
        await assertAccessible(page, `${path} ${look}`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert(wide <= 0, `${path} is ${wide} px wider than the screen`);
      }
    }));
}

test('an instance without alerting says how to add it', () =>
  withPage({}, async (page) => {
    await fed();
    await visit(page, '/alerts');
    await page.getByRole('heading', { name: 'No alerts are configured' }).waitFor();
    await page.getByText('exporters: [parquet, alerting]').waitFor();
  }));

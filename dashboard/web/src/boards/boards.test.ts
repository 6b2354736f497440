// What boards do with text that is not theirs: names, statements, files.

import { describe, expect, it } from 'vitest';
import { frameFrom } from '../live/frame.fixture';
import type { HistoryEvent } from '../pages/alerts/history';
import { isOf, unionOf } from './alert-bands';
import { boardId } from './BoardPage';
import { namesIn, panelMode } from './board';
import { csvOf } from './csv';
import { exploreHref, withVars } from './explore-link';
import { sourcesOf } from './states';
import { effective, varsFor } from './variables';

describe('csvOf', () => {
  it('is RFC 4180, with times as ISO 8601 and NULL as nothing', () => {
    const frame = frameFrom({ t: 'time', 'a "name"': 'string', value: 'number' }, [
      [Date.UTC(2026, 10, 24), 'x,"y"\nz', 1.5],
      [null, null, null],
    ]);
    expect(csvOf(frame)).toBe('t,"a ""name""",value\r\n2026-11-24T00:00:00.000Z,"x,""y""\nz",1.5\r\n,,\r\n');
  });
  it('is not carried out by a spreadsheet', () => {
    const cell = (text: string) => csvOf(frameFrom({ s: 'string' }, [[text]])).split('\r\n')[1];
    expect(['=1+1', '@SUM(A1)', '-2+3', '+x', '-5', 'plain'].map(cell)).toEqual([
      "'=1+1",
      "'@SUM(A1)",
      '-2+3',
      "'+x",
      '-5',
      'plain',
    ]);
  });
});

describe('variables', () => {
  const variable = { name: 'host', query: 'SELECT 1', multi: true };
  const states = { host: { values: ['a', 'b'], problem: null } };
  it('are all where nothing is chosen, and what is chosen otherwise', () => {
    expect(effective(variable, states.host, new URLSearchParams())).toEqual(['a', 'b']);
    expect(effective(variable, states.host, new URLSearchParams('var-host=b&var-host=c'))).toEqual(['b', 'c']);
    expect(effective({ ...variable, multi: false }, states.host, new URLSearchParams())).toBe('a');
  });
  it('are sent only with statements that name them, and are waited for', () => {
    expect(varsFor(namesIn('SELECT $step'), [variable], {}, new URLSearchParams())).toEqual({ vars: {} });
    expect(varsFor(namesIn('IN $host'), [variable], {}, new URLSearchParams())).toEqual({ missing: variable });
    expect(
      varsFor(namesIn('IN $host'), [variable], { host: { values: [], problem: null } }, new URLSearchParams()),
    ).toEqual({ missing: variable });
    expect(varsFor(namesIn('IN $host'), [variable], states, new URLSearchParams())).toEqual({
      vars: { host: ['a', 'b'] },
    });
  });
});

describe('a link to Explore', () => {
  it('carries the statement with its variables as SQL text, whatever is in them', () => {
    const vars = { host: ["o'neil", 'b'], one: "'; --" };
    expect(withVars('host IN $host AND x = $one AND $range', vars)).toBe(
      "host IN ('o''neil', 'b') AND x = '''; --' AND $range",
    );
    const link = new URL(exploreHref({ sql: 'SELECT $one & 1', vars, chart: 'line' }), 'http://x');
    expect([link.pathname, link.searchParams.get('sql'), link.searchParams.get('chart')]).toEqual([
      '/explore',
      "SELECT '''; --' & 1",
      'line',
    ]);
  });
});

describe('boards', () => {
  it('have an address', () => {
    expect(['/', '/boards/services', '/boards/a%20b', '/boards/%'].map(boardId)).toEqual([
      'host',
      'services',
      'a b',
      'host',
    ]);
  });
  it('ask for a table where they show one', () => {
    expect(panelMode({ chart: 'table', query: 'SELECT 1' })).toBe('table');
    expect(panelMode({ chart: 'pie', query: { sql: 'SELECT 1', mode: 'table' } })).toBe('table');
    expect(panelMode({ chart: 'line', query: 'SELECT 1' })).toBe('series');
  });
  it('say what would fill them', () => {
    expect(sourcesOf('SELECT 1 FROM "system.cpu.time" JOIN "x.y" ON 1')).toEqual({
      metrics: ['system.cpu.time', 'x.y'],
      tables: [],
    });
    expect(sourcesOf("SELECT 1 FROM metrics WHERE metric_name IN ('a', 'b')").metrics).toEqual(['a', 'b']);
    expect(sourcesOf('SELECT 1 FROM spans').tables).toEqual(['spans']);
  });
});

describe('bands of alerts', () => {
  const event = (fingerprint: string, at: number, change: HistoryEvent['change']): HistoryEvent => ({
    at,
    change,
    fingerprint,
    labels: {},
    starts: at,
    value: null,
  });

  it('are of all alerts together', () => {
    const events = [
      event('a', 100, 'firing'),
      event('b', 150, 'firing'),
      event('a', 200, 'resolved'),
      event('b', 300, 'resolved'),
    ];
    expect(unionOf(events, { from: 0, to: 1000 })).toEqual([{ from: 100, to: 300, level: 'critical' }]);
    const apart = [event('a', 100, 'pending'), event('a', 200, 'withdrawn'), event('b', 300, 'firing')];
    expect(unionOf(apart, { from: 0, to: 400 })).toEqual([
      { from: 100, to: 200, level: 'warning' },
      { from: 300, to: 400, level: 'critical' },
    ]);
  });

  it('are of what the board is of', () => {
    expect(isOf({ host_name: 'a' }, { host: ['a', 'b'] })).toBe(true);
    expect(isOf({ host_name: 'c' }, { host: ['a', 'b'] })).toBe(false);
    expect(isOf({ host: 'c' }, { host: 'a' })).toBe(false);
    expect(isOf({ device: 'c' }, { host: 'a' })).toBe(true);
  });
});

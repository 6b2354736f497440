import { describe, expect, it } from 'vitest';
import { severityOf } from '../../shell/severity';
import { isWeb, linksOf, wrongOf } from './api';
import {
  type AlertGroup,
  alertsOf,
  filtered,
  fingerprintOf,
  type GettableAlert,
  keyOf,
  type RuleGroup,
  sectionsOf,
} from './model';
import { fitting, shownState } from './Rules';
import { describeEnd, endOf, nextMonday } from './until';

const gettable = (labels: Record<string, string>, status: Partial<GettableAlert['status']> = {}): GettableAlert => ({
  labels,
  annotations: {},
  startsAt: '2026-11-24T12:00:00Z',
  endsAt: '2026-11-24T12:05:00Z',
  updatedAt: '2026-11-24T12:00:00Z',
  fingerprint: fingerprintOf(labels),
  receivers: [{ name: 'ops' }],
  status: { state: 'active', silencedBy: [], inhibitedBy: [], mutedBy: [], ...status },
});

const rule = {
  type: 'alerting' as const,
  name: 'Disk',
  query: 'SELECT 1',
  labels: {},
  health: 'ok',
  evaluationTime: 0,
  lastEvaluation: '2026-11-24T12:00:00Z',
  state: 'firing',
  alerts: [
    { labels: { alertname: 'Disk', host: 'a' }, annotations: {}, state: 'firing', value: '9.3e-1' },
    {
      labels: { alertname: 'Disk', host: 'b' },
      annotations: {},
      state: 'pending',
      activeAt: '2026-11-24T12:01:00Z',
      value: 'NaN',
    },
  ],
};
const groups: RuleGroup[] = [
  { name: 'hosts', file: '', interval: 30, lastEvaluation: '', evaluationTime: 0, rules: [rule] },
];

describe('alerts', () => {
  it('have the fingerprint that Prometheus gives them', () => {
    // prometheus/common model.LabelSet{"alertname": "DiskFull", ...}.Fingerprint() is FNV-1a with 0xff behind each text; the empty set is its offset.
    expect(fingerprintOf({})).toBe('cbf29ce484222325');
    expect(fingerprintOf({ b: '2', a: '1' })).toBe(fingerprintOf({ a: '1', b: '2' }));
    expect(fingerprintOf({ a: '1', b: '2' })).not.toBe(fingerprintOf({ a: '12', b: '' }));
  });

  it('are joined with their rules; pending ones come from there', () => {
    const all = alertsOf([gettable({ host: 'a', alertname: 'Disk' }), gettable({ alertname: 'Other' })], groups);
    expect(all.map(({ name, state, value, rule }) => [name, state, value, rule?.rule.name])).toEqual([
      ['Disk', 'firing', 0.93, 'Disk'],
      ['Other', 'firing', null, undefined],
      ['Disk', 'pending', null, 'Disk'],
    ]);
  });

  it('are what matters most about them', () => {
    const state = (status: Partial<GettableAlert['status']>) => alertsOf([gettable({ a: 'b' }, status)], [])[0]?.state;
    expect(state({ acknowledgedBy: 'kim' })).toBe('acknowledged');
    expect(state({ acknowledgedBy: 'kim', silencedBy: ['x'] })).toBe('silenced');
    expect(state({ inhibitedBy: ['x'] })).toBe('inhibited');
    expect(state({ mutedBy: ['weekend'] })).toBe('muted');
  });

  it('are filtered, the worst first', () => {
    const all = alertsOf(
      [
        gettable({ alertname: 'x', severity: 'info' }),
        gettable({ alertname: 'y', severity: 'page' }),
        gettable({ alertname: 'z' }),
      ],
      groups,
    );
    const names = (states: string[], severities: string[]) =>
      filtered(all, { matchers: [], states, severities }).map(({ name }) => name);
    expect(names([], [])).toEqual(['y', 'z', 'x', 'Disk']);
    expect(names(['pending'], [])).toEqual(['Disk']);
    expect(names(['firing'], ['critical', 'info'])).toEqual(['y', 'x']);
  });

  it('are grouped as receivers are told, and who is told of none is last', () => {
    const member = gettable({ alertname: 'Disk', host: 'a' });
    const all = alertsOf([member, gettable({ alertname: 'Lone' })], []);
    const told: AlertGroup[] = [
      { labels: { alertname: 'Disk' }, receiver: { name: 'ops' }, alerts: [member] },
      { labels: {}, receiver: { name: 'mail' }, alerts: [member] },
    ];
    const sections = sectionsOf(all, 'receiver', told).map(({ title, alerts }) => [title, alerts.length]);
    expect(sections).toEqual([
      ['ops', 1],
      ['mail', 1],
      ['nobody yet', 1],
    ]);
    expect(sectionsOf(all, 'alertname', []).map(({ title }) => title)).toEqual(['Disk', 'Lone']);
  });

  it('keep hostile names apart', () => {
    expect(keyOf({ a: '1,b=2' })).not.toBe(keyOf({ a: '1', b: '2' }));
    expect(severityOf({ severity: 'constructor' })).toBe('warning');
  });
});

describe('links', () => {
  it('lead to web pages only', () => {
    for (const bad of [
      'javascript:alert(1)',
      'data:text/html,x',
      ' https://a b',
      'https://',
      'see https://a.example',
    ]) {
      expect(isWeb(bad), bad).toBe(false);
    }
    const [alert] = alertsOf(
      [{ ...gettable({ a: 'b' }), annotations: { runbook: 'https://a.example/x', js: 'javascript:1' } }],
      [],
    );
    expect(alert && linksOf(alert)).toEqual([{ label: 'runbook', href: 'https://a.example/x' }]);
  });
});

describe('what is wrong', () => {
  it.each([
    ['"silence invalid"', 'silence invalid'],
    ['{"status":"error","errorType":"bad_data","error":"no"}', 'no'],
    ['{"error":{"kind":"busy","message":"later"}}', 'later'],
    ['{"code":602,"message":"matchers in body is required"}', 'matchers in body is required'],
    ['plain words\n', 'plain words'],
    ['<html>proxy</html>', 'the server answered 502'],
    ['', 'the server answered 502'],
    ['null', 'the server answered 502'],
  ])('is read from %s', (body, message) => expect(wrongOf(body, 502).message).toBe(message));
});

describe('the end of a silence', () => {
  const noon = Date.parse('2026-11-24T12:00:00Z'); // a Tuesday
  it('is a length or a time', () => {
    expect(endOf('4h', '', noon, 'UTC')).toBe(noon + 4 * 3_600_000);
    expect(endOf('other', '90m', noon, 'UTC')).toBe(noon + 90 * 60_000);
    expect(endOf('other', '2026-11-24 14:05', noon, 'UTC')).toBe(Date.parse('2026-11-24T14:05:00Z'));
    expect(endOf('other', '11:00', noon, 'UTC')).toContain('past');
    expect(endOf('other', 'soon', noon, 'UTC')).toContain('soon');
  });

  it('is on Monday morning by the clock of the zone', () => {
    expect(nextMonday(noon, 'UTC')).toBe(Date.parse('2026-11-30T09:00:00Z'));
    expect(nextMonday(Date.parse('2026-11-30T08:00:00Z'), 'UTC')).toBe(Date.parse('2026-12-07T09:00:00Z'));
    expect(nextMonday(Date.parse('2026-11-29T23:30:00Z'), 'Asia/Tokyo')).toBe(Date.parse('2026-12-07T00:00:00Z'));
    // Clocks went back on the Sunday between.
    expect(nextMonday(Date.parse('2026-10-23T12:00:00Z'), 'Europe/Berlin')).toBe(Date.parse('2026-10-26T08:00:00Z'));
  });

  it('is said in words', () => {
    expect(describeEnd(noon + 3_600_000, noon, 'UTC')).toBe('for 1h');
    expect(describeEnd(nextMonday(noon, 'UTC'), noon, 'UTC')).toBe('until 2026-11-30 09:00');
  });
});

describe('rules', () => {
  it('are found by name, group, query and state; an error outranks what was found before', () => {
    const broken = { ...rule, name: 'Broken', health: 'err', state: 'inactive', alerts: [] };
    const all = [{ ...(groups[0] as RuleGroup), rules: [rule, broken] }];
    const names = (text: string, state: string) =>
      fitting(all, text, state).flatMap((group) => group.rules.map(({ name }) => name));
    expect(names('disk', '')).toEqual(['Disk']);
    expect(names('HOSTS', '')).toEqual(['Disk', 'Broken']);
    expect(names('', 'error')).toEqual(['Broken']);
    expect(names('', 'firing')).toEqual(['Disk']);
    expect(names('nothing', '')).toEqual([]);
    expect(shownState(broken)).toBe('error');
  });
});

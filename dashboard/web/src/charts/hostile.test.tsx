// Names from outside are text wherever charts show them.
import { render } from 'preact';
import { afterEach, describe, expect, it } from 'vitest';
import { frameFrom } from '../live/frame.fixture';
import { ErrorState } from '../ui';
import { CategoryBars } from './CategoryBars';
import { DataTable } from './DataTable';
import { unitFormat } from './format';
import { GaugeChart } from './Gauge';
import { Legend } from './Legend';
import { PieChart } from './Pie';
import { assign } from './palette';
import { StatChart } from './Stat';
import { seriesOf } from './series';

const NAMES = [
  '<img src=x onerror=alert(1)>',
  '"><script>alert(1)</script>',
  '../../etc/passwd',
  '__proto__',
  '\u202Eltr',
  'x'.repeat(10_000),
  'a\nb',
];
const overTime = frameFrom(
  { t: 'time', name: 'string', value: 'number' },
  NAMES.map((name, i) => [1, name, i + 1]),
);
const rows = frameFrom(
  { name: 'string', value: 'number' },
  NAMES.map((name, i) => [name, i + 1]),
);
const set = seriesOf(overTime);
const names = set.series.map(({ name }) => name);
const place = document.createElement('div');

afterEach(() => render(null, place));

describe('names from outside', () => {
  it.each([
    [
      'a legend',
      <Legend
        key=""
        set={set}
        paints={assign(names, {}, false)}
        format={unitFormat()}
        values={['last']}
        hidden={new Set()}
        onToggle={() => {}}
        onFocus={() => {}}
      />,
    ],
    [
      'a table',
      <DataTable key="" frame={rows} caption={NAMES[0] ?? ''} links={[{ column: 'name', to: '/logs?q={name}' }]} />,
    ],
    ['a ring', <PieChart key="" kind="pie" frame={rows} title={NAMES[0] ?? ''} />],
    ['bars', <CategoryBars key="" kind="bar" frame={rows} title="bars" />],
    ['single values', <StatChart key="" kind="stat" frame={overTime} title="stats" />],
    ['gauges', <GaugeChart key="" kind="gauge" frame={overTime} title="gauges" />],
  ])('are text in %s', (_, element) => {
    render(element, place);
    expect(place.querySelector('img, script')).toBeNull();
    // A cell of many kilobytes shows its beginning.
    for (const name of NAMES) expect(place.textContent).toContain(name.slice(0, 1_000));
    for (const link of place.querySelectorAll('a')) expect(link.getAttribute('href')).toMatch(/^\/logs\?q=/);
  });

  it('are text in an error', () => {
    const message = NAMES.slice(0, 2).join('');
    render(<ErrorState problem={{ kind: 'bad_sql', message, position: { line: 2, column: 3 } }} />, place);
    expect(place.querySelector('img, script')).toBeNull();
    expect(place.textContent).toContain(`line 2, column 3: ${message}`);
  });
});

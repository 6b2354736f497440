// Numbers with their unit, UCUM as OTLP has it: bytes in powers of 1024, times in the unit that fits, everything else with an
// SI prefix. Annotations in braces (`{request}`) are not shown: the title says what is counted.

/** How a unit is shown: the scales to choose from, ascending, each with the factor that one of it has in the base unit. */
interface Scale {
  readonly factor: number;
  readonly suffix: string;
}

export interface UnitFormat {
  /** A value on its own: three significant digits. Null and NaN are `–`. */
  (value: number | null): string;
  /** Labels of an axis: one scale for all, as many decimals as the step asks for. */
  readonly ticks: (values: readonly number[], step: number) => string[];
  /** Which steps between ticks look round. */
  readonly kind: 'decimal' | 'binary' | 'seconds';
  /** Multiplies a raw value to the base in which `kind` has round numbers. */
  readonly base: number;
}

const SI: readonly Scale[] = [
  { factor: 1e-9, suffix: 'n' },
  { factor: 1e-6, suffix: 'µ' },
  { factor: 1e-3, suffix: 'm' },
  { factor: 1, suffix: '' },
  { factor: 1e3, suffix: 'k' },
  { factor: 1e6, suffix: 'M' },
  { factor: 1e9, suffix: 'G' },
  { factor: 1e12, suffix: 'T' },
  { factor: 1e15, suffix: 'P' },
];
/** Without a unit a prefix below one reads badly: 0.05 and not 50 m. */
const PLAIN = SI.slice(3);
const BINARY: readonly Scale[] = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'].map((suffix, i) => ({
  factor: 1024 ** i,
  suffix: `${suffix}B`,
}));
const SECONDS: readonly Scale[] = [
  { factor: 1e-9, suffix: 'ns' },
  { factor: 1e-6, suffix: 'µs' },
  { factor: 1e-3, suffix: 'ms' },
  { factor: 1, suffix: 's' },
  { factor: 60, suffix: 'min' },
  { factor: 3600, suffix: 'h' },
  { factor: 86400, suffix: 'd' },
];

const PREFIXES: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  Ti: 1024 ** 4,
};
const TIMES: Record<string, number> = { ns: 1e-9, us: 1e-6, ms: 1e-3, s: 1, min: 60, h: 3600, d: 86400, wk: 604800 };
const SYMBOLS: Record<string, string> = {
  Cel: '°C',
  By: 'B',
  '%': '%',
  Hz: 'Hz',
  V: 'V',
  A: 'A',
  W: 'W',
  J: 'J',
  m: 'm',
  g: 'g',
  bit: 'bit',
  K: 'K',
  Pa: 'Pa',
};

const cache = new Map<string, UnitFormat>();

export function unitFormat(unit = '', percent = false): UnitFormat {
  const key = percent ? `percent ${unit}` : unit;
  let format = cache.get(key);
  if (!format) {
    format = make(unit, percent);
    cache.set(key, format);
  }
  return format;
}

function make(unit: string, percent: boolean): UnitFormat {
  if (percent) return scaled([{ factor: unit === '%' ? 1 : 0.01, suffix: '%' }], 'decimal', 1, ' ');
  const [whole, per] = split(unit.replace(/\{[^}]*\}/g, ''));
  const rate = per ? `/${per}` : '';
  if (whole === '' || whole === '1') return scaled(PLAIN, 'decimal', 1, '', rate);
  if (whole === '%') return scaled([{ factor: 1, suffix: '%' }], 'decimal', 1, ' ', rate);
  if (TIMES[whole] !== undefined) return scaled(SECONDS, 'seconds', TIMES[whole], ' ', rate);
  const [prefix, symbol] = prefixed(whole);
  if (symbol === 'By') return scaled(BINARY, 'binary', prefix, ' ', rate);
  const shown = SYMBOLS[symbol] ?? symbol;
  const plain = symbol === 'Cel' || SYMBOLS[symbol] === undefined;
  const scales = plain
    ? [{ factor: 1, suffix: shown }]
    : SI.map(({ factor, suffix }) => ({ factor, suffix: suffix + shown }));
  return scaled(scales, 'decimal', prefix, ' ', rate);
}

function split(unit: string): [string, string] {
  const at = unit.indexOf('/');
  return at < 0 ? [unit, ''] : [unit.slice(0, at), unit.slice(at + 1)];
}

function prefixed(unit: string): [number, string] {
  for (const [prefix, factor] of Object.entries(PREFIXES)) {
    const rest = unit.slice(prefix.length);
    if (unit.startsWith(prefix) && rest !== '' && SYMBOLS[rest] !== undefined && SYMBOLS[unit] === undefined)
      return [factor, rest];
  }
  return [1, unit];
}

function scaled(
  scales: readonly Scale[],
  kind: UnitFormat['kind'],
  base: number,
  space: string,
  rate = '',
): UnitFormat {
  const join = (number: string, suffix: string) => (suffix + rate === '' ? number : number + space + suffix + rate);
  const format = (value: number | null) => {
    if (value === null || Number.isNaN(value)) return '–';
    if (!Number.isFinite(value)) return value > 0 ? '∞' : '-∞';
    const raw = value * base;
    const scale = pick(scales, Math.abs(raw));
    const number = raw / scale.factor;
    return join(scale.suffix === '%' ? hundredths(number) : significant(number), scale.suffix);
  };
  const ticks = (values: readonly number[], step: number) => {
    const most = values.reduce((max, value) => Math.max(max, Math.abs(value)), 0) * base;
    let scale = pick(scales, most);
    // Twenty seconds are no round part of a minute.
    if (kind === 'seconds' && scale.factor > 1 && decimals((step * base) / scale.factor) > 1)
      scale = pick(scales, step * base);
    const shownStep = Math.abs((step * base) / scale.factor);
    const digits = decimals(shownStep);
    return values.map((value) => {
      const number = (value * base) / scale.factor;
      if (Math.abs(number) < shownStep / 1e6) return scale.suffix === '%' ? join('0', '%') : '0';
      return join(number.toFixed(digits), scale.suffix);
    });
  };
  return Object.assign(format, { ticks, kind, base });
}

/** The largest scale that the magnitude fills once; nothing is shown in its largest scale where it would be below one of all. */
function pick(scales: readonly Scale[], magnitude: number): Scale {
  if (magnitude === 0) return scales.find(({ factor }) => factor >= 1) ?? (scales[0] as Scale);
  let found = scales[0] as Scale;
  // 999.9 rounds to 1000: it belongs to the next scale already.
  for (const scale of scales) if (scale.factor <= magnitude * 1.0005) found = scale;
  return found;
}

/** Decimals needed to tell multiples of `step` apart. */
function decimals(step: number): number {
  if (!(step > 0)) return 0;
  for (let digits = 0; digits < 6; digits++) {
    const shifted = step * 10 ** digits;
    if (Math.abs(shifted - Math.round(shifted)) < 1e-6 * shifted) return digits;
  }
  return 6;
}

/** Of a percentage nobody reads more than two decimals. */
function hundredths(value: number): string {
  return Math.abs(value) < 0.005 ? '0' : significant(Math.round(value * 100) / 100);
}

/** Three significant digits, no exponent between 1e-4 and 1e6, no zeros at the end. */
export function significant(value: number): string {
  const magnitude = Math.abs(value);
  if (magnitude === 0) return '0';
  if (magnitude >= 1e6 || magnitude < 1e-4)
    return value
      .toExponential(2)
      .replace(/\.?0+e/, 'e')
      .replace('e+', 'e');
  if (magnitude >= 100) return value.toFixed(0);
  const digits = Math.min(8, 2 - Math.floor(Math.log10(magnitude)));
  const text = value.toFixed(digits);
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

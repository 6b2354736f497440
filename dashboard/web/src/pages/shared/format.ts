// Figures and times for people. Times are in the page's zone.

const UNITS: readonly [nanoseconds: number, unit: string][] = [
  [86_400e9, 'd'],
  [3600e9, 'h'],
  [60e9, 'min'],
  [1e9, 's'],
  [1e6, 'ms'],
  [1e3, 'µs'],
];

/** `1.24 ms`; whole nanoseconds below a microsecond. */
export function formatDuration(nanoseconds: number): string {
  if (!Number.isFinite(nanoseconds)) return '–';
  const size = Math.abs(nanoseconds);
  const [per, unit] = UNITS.find(([per]) => size >= per) ?? [1, 'ns'];
  if (unit === 'd' || unit === 'h' || unit === 'min') return composed(nanoseconds, per, unit);
  return `${digits(nanoseconds / per)} ${unit}`;
}

/** `2 h 5 min`: decimal hours are not read by anybody. */
function composed(nanoseconds: number, per: number, unit: string): string {
  const [below, belowUnit] = UNITS[UNITS.findIndex(([size]) => size === per) + 1] ?? [1, ''];
  const total = Math.round(Math.abs(nanoseconds) / below);
  const each = Math.round(per / below);
  const rest = total % each;
  const sign = nanoseconds < 0 ? '-' : '';
  return `${sign}${Math.floor(total / each)} ${unit}${rest > 0 ? ` ${rest} ${belowUnit}` : ''}`;
}

/** Three digits that matter. */
function digits(value: number): string {
  const size = Math.abs(value);
  const places = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2;
  return value.toLocaleString('en-US', { maximumFractionDigits: places });
}

const WHOLE = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 });

export const formatCount = (value: number): string => WHOLE.format(value);

/** `12.3K`: where there is no room for the digits. */
export const formatShort = (value: number): string =>
  Math.abs(value) < 10_000 ? formatCount(value) : SHORT.format(value);

export function formatRate(perSecond: number | null): string {
  if (perSecond === null) return '–';
  return `${perSecond >= 1000 ? SHORT.format(perSecond) : digits(perSecond)}/s`;
}

export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let size = bytes;
  let unit = 0;
  while (Math.abs(size) >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${digits(size)} ${units[unit]}`;
}

const formatters = new Map<string, Intl.DateTimeFormat>();

function formatter(zone: string, kind: 'time' | 'date'): Intl.DateTimeFormat {
  const key = `${kind} ${zone}`;
  let made = formatters.get(key);
  if (!made) {
    made = new Intl.DateTimeFormat(
      'sv-SE',
      kind === 'date'
        ? { timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit' }
        : { timeZone: zone, hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 },
    );
    formatters.set(key, made);
  }
  return made;
}

/** `14:03:12.123` */
export const formatTime = (ms: number, zone: string): string =>
  Number.isFinite(ms) ? formatter(zone, 'time').format(ms).replace(',', '.') : '–';

/** `2026-11-24` */
export const formatDate = (ms: number, zone: string): string =>
  Number.isFinite(ms) ? formatter(zone, 'date').format(ms) : '–';

export const formatDateTime = (ms: number, zone: string): string => `${formatDate(ms, zone)} ${formatTime(ms, zone)}`;

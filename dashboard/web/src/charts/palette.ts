// Colours of series. Ten hues would look alike to a colour-blind eye whatever they were, so there are eight; a series past the
// eighth repeats a colour with a dash. palette.test.ts holds the distances between them in both themes, also for
// protanopia, deuteranopia and tritanopia.
import { computed, type ReadonlySignal } from '@preact/signals';
import { darkSignal } from '../ui/theme';

/** Light theme, dark theme. The order is the one in which neighbours differ most. */
export const PALETTE = {
  blue: ['#376bed', '#2f6fe8'],
  orange: ['#b8560b', '#fa8c3f'],
  teal: ['#21a3b2', '#51bcb5'],
  purple: ['#6e1daa', '#a386f1'],
  yellow: ['#bd8c00', '#f2c832'],
  pink: ['#961169', '#c44191'],
  green: ['#1a5c12', '#86e8a6'],
  red: ['#e0606a', '#e5484d'],
} as const;

/** Colours that mean something: for boards to name, never given out by themselves. */
export const NAMED = {
  muted: ['#aab3ba', '#58626b'],
  ok: ['#187a3d', '#4cc17c'],
  warning: ['#8f5a00', '#e0a63a'],
  critical: ['#bd1f2d', '#ff7b81'],
} as const;

export type ColorName = keyof typeof PALETTE | keyof typeof NAMED;

const HUES = Object.keys(PALETTE) as (keyof typeof PALETTE)[];
export const HUE_COUNT = HUES.length;

export interface Paint {
  readonly color: string;
  readonly dash: readonly number[] | null;
}

const DASHES: readonly (readonly number[] | null)[] = [null, [6, 3], [2, 3], [8, 3, 2, 3]];

export function colorOf(name: string, dark: boolean): string | null {
  const pair = { ...PALETTE, ...NAMED }[name as ColorName];
  return pair ? pair[dark ? 1 : 0] : null;
}

/** FNV-1a: the same name has the same colour in every chart, after every load. */
export function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}

/**
 * A colour and dash for each name: its own by hash, or the next free one where two of a chart would have the same. Where there
 * are more names than hues, the first have them, and the others dashes.
 */
export function assign(names: readonly string[], chosen: Readonly<Record<string, string>>, dark: boolean): Paint[] {
  const taken = new Set<number>();
  const paints = new Map<string, Paint>();
  for (const name of names) {
    const fixed = chosen[name] !== undefined ? colorOf(chosen[name], dark) : null;
    if (!fixed) continue;
    paints.set(name, { color: fixed, dash: null });
    const hue = HUES.indexOf(chosen[name] as keyof typeof PALETTE);
    if (hue >= 0) taken.add(hue);
  }
  const slots = HUE_COUNT * DASHES.length;
  for (const name of names.length > HUE_COUNT ? names : [...names].sort()) {
    if (paints.has(name)) continue;
    let slot = hash(name) % HUE_COUNT;
    // Every hue is used before a dash is.
    for (let tried = 0; tried < slots && taken.has(slot); tried++) {
      const hue = (slot + 1) % HUE_COUNT;
      const row = Math.floor((tried + 1) / HUE_COUNT);
      slot = row * HUE_COUNT + hue;
    }
    taken.add(slot);
    const dash = DASHES[Math.floor(slot / HUE_COUNT) % DASHES.length] ?? null;
    paints.set(name, { color: colorOf(HUES[slot % HUE_COUNT] as string, dark) as string, dash });
  }
  return names.map((name) => paints.get(name) as Paint);
}

/** What the canvas needs of the tokens of ui/tokens.css: a canvas cannot read CSS variables. */
export interface Theme {
  readonly dark: boolean;
  readonly text: string;
  readonly text2: string;
  readonly grid: string;
  readonly surface: string;
  readonly accent: string;
  readonly warning: string;
  readonly critical: string;
  readonly ok: string;
  readonly font: string;
}

export const chartTheme: ReadonlySignal<Theme> = computed(() => {
  const dark = darkSignal.value;
  const probe = document.createElement('span');
  document.body.append(probe);
  const token = (name: string) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color || '#888';
  };
  const theme = {
    dark,
    text: token('--text'),
    text2: token('--text-2'),
    grid: token('--grid'),
    surface: token('--surface'),
    accent: token('--accent'),
    warning: token('--warning'),
    critical: token('--critical'),
    ok: token('--ok'),
    font: getComputedStyle(document.body).fontFamily || 'sans-serif',
  };
  probe.remove();
  return theme;
});

// The palette against its promises: apart for every kind of eye, readable on its surface, stable by name.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { assign, HUE_COUNT, NAMED, PALETTE } from './palette';

type Triple = [number, number, number];
const linear = (hex: string): Triple =>
  [1, 3, 5].map((at) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as Triple;
const luminance = (hex: string) => {
  const [r, g, b] = linear(hex);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (a: string, b: string) => {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (high + 0.05) / (low + 0.05);
};

/** Machado, Oliveira and Fernandes 2009, severity 1, over linear RGB. */
const EYES: Record<string, [Triple, Triple, Triple]> = {
  usual: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};

/** Björn Ottosson's OKLab. */
function oklab([r, g, b]: Triple): Triple {
  const clip = (value: number) => Math.min(1, Math.max(0, value));
  const [x, y, z] = [clip(r), clip(g), clip(b)];
  const l = Math.cbrt(0.4122214708 * x + 0.5363325363 * y + 0.0514459929 * z);
  const m = Math.cbrt(0.2119034982 * x + 0.6806995451 * y + 0.1073969566 * z);
  const s = Math.cbrt(0.0883024619 * x + 0.2817188376 * y + 0.6299787005 * z);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

function distance(a: string, b: string, eye: string): number {
  const seen = (hex: string) => {
    const rgb = linear(hex);
    return oklab(
      (EYES[eye] as Triple[]).map((row) =>
        row.reduce((sum, factor, i) => sum + factor * (rgb[i] as number), 0),
      ) as Triple,
    );
  };
  const [x, y] = [seen(a), seen(b)];
  return Math.hypot(x[0] - y[0], x[1] - y[1], x[2] - y[2]);
}

/** 0.02 is about where two patches side by side begin to look different. */
const APART = 0.055;

describe.each([
  ['light', 0, '#ffffff'],
  ['dark', 1, '#181c20'],
] as const)('the %s palette', (_, theme, surface) => {
  const colors = Object.entries(PALETTE).map(([name, pair]) => [name, pair[theme]] as const);

  it.each(Object.keys(EYES))('is told apart with %s', (eye) => {
    for (const [a, first] of colors) {
      for (const [b, second] of colors) {
        if (a < b) expect(distance(first, second, eye), `${a} and ${b}`).toBeGreaterThan(APART);
      }
    }
  });

  it('has 3:1 on the surface, as WCAG asks of graphics', () => {
    for (const [name, color] of colors) expect(contrast(color, surface), name).toBeGreaterThanOrEqual(2.99);
  });

  it('has levels that are read as text', () => {
    for (const level of ['ok', 'warning', 'critical'] as const) {
      expect(contrast(NAMED[level][theme], surface), level).toBeGreaterThanOrEqual(4.5);
    }
  });
});

describe('tokens.css', () => {
  const css = readFileSync('src/ui/tokens.css', 'utf8');
  const token = (name: string) => {
    const [, light, dark] = new RegExp(`--${name}: light-dark\\((#\\w+), (#\\w+)\\)`).exec(css) ?? [];
    return [light, dark] as [string, string];
  };
  it.each(['text', 'text-2', 'accent', 'ok', 'warning', 'critical'])('--%s has 4.5:1 wherever text stands', (name) => {
    for (const ground of ['bg', 'surface', 'raised', 'hover']) {
      for (const theme of [0, 1]) {
        const ratio = contrast(token(name)[theme] as string, token(ground)[theme] as string);
        expect(ratio, `${ground}, ${theme ? 'dark' : 'light'}`).toBeGreaterThanOrEqual(4.5);
      }
    }
  });
  it('has readable text on the accent and its soft form', () => {
    for (const theme of [0, 1]) {
      expect(contrast(token('on-accent')[theme] as string, token('accent')[theme] as string)).toBeGreaterThanOrEqual(
        4.5,
      );
      expect(contrast(token('accent')[theme] as string, token('accent-soft')[theme] as string)).toBeGreaterThanOrEqual(
        4.5,
      );
    }
  });
});

describe('assign', () => {
  const names = Array.from({ length: 30 }, (_, i) => `series ${i}`);
  it('gives each series of a chart its own look, hues before dashes', () => {
    const paints = assign(names, {}, false);
    expect(new Set(paints.map(({ color, dash }) => `${color} ${dash}`)).size).toBe(30);
    const few = assign(names.slice(0, HUE_COUNT), {}, false);
    expect(few.every(({ dash }) => dash === null)).toBe(true);
  });
  it('does not depend on the order of names, as long as there are hues for all', () => {
    const few = names.slice(0, HUE_COUNT);
    expect(assign(few.toReversed(), {}, true).toReversed()).toEqual(assign(few, {}, true));
  });
  it('gives the first of many the hues', () => {
    const paints = assign(names, {}, true);
    expect(paints.slice(0, HUE_COUNT).every(({ dash }) => dash === null)).toBe(true);
    expect(paints.slice(HUE_COUNT).every(({ dash }) => dash !== null)).toBe(true);
  });
  it('keeps a chosen colour for its series alone', () => {
    const [a, ...others] = assign(['a', 'b', 'c', 'd', 'e', 'f', 'g'], { a: 'blue' }, false);
    expect(a?.color).toBe(PALETTE.blue[0]);
    expect(others.some(({ color }) => color === PALETTE.blue[0])).toBe(false);
  });
  it('does not take a name of Object for a colour', () => {
    expect(assign(['constructor', '__proto__', 'toString'], {}, false).every(({ color }) => /^#/.test(color))).toBe(
      true,
    );
  });
});

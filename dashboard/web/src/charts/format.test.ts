// Units as UCUM and OTLP's conventions write them, values as people read them.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { significant, unitFormat } from './format';

describe('unitFormat', () => {
  it.each([
    ['By', false, 0, '0 B'],
    ['By', false, 1023, '1023 B'],
    ['By', false, 1536, '1.5 KiB'],
    ['By', false, 5.5 * 1024 ** 3, '5.5 GiB'],
    ['By/s', false, 18.4 * 1024 ** 2, '18.4 MiB/s'],
    ['KiBy', false, 2048, '2 MiB'],
    ['MBy', false, 1, '977 KiB'],
    ['s', false, 0.0234, '23.4 ms'],
    ['s', false, 90, '1.5 min'],
    ['s', false, 5_500_000, '63.7 d'],
    ['ms', false, 1500, '1.5 s'],
    ['ns', false, 1500, '1.5 µs'],
    ['us', false, 0.5, '500 ns'],
    ['1', true, 0.405, '40.5 %'],
    ['1', false, 0.05, '0.05'],
    ['%', false, 12.34, '12.3 %'],
    ['1', true, 0.0000222, '0 %'],
    ['1', true, 0.00169, '0.17 %'],
    ['', false, 1_234_567, '1.23M'],
    ['{request}/s', false, 33.52, '33.5/s'],
    ['{request}/s', false, 12_000, '12k/s'],
    ['{thread}', false, 12, '12'],
    ['Hz', false, 2_400_000_000, '2.4 GHz'],
    ['Cel', false, 51.24, '51.2 °C'],
    ['V', false, 0.012, '12 mV'],
    ['[odd]', false, 12, '12 [odd]'],
    ['By', false, Number.NaN, '–'],
    ['By', false, Number.POSITIVE_INFINITY, '∞'],
    ['By', false, -2048, '-2 KiB'],
  ] as const)('%s (percent %s): %d is %s', (unit, percent, value, text) => {
    expect(unitFormat(unit, percent)(value).replace(/(\d)([kMGT])$/, '$1$2')).toBe(text);
  });

  it('gives the ticks of an axis one unit and the decimals that tell them apart', () => {
    expect(unitFormat('By').ticks([0, 512 * 1024 ** 2, 1024 ** 3], 512 * 1024 ** 2)).toEqual([
      '0',
      '0.5 GiB',
      '1.0 GiB',
    ]);
    expect(unitFormat('1', true).ticks([0, 0.25, 0.5], 0.25)).toEqual(['0 %', '25 %', '50 %']);
    expect(unitFormat('s').ticks([0, 20, 40, 60, 80], 20)).toEqual(['0', '20 s', '40 s', '60 s', '80 s']);
    expect(unitFormat('s').ticks([0, 1800, 3600], 1800)).toEqual(['0', '0.5 h', '1.0 h']);
    expect(unitFormat('s').ticks([0, 0.0025, 0.005], 0.0025)).toEqual(['0', '2.5 ms', '5.0 ms']);
  });

  it('says any number in a few characters that read back as about the number', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e15, max: 1e15 }), (value) => {
        const text = significant(value);
        expect(text.length).toBeLessThan(11);
        expect(Math.abs(Number(text) - value)).toBeLessThanOrEqual(Math.abs(value) * 0.006);
      }),
    );
  });
});

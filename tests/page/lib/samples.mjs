// Known data for `boards/kinds.yaml`: every kind of chart, with values that a check can compute again.
import { gauge, histogram, send } from './otlp.mjs';

export const STEP = 5_000;
export const ZONES = ['north', 'south', 'west'];
/** The samples end here: the last full step before the checks began. */
export const END = Math.floor(Date.now() / STEP) * STEP - STEP;
export const COUNT = 120;
export const START = END - (COUNT - 1) * STEP;
export const BOUNDS = [0.01, 0.1, 1, 10];

/** Of the nth sample of a zone. */
export const level = (n, zone) => 10 * (1 + ZONES.indexOf(zone)) + (n % 12);

const times = Array.from({ length: COUNT }, (_, n) => START + n * STEP);

export async function sendSamples(otlp) {
  const levels = times.flatMap((t, n) => ZONES.map((zone) => ({ t, v: level(n, zone), zone })));
  const waits = times.map((t, n) => ({
    t,
    start: START - STEP,
    counts: [n, 2 * n, 3 * n, n, 0],
    bounds: BOUNDS,
    sum: 5 * n,
  }));
  await send(otlp, 'metrics', [
    gauge('page.level', levels, { unit: 'By', description: 'Known samples' }),
    gauge('page.share', times.map((t, n) => ({ t, v: (n % 20) / 20 })), { unit: '1' }),
    histogram('page.wait', waits),
    gauge('page.old', [{ t: END - 86_400_000, v: 1 }]),
  ]);
}

// Twelve charts of four series and 15 minutes at a point a second (3,600 points a chart), for the benches that draw them.
import { gauge, send } from '../lib/otlp.mjs';
import { now, pause } from './lib.mjs';

const SERIES = ['a', 'b', 'c', 'd'];
const SECONDS = 900;
export const CHARTS = 12;

const value = (chart, series, second) => 50 + 30 * Math.sin(second / (20 + 7 * chart) + SERIES.indexOf(series)) + ((second * 7919) % 13);
const pointsAt = (chart, t) => SERIES.map((series) => ({ t, v: value(chart, series, t / 1000), series }));

export async function fillTwelve(otlp) {
  const end = Math.floor(Date.now() / 1000) * 1000;
  for (let chart = 1; chart <= CHARTS; chart++) {
    const points = Array.from({ length: SECONDS }, (_, n) => pointsAt(chart, end - n * 1000)).flat();
    await send(otlp, 'metrics', [gauge(`bench.chart${chart}`, points, { unit: 'By' })]);
  }
}

/** New points for every chart, `rate` times a second, until `stop`. */
export function feedTwelve(otlp, rate = 1) {
  let stopped = false;
  let sent = 0;
  const running = (async () => {
    while (!stopped) {
      const began = now();
      const t = Date.now();
      const metrics = Array.from({ length: CHARTS }, (_, n) => gauge(`bench.chart${n + 1}`, pointsAt(n + 1, t), { unit: 'By' }));
      await send(otlp, 'metrics', metrics);
      sent++;
      await pause(Math.max(0, 1000 / rate - (now() - began)));
    }
  })();
  return {
    get sent() {
      return sent;
    },
    stop: async () => {
      stopped = true;
      await running;
    },
  };
}

// OTLP over HTTP as JSON, with times and values that a test knows.
import assert from 'node:assert/strict';

const value = (of) =>
  typeof of === 'string'
    ? { stringValue: of }
    : typeof of === 'boolean'
      ? { boolValue: of }
      : Number.isInteger(of)
        ? { intValue: String(of) }
        : { doubleValue: of };

export const attributes = (of) => Object.entries(of).map(([key, is]) => ({ key, value: value(is) }));

/** Milliseconds since 1970 as OTLP has times. */
export const nanos = (ms) => (BigInt(Math.round(ms * 1000)) * 1000n).toString();

/** A gauge; `points` are `{ t, v, ...labels }`. */
export const gauge = (name, points, { unit = '', description = '' } = {}) => ({
  name,
  unit,
  description,
  gauge: {
    dataPoints: points.map(({ t, v, ...labels }) => ({
      timeUnixNano: nanos(t),
      asDouble: v,
      attributes: attributes(labels),
    })),
  },
});

/** Cumulative histograms; `points` are `{ t, start, counts, bounds, sum, ...labels }`. */
export const histogram = (name, points, { unit = 's' } = {}) => ({
  name,
  unit,
  histogram: {
    aggregationTemporality: 2,
    dataPoints: points.map(({ t, start, counts, bounds, sum, ...labels }) => ({
      startTimeUnixNano: nanos(start),
      timeUnixNano: nanos(t),
      count: String(counts.reduce((a, b) => a + b, 0)),
      sum,
      bucketCounts: counts.map(String),
      explicitBounds: bounds,
      attributes: attributes(labels),
    })),
  },
});

const WRAP = {
  metrics: (resource, metrics) => ({ resourceMetrics: [{ resource, scopeMetrics: [{ metrics }] }] }),
  logs: (resource, logRecords) => ({ resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] }),
  traces: (resource, spans) => ({ resourceSpans: [{ resource, scopeSpans: [{ spans }] }] }),
};

export function request(signal, items, resource = { 'service.name': 'page-test' }) {
  return JSON.stringify(WRAP[signal]({ attributes: attributes(resource) }, items));
}

export const post = (otlp, signal, body) =>
  fetch(`${otlp}/v1/${signal}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });

export async function send(otlp, signal, items, resource) {
  const response = await post(otlp, signal, request(signal, items, resource));
  assert(response.ok, `${signal}: ${response.status} ${await response.text()}`);
}

/** Until it is acknowledged, as an SDK that retries does. Gives how often it had to. */
export async function sendUntilAcknowledged(otlp, signal, items, resource) {
  const body = request(signal, items, resource);
  for (let retries = 0; ; retries++) {
    const response = await post(otlp, signal, body).catch(() => null);
    if (response?.ok) return retries;
    assert(retries < 2000, 'never acknowledged');
    await new Promise((done) => setTimeout(done, 50));
  }
}

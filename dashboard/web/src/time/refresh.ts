// How results are brought up to date: as data arrives, not at all, or every so often. In the URL as `refresh` when it is not live.
import { computed, effect, type ReadonlySignal } from '@preact/signals';
import { search, setQuery } from '../router';
import { parseDuration } from './range';

/** `live`, `paused`, or milliseconds between refreshes. */
export type Refresh = 'live' | 'paused' | number;

export const INTERVALS = ['5s', '10s', '30s', '1m', '5m'];

export const refresh: ReadonlySignal<Refresh> = computed(() => {
  const asked = search.value.get('refresh');
  if (asked === 'paused') return 'paused';
  const interval = asked === null ? null : parseDuration(asked);
  return interval === null ? 'live' : Math.max(1_000, interval);
});

export const paused: ReadonlySignal<boolean> = computed(() => refresh.value === 'paused');

export function setRefresh(value: string): void {
  setQuery({ refresh: value === 'live' ? null : value }, true);
}

/** Carries the choice out on a client. */
export function driveRefresh(client: { deliver(delivery: 'live' | 'once'): void; refresh(): void }): () => void {
  return effect(() => {
    const chosen = refresh.value;
    client.deliver(chosen === 'live' ? 'live' : 'once');
    if (typeof chosen !== 'number') return;
    const timer = setInterval(() => client.refresh(), chosen);
    return () => clearInterval(timer);
  });
}

// How many alerts fire, for the navigation: asked for rarely, and only of an instance that has alerts.
import { signal } from '@preact/signals';
import { liveClient } from '../live/live';
import { getJson } from '../live/query';
import { path } from '../router';
import { type Severity, severityOf, worstOf } from './severity';

export interface Firing {
  readonly count: number;
  readonly worst: Severity;
}

export const firing = signal<Firing | null>(null);
/** Whether an `alerting` connector runs; null before it is known. */
export const alerting = signal<boolean | null>(null);

const EVERY_MS = 10_000;
const OPEN = '/api/v2/alerts?silenced=false&inhibited=false';

/** Asks the graph and not the alerts: an address that is not there is an error in the console. */
export async function lookForAlerting(): Promise<void> {
  try {
    const { connectors = [] } = await getJson<{ connectors?: { kind: string }[] }>('/api/v1/pipeline');
    alerting.value = connectors.some(({ kind }) => kind === 'alerting');
    if (!alerting.value) firing.value = null;
  } catch {
    // Asked again when the connection is back.
  }
}

async function count(): Promise<void> {
  try {
    const all = await getJson<Open[]>(OPEN);
    const alerts = all.filter(({ status }) => (status.mutedBy ?? []).length === 0);
    firing.value = { count: alerts.length, worst: worstOf(alerts.map(({ labels }) => severityOf(labels))) };
  } catch {
    firing.value = null;
  }
}

interface Open {
  readonly labels: Record<string, string>;
  readonly status: { readonly mutedBy?: readonly string[] };
}

/** For as long as the page is open. */
export function watchFiring(): void {
  const { socket } = liveClient();
  const look = async () => {
    if (socket.state.peek() !== 'open' || document.hidden || path.peek() === '/alerts') return;
    if (alerting.peek() !== true) return;
    await count();
  };
  socket.state.subscribe((state) => {
    if (state === 'open') void lookForAlerting().then(look);
  });
  setInterval(() => void look(), EVERY_MS);
}

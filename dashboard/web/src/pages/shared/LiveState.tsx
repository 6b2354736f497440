// How fresh what is shown is: a mark and a word. The page's own pause and interval (top bar) count as well.
import type { LiveState as State } from '../../live/live';
import { refresh } from '../../time/refresh';
import { formatDuration } from './format';

interface Props {
  readonly state: State | 'idle';
  /** Why it stands still, where the page of its own stopped it. */
  readonly stopped?: string | null;
  /** It is of a time that is over. */
  readonly past?: boolean;
}

export function LiveState({ state, stopped = null, past = false }: Props) {
  const word = stopped ?? wordFor(state, past);
  const still = stopped !== null || state === 'idle' || (refresh.value === 'paused' && state !== 'disconnected');
  return <span class={`tail-state ${still ? 'paused' : state}`}>{word}</span>;
}

function wordFor(state: Props['state'], past: boolean): string {
  if (state === 'disconnected') return 'Disconnected';
  if (state === 'loading') return 'Loading';
  if (state === 'idle') return 'Stopped';
  if (refresh.value === 'paused') return 'Paused, as the page is';
  if (typeof refresh.value === 'number') return `Every ${formatDuration(refresh.value * 1e6)}`;
  return past ? 'A range of the past' : 'Live';
}

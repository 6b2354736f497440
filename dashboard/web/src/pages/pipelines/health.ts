// How a part fares, in a word. Colour never says it alone.

import type { Rates } from './rates';
import * as rate from './rates';
import type { Exporter, Log, Receiver, Stage, State } from './snapshot';

export type Health = 'good' | 'waiting' | 'warning' | 'critical';

export interface Verdict {
  health: Health;
  /** One or two words. */
  word: string;
}

const OF_STATE: Readonly<Record<State, Verdict>> = {
  starting: { health: 'waiting', word: 'starting' },
  running: { health: 'good', word: 'running' },
  retrying: { health: 'warning', word: 'retrying' },
  stopping: { health: 'waiting', word: 'stopping' },
  stopped: { health: 'waiting', word: 'stopped' },
  failed: { health: 'critical', word: 'failed' },
};

const ofState = (state: State): Verdict => OF_STATE[state] ?? { health: 'waiting', word: String(state) };

/** A cursor that is this far behind asks to be looked at. */
const LATE_SECONDS = 60;

export function receiverHealth(receiver: Receiver, rates: Rates): Verdict {
  if (receiver.state !== 'running') return ofState(receiver.state);
  if (rates.rising(rate.receiver(receiver.id, 'refused_items'))) return { health: 'warning', word: 'refusing' };
  return ofState(receiver.state);
}

/** Of a processor or a connector. What a stage behind the log refuses was acknowledged: it is lost, as with an exporter. */
export function stageHealth(stage: Stage, rates: Rates): Verdict {
  const refusing = rates.rising(rate.stage(stage, 'refused_items'));
  if (stage.backlog === null) return refusing ? { health: 'warning', word: 'refusing' } : OF_STATE.running;
  if (refusing) return { health: 'critical', word: 'losing data' };
  if (stage.backlog.oldest_age_seconds > LATE_SECONDS) return { health: 'warning', word: 'behind' };
  return stage.refused_items > 0 ? { health: 'warning', word: 'lost data' } : OF_STATE.running;
}

export function exporterHealth(exporter: Exporter, rates: Rates): Verdict {
  if (exporter.state === 'failed') return ofState(exporter.state);
  if (rates.rising(rate.exporter(exporter.id, 'lost_items'))) return { health: 'critical', word: 'losing data' };
  if (exporter.state !== 'running') return ofState(exporter.state);
  if (exporter.backlog.oldest_age_seconds > LATE_SECONDS) return { health: 'warning', word: 'behind' };
  if (exporter.lost_items > 0) return { health: 'warning', word: 'lost data' };
  return ofState(exporter.state);
}

export function logHealth(log: Log, rates: Rates): Verdict {
  if (log.fsync_failures > 0) return { health: 'critical', word: 'disk failing' };
  if (rates.rising(rate.log('lost_items'))) return { health: 'critical', word: 'losing data' };
  if (rates.rising(rate.log('refused_requests'))) return { health: 'critical', word: 'refusing' };
  const used = log.limit_bytes > 0 ? log.bytes / log.limit_bytes : 0;
  if (used > 0.95) return { health: 'critical', word: 'nearly full' };
  if (used > 0.8) return { health: 'warning', word: 'filling' };
  if (log.lost_items > 0) return { health: 'warning', word: 'lost data' };
  return log.durable ? { health: 'good', word: 'durable' } : { health: 'waiting', word: 'memory only' };
}

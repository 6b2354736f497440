// What goes over /api/v1/live.
import type { Problem } from './frame';
import type { FrameHeader, Mode } from './store';

export interface WireQuery {
  readonly sql: string;
  readonly mode: Mode;
  readonly lookback?: string;
  readonly min_step?: string;
  readonly vars?: Readonly<Record<string, string | readonly string[]>>;
}

export type WireRange = { readonly last: string } | { readonly from: string; readonly to: string };

export type ServerMessage =
  | { readonly op: 'hello'; readonly version: string; readonly log: string }
  | { readonly op: 'subscribed'; readonly id: number; readonly stream: number; readonly step_ms: number }
  | { readonly op: 'status'; readonly id: number; readonly snapshot: unknown }
  | { readonly op: 'error'; readonly id?: number; readonly error: Problem };

/** u32 LE n | n bytes of JSON | Arrow IPC stream. Throws when it is not that. */
export function splitFrame(buffer: ArrayBuffer): { header: FrameHeader; arrow: Uint8Array } {
  const length = new DataView(buffer).getUint32(0, true);
  if (length > buffer.byteLength - 4) throw new Error('a frame is shorter than it says');
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length))) as FrameHeader;
  // Arrow's buffers must lie at multiples of 8. The server pads the JSON so that they do.
  const start = 4 + length;
  return { header, arrow: start % 8 === 0 ? new Uint8Array(buffer, start) : new Uint8Array(buffer.slice(start)) };
}

// Rows of the list of traces.
import type { Frame } from '../../live/frame';
import { reader } from '../shared/frame-reader';

export interface Summary {
  id: string;
  /** Milliseconds since 1970. */
  time: number;
  /** Nanoseconds. */
  duration: number;
  spans: number;
  errors: number;
  services: number;
  service: string | null;
  name: string;
}

export function summariesOf(frame: Frame): Summary[] {
  const [id, duration, spans, errors, services, service, name] = [
    'trace_id',
    'duration',
    'spans',
    'errors',
    'services',
    'service',
    'name',
  ].map((column) => reader(frame, column));
  return Array.from({ length: frame.length }, (_, row) => ({
    id: id?.text(row) ?? '',
    time: frame.time?.[row] ?? Number.NaN,
    duration: duration?.number(row) ?? 0,
    spans: spans?.number(row) ?? 0,
    errors: errors?.number(row) ?? 0,
    services: services?.number(row) ?? 0,
    service: service?.text(row) ?? null,
    name: name?.text(row) ?? '',
  }));
}

export interface Operation {
  service: string;
  name: string;
  spans: number;
}

export function operationsOf(frame: Frame): Operation[] {
  const [service, name, spans] = ['service_name', 'name', 'spans'].map((column) => reader(frame, column));
  return Array.from({ length: frame.length }, (_, row) => ({
    service: service?.text(row) ?? '',
    name: name?.text(row) ?? '',
    spans: spans?.number(row) ?? 0,
  }));
}

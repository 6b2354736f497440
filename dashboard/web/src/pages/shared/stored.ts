// What this browser remembers of a page: small choices, under one prefix. Where storage is refused, nothing is remembered.
import { useState } from 'preact/hooks';

const PREFIX = 'catchment.';

export function readStored(name: string): string | null {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null;
  }
}

/** False when it is full or refused. */
export function writeStored(name: string, value: string): boolean {
  try {
    localStorage.setItem(PREFIX + name, value);
    return true;
  } catch {
    return false;
  }
}

export function useStored<T>(name: string, parse: (stored: string | null) => T): [T, (value: T) => void] {
  const [value, setValue] = useState(() => parse(readStored(name)));
  return [
    value,
    (next) => {
      setValue(next);
      writeStored(name, typeof next === 'string' ? next : JSON.stringify(next));
    },
  ];
}

export const parseFlag = (stored: string | null): boolean => stored === 'true';

/** Strings only, and not without end. */
export function parseStrings(stored: string | null): string[] {
  try {
    const value: unknown = JSON.parse(stored ?? '[]');
    return Array.isArray(value) ? value.filter((item) => typeof item === 'string').slice(0, 20) : [];
  } catch {
    return [];
  }
}

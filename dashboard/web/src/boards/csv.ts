// A result as CSV (RFC 4180), times as ISO 8601.
import { textOf } from '../live/cells';
import type { Frame } from '../live/frame';

export function csvOf(frame: Frame): string {
  const lines = [frame.columns.map(({ name }) => field(name)).join(',')];
  for (let row = 0; row < frame.length; row++) {
    lines.push(
      frame.columns
        .map(({ type }, column) => {
          const value = frame.get(column, row);
          if (value === null) return '';
          return type === 'time' && typeof value === 'number' ? new Date(value).toISOString() : field(textOf(value));
        })
        .join(','),
    );
  }
  return `${lines.join('\r\n')}\r\n`;
}

/** A spreadsheet would carry out what begins as a formula does: an apostrophe makes it text. */
function field(text: string): string {
  const safe = /^[=@\t\r]|^[+-](?![\d.])/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
}

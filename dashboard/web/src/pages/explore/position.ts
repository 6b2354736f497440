// Places in a text: the server counts lines and columns from 1, in characters; the editor counts UTF-16 units from 0.

export interface Position {
  readonly line: number;
  readonly column: number;
}

/** The nearest place that there is. */
export function offsetOf(text: string, { line, column }: Position): number {
  const lines = text.split('\n');
  const row = Math.min(Math.max(1, Math.floor(line)), lines.length);
  const before = lines.slice(0, row - 1).reduce((sum, each) => sum + each.length + 1, 0);
  const characters = Array.from(lines[row - 1] ?? '');
  const within = characters.slice(0, Math.max(0, Math.floor(column) - 1)).join('').length;
  return before + within;
}

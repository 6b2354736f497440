// Boards as GET /api/v1/boards gives them: the shape of their YAML (docs/boards.md).
import { signal } from '@preact/signals';
import type { CellLink, ChartKind, ColumnStyle, LegendValue, Threshold } from '../charts/Chart';
import type { Problem } from '../live/frame';
import { getJson, QueryError } from '../live/query';
import type { Mode } from '../live/store';

export interface BoardSummary {
  readonly id: string;
  readonly title: string;
  readonly description?: string;
  readonly icon?: string;
}

export interface PanelQuery {
  readonly sql: string;
  readonly mode?: Mode;
  readonly lookback?: string;
  readonly min_step?: string;
  readonly limit?: number;
}

export interface Panel {
  readonly title: string;
  readonly description?: string;
  readonly chart: ChartKind;
  readonly query: PanelQuery | string;
  readonly unit?: string;
  readonly percent?: boolean;
  readonly min?: number;
  readonly max?: number;
  /** Of 12 columns. */
  readonly span?: number;
  readonly height?: 's' | 'm' | 'l';
  readonly series?: string;
  readonly colors?: Readonly<Record<string, string>>;
  readonly thresholds?: readonly Threshold[];
  readonly legend?: readonly LegendValue[];
  readonly links?: CellLink | readonly CellLink[];
  /** How a table shows single columns of its. */
  readonly columns?: Readonly<Record<string, ColumnStyle>>;
}

export interface Section {
  readonly title: string;
  readonly panels: readonly Panel[];
}

export interface Variable {
  readonly name: string;
  readonly label?: string;
  readonly query: PanelQuery | string;
  readonly multi?: boolean;
}

export interface Board extends BoardSummary {
  readonly variables?: readonly Variable[];
  readonly sections: readonly Section[];
}

export const boards = signal<readonly BoardSummary[]>([]);
export const boardsProblem = signal<Problem | null>(null);

export async function loadBoards(): Promise<void> {
  try {
    boards.value = (await getJson<{ boards: BoardSummary[] }>('/api/v1/boards')).boards;
    boardsProblem.value = null;
  } catch (error) {
    boardsProblem.value = problemOf(error);
  }
}

const held = new Map<string, Board>();

/** The one held from before, shown while it is asked for again. */
export const heldBoard = (id: string): Board | null => held.get(id) ?? null;

export async function loadBoard(id: string, signal: AbortSignal): Promise<Board> {
  const board = await getJson<Board>(`/api/v1/boards/${encodeURIComponent(id)}`, signal);
  held.set(id, board);
  return board;
}

export function problemOf(error: unknown): Problem {
  return error instanceof QueryError ? error.problem : { kind: 'internal', message: String(error) };
}

export const panelQuery = (query: PanelQuery | string): PanelQuery =>
  typeof query === 'string' ? { sql: query } : query;

export const panelMode = ({ chart, query }: Pick<Panel, 'chart' | 'query'>): Mode =>
  panelQuery(query).mode ?? (chart === 'table' ? 'table' : 'series');

/** The most rows that the server sends of a table; a chart over time that asks for one needs many. */
const MOST_ROWS = 5_000;

export function panelLimit(panel: Pick<Panel, 'chart' | 'query'>): number | undefined {
  return panelQuery(panel.query).limit ?? (panelMode(panel) === 'table' ? MOST_ROWS : undefined);
}

/** The variables that a statement names. */
export function namesIn(sql: string): Set<string> {
  return new Set(Array.from(sql.matchAll(/\$([A-Za-z_][A-Za-z0-9_]*)/g), ([, name]) => name as string));
}

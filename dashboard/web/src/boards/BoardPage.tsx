// A board: the one of /boards/{id}; at / the host's.
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Problem } from '../live/frame';
import { path } from '../router';
import { useTitle } from '../shell/title';
import { ErrorState, Loading } from '../ui';
import { Icon } from '../ui/Icon';
import { type Board, heldBoard, loadBoard, problemOf, type Section } from './board';
import { PanelView } from './PanelView';
import { VariablePicker } from './VariablePicker';
import { useVariableStates, type VariableStates } from './variables';

export const HOME_BOARD = 'host';

export function boardId(of: string): string {
  const id = /^\/boards\/([^/]+)$/.exec(of)?.[1];
  try {
    return id === undefined ? HOME_BOARD : decodeURIComponent(id);
  } catch {
    return HOME_BOARD;
  }
}

export function BoardPage() {
  const id = boardId(path.value);
  const [board, setBoard] = useState<Board | null>(() => heldBoard(id));
  const [problem, setProblem] = useState<Problem | null>(null);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    setProblem(null);
    setBoard(heldBoard(id));
    loadBoard(id, abort.signal).then(
      (loaded) => setBoard((had) => (JSON.stringify(had) === JSON.stringify(loaded) ? had : loaded)),
      (error) => {
        if (!abort.signal.aborted) setProblem(problemOf(error));
      },
    );
    return () => abort.abort();
  }, [id, attempt]);
  useTitle(board?.title ?? '');
  if (board && board.id === id) return <BoardView key={id} board={board} />;
  if (problem) return <ErrorState problem={problem} onRetry={() => setAttempt(attempt + 1)} />;
  return <Loading />;
}

const NO_VARIABLES: readonly never[] = [];

function BoardView({ board }: { readonly board: Board }) {
  const states = useVariableStates();
  const variables = board.variables ?? NO_VARIABLES;
  return (
    <div class="board">
      <header class="board-head">
        <div>
          <h1>
            <bdi>{board.title}</bdi>
          </h1>
          {board.description && <p class="hint">{board.description}</p>}
        </div>
        {variables.length > 0 && (
          <div class="toolbar" role="group" aria-label="Variables">
            {variables.map((variable) => (
              <VariablePicker key={variable.name} variable={variable} states={states} />
            ))}
          </div>
        )}
      </header>
      {board.sections.map((section, i) => (
        <SectionView key={`${i} ${section.title}`} board={board} section={section} states={states} />
      ))}
    </div>
  );
}

interface SectionProps {
  readonly board: Board;
  readonly section: Section;
  readonly states: VariableStates;
}

/** Folded sections ask nothing. What is folded is kept in this browser. */
function SectionView({ board, section, states }: SectionProps) {
  const key = useMemo(() => `catchment.folded ${board.id} ${section.title}`, [board.id, section.title]);
  const [folded, setFolded] = useState(() => readFlag(key));
  const id = `section-${section.title.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`;
  const toggle = () => {
    setFolded(!folded);
    writeFlag(key, !folded);
  };
  return (
    <section class="board-section" aria-labelledby={id}>
      <h2 id={id}>
        <button type="button" class="section-toggle" aria-expanded={!folded} onClick={toggle}>
          <span class={folded ? 'turn folded' : 'turn'}>
            <Icon name="chevron" size={14} />
          </span>
          <bdi>{section.title}</bdi>
        </button>
      </h2>
      {!folded && (
        <div class="grid">
          {section.panels.map((panel, i) => (
            <PanelView
              key={`${i} ${panel.title}`}
              panel={panel}
              variables={board.variables ?? NO_VARIABLES}
              states={states}
            />
          ))}
        </div>
      )}
    </section>
  );
}

function readFlag(key: string): boolean {
  try {
    return localStorage.getItem(key) === '1';
  } catch {
    return false;
  }
}

function writeFlag(key: string, on: boolean): void {
  try {
    if (on) localStorage.setItem(key, '1');
    else localStorage.removeItem(key);
  } catch {
    // Kept for as long as the page is open.
  }
}

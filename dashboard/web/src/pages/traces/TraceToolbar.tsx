// Find, open and close, enlarge.
import { useRef } from 'preact/hooks';
import { useShortcut } from '../../shell/shortcuts';
import { Button, Toolbar } from '../../ui';
import { formatDuration } from '../shared/format';
import { Icon } from '../shared/icons';
import { isError } from './span';
import { type Window, zoom } from './time-scale';
import { at, type Tree } from './tree';

interface Props {
  readonly tree: Tree;
  readonly found: ReadonlySet<number> | null;
  readonly search: string;
  readonly onSearch: (text: string) => void;
  readonly active: number;
  readonly onActive: (index: number) => void;
  readonly critical: boolean;
  readonly onCritical: (on: boolean) => void;
  readonly onClosed: (closed: Set<number>) => void;
  readonly window: Window;
  readonly whole: Window;
  readonly onWindow: (window: Window) => void;
}

export function TraceToolbar(props: Props) {
  const box = useRef<HTMLInputElement>(null);
  useShortcut('/', 'Find spans', 'Traces', () => box.current?.focus());
  const { tree, found, search, active, onActive, window, whole, onWindow } = props;
  const errors = tree.nodes.flatMap((node, index) => (isError(node.span) ? [index] : []));
  const next = (among: readonly number[], step: 1 | -1) => {
    const target =
      step > 0
        ? (among.find((index) => index > active) ?? among[0])
        : (among.findLast((index) => index < active) ?? among.at(-1));
    if (target !== undefined) onActive(target);
  };
  const matches = found ? [...found] : [];
  const middle = (window.from + window.to) / 2;
  const zoomed = window.from > whole.from || window.to < whole.to;
  return (
    <Toolbar label="The spans">
      <input
        ref={box}
        class="input find"
        type="search"
        aria-label="Find spans"
        placeholder="Find: name, service, attribute"
        value={search}
        onInput={(event) => props.onSearch(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter') next(matches, event.shiftKey ? -1 : 1);
        }}
      />
      {found && (
        <span class="hint" role="status">
          {matches.length} found{matches.length > 0 && ', Enter for the next'}
        </span>
      )}
      {errors.length > 0 && (
        <Button kind="quiet" onClick={() => next(errors, 1)}>
          <Icon name="error" /> Next error
        </Button>
      )}
      <span class="grow" />
      <Button kind="quiet" aria-pressed={props.critical} onClick={() => props.onCritical(!props.critical)}>
        Critical path
      </Button>
      <Button kind="quiet" onClick={() => props.onClosed(new Set())}>
        Open all
      </Button>
      <Button kind="quiet" onClick={() => props.onClosed(belowRoots(tree))}>
        Close all
      </Button>
      <Button
        kind="quiet"
        icon
        aria-label="Enlarge the time"
        onClick={() => onWindow(zoom(window, 0.5, middle, whole))}
      >
        <Icon name="zoomIn" />
      </Button>
      <Button
        kind="quiet"
        icon
        aria-label="Show more time"
        disabled={!zoomed}
        onClick={() => onWindow(zoom(window, 2, middle, whole))}
      >
        <Icon name="zoomOut" />
      </Button>
      <Button kind="quiet" icon aria-label="Show all of the trace" disabled={!zoomed} onClick={() => onWindow(whole)}>
        <Icon name="fit" />
      </Button>
      {zoomed && (
        <span class="hint" role="status">
          {formatDuration(window.to - window.from)} of {formatDuration(whole.to - whole.from)}
        </span>
      )}
    </Toolbar>
  );
}

/** What is directly below the roots stays in sight, closed. */
function belowRoots(tree: Tree): Set<number> {
  const closed = new Set<number>();
  tree.nodes.forEach((node, index) => {
    if (node.parent >= 0 && at(tree.nodes, node.parent).parent < 0 && node.children.length > 0) closed.add(index);
  });
  return closed;
}

// Keyboard shortcuts: registered by whoever carries them out, listed by the help, deaf while something is typed.
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

export interface Shortcut {
  /** One key, or two in a row: `p`, `g h`. */
  readonly keys: string;
  readonly label: string;
  readonly group: string;
  readonly run: () => void;
}

export const shortcuts = signal<readonly Shortcut[]>([]);

export function register(...added: Shortcut[]): () => void {
  shortcuts.value = [...shortcuts.peek(), ...added];
  return () => {
    shortcuts.value = shortcuts.peek().filter((shortcut) => !added.includes(shortcut));
  };
}

/** For the time that a component is shown. */
export function useShortcut(keys: string, label: string, group: string, run: () => void): void {
  useEffect(() => register({ keys, label, group, run }), [keys, label, group]);
}

/** The second key must follow within this time. */
const CHORD_MS = 1_200;

function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return (
    target.isContentEditable ||
    /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) ||
    target.closest('.cm-editor') !== null
  );
}

export function listen(): void {
  let first = '';
  let since = 0;
  addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (document.querySelector('dialog[open]') && event.key !== 'Escape') return;
    const key = event.key;
    const chord = first && event.timeStamp - since < CHORD_MS ? `${first} ${key}` : key;
    first = '';
    const found = shortcuts.peek().findLast(({ keys }) => keys === chord);
    if (found) {
      event.preventDefault();
      found.run();
    } else if (shortcuts.peek().some(({ keys }) => keys.startsWith(`${key} `))) {
      first = key;
      since = event.timeStamp;
    }
  });
}

// The SQL editor: CodeMirror, loaded by Explore only. Its colours are those of the page.

import type { CompletionContext, CompletionResult } from '@codemirror/autocomplete';
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { PostgreSQL, sql } from '@codemirror/lang-sql';
import { bracketMatching, HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { type Diagnostic, lintKeymap, setDiagnostics } from '@codemirror/lint';
import { EditorState, Prec } from '@codemirror/state';
import {
  Decoration,
  type DecorationSet,
  drawSelection,
  EditorView,
  highlightSpecialChars,
  keymap,
  lineNumbers,
  MatchDecorator,
  placeholder,
  ViewPlugin,
  type ViewUpdate,
} from '@codemirror/view';
import { tags } from '@lezer/highlight';
import type { Completion, Option } from './complete';
import type { Position } from './position';
import { offsetOf } from './position';

export interface EditorOptions {
  readonly doc: string;
  readonly onChange: (doc: string) => void;
  readonly onRun: () => void;
  readonly onCancel: () => boolean;
  readonly complete: (doc: string, at: number, asked: boolean) => Completion | null;
}

export interface Editor {
  /** One step that can be undone. */
  replace(doc: string): void;
  insert(text: string): void;
  mark(mistake: { message: string; position?: Position | undefined } | null): void;
  focus(): void;
  destroy(): void;
}

export function createEditor(parent: HTMLElement, options: EditorOptions): Editor {
  const view = new EditorView({
    parent,
    state: EditorState.create({ doc: options.doc, extensions: extensions(options) }),
  });
  return {
    replace(doc) {
      if (doc === view.state.doc.toString()) return;
      view.dispatch({
        changes: { from: 0, to: view.state.doc.length, insert: doc },
        selection: { anchor: doc.length },
      });
    },
    insert(text) {
      view.dispatch(view.state.replaceSelection(text));
      view.focus();
    },
    mark(mistake) {
      view.dispatch(
        setDiagnostics(view.state, mistake?.position ? [diagnostic(view, mistake.message, mistake.position)] : []),
      );
    },
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}

/** The word at the position, or the one character. */
function diagnostic(view: EditorView, message: string, position: Position): Diagnostic {
  const doc = view.state.doc.toString();
  const from = Math.min(offsetOf(doc, position), Math.max(0, doc.length - 1));
  const word = /^(?:"[^"]*"|\$?[\w.]+)/.exec(doc.slice(from))?.[0] ?? ' ';
  return { from, to: Math.min(doc.length, from + word.length), severity: 'error', message };
}

function extensions({ onChange, onRun, onCancel, complete }: EditorOptions) {
  const run = {
    key: 'Mod-Enter',
    run: () => {
      onRun();
      return true;
    },
  };
  return [
    Prec.highest(keymap.of([run])),
    lineNumbers(),
    highlightSpecialChars(),
    history(),
    drawSelection(),
    bracketMatching(),
    closeBrackets(),
    EditorView.lineWrapping,
    placeholder('SELECT … (Ctrl+Enter runs it, Ctrl+Space completes)'),
    sql({ dialect: PostgreSQL, upperCaseKeywords: true }),
    syntaxHighlighting(highlighting),
    placeholders,
    autocompletion({ override: [source(complete)], icons: false, maxRenderedOptions: 200 }),
    // Tab leaves the editor, as everywhere on the page.
    keymap.of([
      ...closeBracketsKeymap,
      ...completionKeymap,
      ...historyKeymap,
      ...lintKeymap,
      ...defaultKeymap,
      { key: 'Escape', run: onCancel },
    ]),
    EditorView.updateListener.of((update) => {
      if (update.docChanged) onChange(update.state.doc.toString());
    }),
    EditorView.contentAttributes.of({ 'aria-label': 'SQL', spellcheck: 'false' }),
    theme,
  ];
}

const source =
  (complete: EditorOptions['complete']) =>
  (context: CompletionContext): CompletionResult | null => {
    const found = complete(context.state.doc.toString(), context.pos, context.explicit);
    if (!found || found.options.length === 0) return null;
    return {
      from: found.from,
      to: found.to,
      options: found.options.map((option, index) => ({
        label: option.apply.startsWith('"') && !option.label.startsWith('"') ? option.apply : option.label,
        displayLabel: shown(option.label),
        apply: option.apply,
        detail: shown(option.detail),
        type: option.kind,
        boost: BOOST[option.kind] - index / 10_000,
        ...(option.info && { info: option.info.slice(0, 500) }),
      })),
      validFor: /^["$\w.]*$/,
    };
  };

const shown = (text: string): string => (text.length > 120 ? `${text.slice(0, 120)}…` : text);

const BOOST: Readonly<Record<Option['kind'], number>> = {
  attribute: 5,
  column: 4,
  table: 4,
  metric: 3,
  placeholder: 2,
  function: 1,
  keyword: 0,
};

/** `$range` and its like, which PostgreSQL's grammar takes for parameters. */
const decorator = new MatchDecorator({
  regexp: /\$(?:range|from|to|step_seconds|step)\b/g,
  decoration: Decoration.mark({ class: 'cm-placeholder-word' }),
});
const placeholders = ViewPlugin.fromClass(
  class {
    decorations: DecorationSet;
    constructor(view: EditorView) {
      this.decorations = decorator.createDeco(view);
    }
    update(update: ViewUpdate) {
      this.decorations = decorator.updateDeco(update, this.decorations);
    }
  },
  { decorations: (plugin) => plugin.decorations },
);

const highlighting = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword], color: 'var(--code-keyword)', fontWeight: '600' },
  { tag: [tags.string, tags.special(tags.string)], color: 'var(--code-string)' },
  { tag: [tags.number, tags.bool, tags.null], color: 'var(--code-number)' },
  { tag: [tags.comment, tags.lineComment, tags.blockComment], color: 'var(--text-2)', fontStyle: 'italic' },
  { tag: [tags.typeName, tags.standard(tags.name)], color: 'var(--code-type)' },
]);

const theme = EditorView.theme({
  '&': { backgroundColor: 'var(--surface)', color: 'var(--text)', fontSize: '13px', maxHeight: '45vh' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.5', minHeight: '128px', overflow: 'auto' },
  '.cm-content': { caretColor: 'var(--text)', padding: '8px 0' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '.cm-gutters': { backgroundColor: 'var(--surface)', color: 'var(--text-2)', border: 'none' },
  '&.cm-focused': { outline: 'none' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': {
    backgroundColor: 'var(--code-selection)',
  },
  '&.cm-focused .cm-matchingBracket': { backgroundColor: 'var(--accent-soft)', outline: '1px solid var(--accent)' },
  '.cm-placeholder': { color: 'var(--text-2)' },
  '.cm-placeholder-word, .cm-placeholder-word span': { color: 'var(--accent)', fontWeight: '600' },
  '.cm-tooltip': {
    backgroundColor: 'var(--raised)',
    border: '1px solid var(--line-strong)',
    borderRadius: '6px',
    color: 'var(--text)',
  },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--mono)', fontSize: '12px', maxHeight: '260px' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li': { padding: '3px 8px', unicodeBidi: 'isolate' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { backgroundColor: 'var(--accent-soft)', color: 'var(--text)' },
  '.cm-completionDetail': { color: 'var(--text-2)', fontStyle: 'normal' },
  '.cm-completionMatchedText': { textDecoration: 'none', fontWeight: '700' },
  '.cm-completionInfo': { maxWidth: '320px', padding: '6px 8px', fontFamily: 'var(--font)' },
  '.cm-diagnostic-error': { borderLeftColor: 'var(--critical)' },
  '.cm-lintRange-error': {
    backgroundImage: 'none',
    textDecoration: 'underline wavy var(--critical)',
    textUnderlineOffset: '3px',
  },
});

// The editor's place in the page; the editor itself is loaded after it.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Problem } from '../../live/frame';
import { Loading } from '../../ui';
import type { Catalog } from './catalog';
import { complete } from './complete';
import type { Editor } from './editor';

interface Props {
  /** What the editor begins with. Afterwards it is told through `handle`: text that came back while somebody types would undo it. */
  readonly doc: string;
  readonly catalog: Catalog | null;
  readonly problem: Problem | null;
  /** Filled while the editor is there. */
  readonly handle: { current: Editor | null };
  readonly onChange: (doc: string) => void;
  readonly onRun: () => void;
  readonly onCancel: () => boolean;
}

const NOTHING: Catalog = { tables: new Map(), metrics: [], truncated: false, functions: [] };

export function EditorBox(props: Props) {
  const place = useRef<HTMLDivElement>(null);
  const editor = props.handle;
  // What the editor calls must be what was drawn last, not what was there when it was made.
  const last = useRef(props);
  last.current = props;
  const [state, setState] = useState<'loading' | 'ready' | 'failed'>('loading');
  useEffect(() => {
    let wanted = true;
    import('./editor').then(
      ({ createEditor }) => {
        if (!wanted || !place.current) return;
        editor.current = createEditor(place.current, {
          doc: last.current.doc,
          onChange: (doc) => last.current.onChange(doc),
          onRun: () => last.current.onRun(),
          onCancel: () => last.current.onCancel(),
          complete: (doc, at, asked) => complete(doc, at, last.current.catalog ?? NOTHING, asked),
        });
        setState('ready');
      },
      () => wanted && setState('failed'),
    );
    return () => {
      wanted = false;
      editor.current?.destroy();
      editor.current = null;
    };
  }, []);
  useEffect(() => {
    if (state === 'ready') editor.current?.mark(props.problem);
  }, [props.problem, state]);
  return (
    <div class="editor-box">
      <div ref={place} />
      {state === 'loading' && <Loading label="Loading the editor" />}
      {state === 'failed' && (
        <textarea
          class="input mono"
          aria-label="SQL"
          value={props.doc}
          onInput={(event) => props.onChange(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) props.onRun();
          }}
        />
      )}
    </div>
  );
}

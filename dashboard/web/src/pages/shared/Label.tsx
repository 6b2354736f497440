// Text from outside: names, values, bodies. Always text, never markup; its direction does not reach its neighbours (<bdi>);
// as much of it in the page as can be looked at, the rest on demand.
import { useState } from 'preact/hooks';
import { formatBytes, formatCount } from './format';
import { clip, printable } from './printable';

const MOST = 300;
const TITLE = 2000;

/** One line that is cut off with an ellipsis where its place ends; all of it in the title. */
export function Label({ text, class: extra = '', most = MOST }: { text: string; class?: string; most?: number }) {
  return (
    <bdi class={`label ${extra}`} title={clip(text, TITLE)}>
      {printable(clip(text, most))}
    </bdi>
  );
}

/** A dotted name, whose lines end behind a dot where they can. */
function Dotted({ text }: { readonly text: string }) {
  const [first, ...rest] = text.split(/(?<=\.)/);
  return (
    <>
      {first}
      {rest.flatMap((part) => [<wbr />, part])}
    </>
  );
}

/** Several lines, all of them if wanted. */
export function LongText({ text, most = 2000, dotted = false }: { text: string; most?: number; dotted?: boolean }) {
  const [whole, setWhole] = useState(false);
  if (text.length <= most || whole)
    return <bdi class="long-text">{dotted ? <Dotted text={printable(text)} /> : printable(text)}</bdi>;
  return (
    <>
      <bdi class="long-text">{printable(clip(text, most))}</bdi>{' '}
      <button type="button" class="text-button" onClick={() => setWhole(true)}>
        Show all {text.length < 10_000 ? `${formatCount(text.length)} characters` : formatBytes(text.length)}
      </button>
    </>
  );
}

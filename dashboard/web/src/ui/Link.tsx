// A link inside the app: an ordinary <a> (open in a new tab, copy address) that does not load the page again.
import type { ComponentChildren, JSX } from 'preact';
import { href, navigate, search } from '../router';

interface Props extends Omit<JSX.IntrinsicElements['a'], 'href' | 'role' | 'onClick'> {
  readonly onClick?: (event: MouseEvent) => void;
  readonly href: string;
  readonly children?: ComponentChildren;
}

export function Link({ href: to, onClick, children, ...rest }: Props) {
  search.value; // the page-wide parameters in the address follow the range
  return (
    <a
      {...rest}
      href={href(to)}
      onClick={(event) => {
        onClick?.(event);
        if (event.defaultPrevented || event.button !== 0) return;
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || rest.target) return;
        event.preventDefault();
        navigate(to);
      }}
    >
      {children}
    </a>
  );
}

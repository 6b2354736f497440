// The small parts that pages are made of.
import type { ComponentChildren, JSX } from 'preact';
import type { Problem } from '../live/frame';

export { Link } from './Link';

type ButtonProps = JSX.IntrinsicElements['button'] & {
  readonly kind?: 'plain' | 'primary' | 'quiet';
  /** Only an icon inside: give it an `aria-label`. */
  readonly icon?: boolean;
};

export function Button({ kind = 'plain', icon = false, class: extra, children, ...rest }: ButtonProps) {
  return (
    <button type="button" class={`button ${kind} ${icon ? 'icon' : ''} ${extra ?? ''}`} {...rest}>
      {children}
    </button>
  );
}

export interface Option {
  readonly value: string;
  readonly label: string;
}

export function Select(props: {
  readonly label: string;
  readonly value: string;
  readonly options: readonly Option[];
  readonly onChange: (value: string) => void;
  readonly disabled?: boolean;
}) {
  return (
    <select
      class="select"
      aria-label={props.label}
      value={props.value}
      disabled={props.disabled}
      onChange={(event) => props.onChange(event.currentTarget.value)}
    >
      {props.options.map(({ value, label }) => (
        <option key={value} value={value}>
          {label}
        </option>
      ))}
    </select>
  );
}

export function Tabs(props: {
  readonly label: string;
  readonly value: string;
  readonly options: readonly Option[];
  readonly onChange: (value: string) => void;
}) {
  const move = (event: KeyboardEvent, at: number) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = props.options[(at + step + props.options.length) % props.options.length];
    if (!next) return;
    props.onChange(next.value);
    const tabs = (event.currentTarget as HTMLElement).parentElement?.children;
    (tabs?.[props.options.indexOf(next)] as HTMLElement | undefined)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label={props.label}>
      {props.options.map(({ value, label }, at) => (
        <button
          key={value}
          type="button"
          role="tab"
          aria-selected={value === props.value}
          tabIndex={value === props.value ? 0 : -1}
          onClick={() => props.onChange(value)}
          onKeyDown={(event) => move(event, at)}
        >
          {label}
        </button>
      ))}
    </div>
  );
}

export function Toolbar({ label, children }: { readonly label: string; readonly children: ComponentChildren }) {
  return (
    <div class="toolbar" role="group" aria-label={label}>
      {children}
    </div>
  );
}

/** Says what would fill it. */
export function EmptyState({ title, children }: { readonly title: string; readonly children?: ComponentChildren }) {
  return (
    <div class="state">
      <strong>{title}</strong>
      {children}
    </div>
  );
}

export function ErrorState({ problem, onRetry }: { readonly problem: Problem; readonly onRetry?: () => void }) {
  const { message, position } = problem;
  return (
    <div class="state error" role="alert">
      <strong>{problem.kind === 'offline' ? 'No connection' : 'The query failed'}</strong>
      <pre>
        {position ? `line ${position.line}, column ${position.column}: ` : ''}
        {message}
      </pre>
      {onRetry && <Button onClick={onRetry}>Try again</Button>}
    </div>
  );
}

export function Loading({ label = 'Loading' }: { readonly label?: string }) {
  return (
    <div class="state" role="status">
      {label}…
    </div>
  );
}

// Which traces are listed. All of it is in the address.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { setQuery, search as urlQuery } from '../../router';
import { register } from '../../shell/shortcuts';
import { Select, Toolbar } from '../../ui';
import { parseSearch } from '../logs/parse';
import { clip } from '../shared/printable';
import { type Filter, parseDuration, SORTS } from './list-query';
import type { Operation } from './summaries';

const SORT_LABELS = {
  newest: 'Newest first',
  longest: 'Longest first',
  errors: 'Most errors first',
  spans: 'Most spans first',
};
const LABEL = 80;

interface Props {
  readonly filter: Filter;
  readonly operations: readonly Operation[];
}

export function TraceFilters({ filter, operations }: Props) {
  const services = useMemo(
    () => [...new Set(operations.map(({ service }) => service))].filter(Boolean).sort(),
    [operations],
  );
  const names = useMemo(() => {
    const fitting = operations.filter(({ service }) => !filter.service || service === filter.service);
    return [...new Set(fitting.map(({ name }) => name))].sort();
  }, [operations, filter.service]);
  const put = (name: string, value: string) => setQuery({ [name]: value || null }, true);
  const mistakes = parseSearch(filter.search).mistakes;
  return (
    <div class="trace-filters">
      <Toolbar label="Which traces">
        <Select
          label="Service"
          value={filter.service}
          options={choices('All services', services, filter.service)}
          onChange={(value) => setQuery({ service: value || null, operation: null }, true)}
        />
        <Select
          label="Operation"
          value={filter.operation}
          options={choices('All operations', names, filter.operation)}
          onChange={(value) => put('operation', value)}
        />
        <Typed name="q" label="Search spans" placeholder='name  key=value  "a phrase"' wide />
        <Typed name="min" label="Least duration" placeholder="min 100ms" isRight={isDuration} />
        <Typed name="max" label="Greatest duration" placeholder="max 2s" isRight={isDuration} />
        <label class="check">
          <input
            type="checkbox"
            checked={filter.errors}
            onChange={(event) => put('errors', event.currentTarget.checked ? 'true' : '')}
          />
          Errors only
        </label>
        <Select
          label="Order"
          value={filter.sort}
          options={SORTS.map((value) => ({ value, label: SORT_LABELS[value] }))}
          onChange={(value) => put('sort', value === 'newest' ? '' : value)}
        />
      </Toolbar>
      {mistakes.length > 0 && (
        <p class="mistakes" role="status">
          {mistakes.map(({ message }) => message).join('; ')}
        </p>
      )}
    </div>
  );
}

const isDuration = (text: string): boolean => text.trim() === '' || parseDuration(text) !== null;

function choices(all: string, values: readonly string[], chosen: string) {
  const known = chosen && !values.includes(chosen) ? [...values, chosen] : values;
  return [{ value: '', label: all }, ...known.map((value) => ({ value, label: clip(value, LABEL) || '(no name)' }))];
}

const PAUSE_MS = 400;

interface TypedProps {
  readonly name: string;
  readonly label: string;
  readonly placeholder: string;
  readonly wide?: boolean;
  readonly isRight?: (text: string) => boolean;
}

/** A box whose text goes into the address a moment after the typing. */
function Typed({ name, label, placeholder, wide, isRight = () => true }: TypedProps) {
  const given = urlQuery.value.get(name) ?? '';
  const [text, setText] = useState(given);
  const timer = useRef(0);
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => setText(given), [given]);
  useEffect(
    () => (wide ? register({ keys: '/', label, group: 'Traces', run: () => box.current?.focus() }) : undefined),
    [wide, label],
  );
  useEffect(() => () => clearTimeout(timer.current), []);
  const commit = (value: string) => {
    clearTimeout(timer.current);
    if (isRight(value)) setQuery({ [name]: value.trim() || null }, true);
  };
  return (
    <input
      ref={box}
      class={`input ${wide ? 'grow' : 'short'}`}
      aria-label={label}
      aria-invalid={!isRight(text)}
      title={isRight(text) ? label : 'A number and a unit: 250ms, 1.5s, 2m'}
      placeholder={placeholder}
      spellcheck={false}
      autocomplete="off"
      value={text}
      onInput={(event) => {
        const value = event.currentTarget.value;
        setText(value);
        clearTimeout(timer.current);
        timer.current = window.setTimeout(commit, PAUSE_MS, value);
      }}
      onKeyDown={(event) => event.key === 'Enter' && commit(event.currentTarget.value)}
    />
  );
}

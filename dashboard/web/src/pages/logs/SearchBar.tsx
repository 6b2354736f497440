// The search box with its mistakes, a choice of severity, and what can be written.
import { useEffect, useRef, useState } from 'preact/hooks';
import { useShortcut } from '../../shell/shortcuts';
import { Button, Select, Toolbar } from '../../ui';
import { Icon } from '../shared/icons';
import { splitTerms } from './parse';
import type { Searching } from './use-search';

/** Long enough not to ask at each letter. */
const PAUSE_MS = 350;

const SEVERITIES = [
  { value: '', label: 'All severities' },
  ...['debug', 'info', 'warn', 'error', 'fatal'].map((level) => ({
    value: `severity>=${level}`,
    label: level === 'fatal' ? 'fatal only' : `${level} and above`,
  })),
];
const isSeverity = (term: string): boolean => /^(severity|level)[=!<>]/i.test(term);

export function SearchBar({ search }: { readonly search: Searching }) {
  const [draft, setDraft] = useState(search.text);
  const [help, setHelp] = useState(false);
  const timer = useRef(0);
  const box = useRef<HTMLInputElement>(null);
  useShortcut('/', 'Search', 'Logs', () => box.current?.focus());
  useEffect(() => setDraft(search.text), [search.text]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const commit = (text: string) => {
    clearTimeout(timer.current);
    search.set(text);
  };
  const terms = splitTerms(draft);
  const severity = terms.find(isSeverity) ?? '';
  const known = SEVERITIES.some(({ value }) => value === severity);
  return (
    <form class="log-search" role="search" onSubmit={(event) => event.preventDefault()}>
      <Toolbar label="Search of logs">
        <input
          ref={box}
          class="input mono grow"
          type="search"
          aria-label="Search logs"
          aria-describedby="log-search-mistakes"
          aria-invalid={search.mistakes.length > 0}
          placeholder='text  "a phrase"  -not  key=value  key!=value  severity>=warn'
          spellcheck={false}
          autocomplete="off"
          value={draft}
          onInput={(event) => {
            const text = event.currentTarget.value;
            setDraft(text);
            clearTimeout(timer.current);
            timer.current = window.setTimeout(commit, PAUSE_MS, text);
          }}
          onKeyDown={(event) => event.key === 'Enter' && commit(event.currentTarget.value)}
        />
        <Select
          label="Least severity"
          value={severity}
          options={known ? SEVERITIES : [...SEVERITIES, { value: severity, label: severity }]}
          onChange={(value) => commit([...terms.filter((term) => !isSeverity(term)), value].filter(Boolean).join(' '))}
        />
        <Button
          kind="quiet"
          icon
          aria-label="What can be searched for"
          aria-expanded={help}
          onClick={() => setHelp(!help)}
        >
          <Icon name="help" />
        </Button>
      </Toolbar>
      <p id="log-search-mistakes" class="mistakes" role="status">
        {search.mistakes.map(({ message, from, to }) => (
          <span key={`${from} ${message}`}>
            <bdi>
              <code>{search.text.slice(from, Math.min(to, from + 60))}</code>
            </bdi>
            : {message}
          </span>
        ))}
      </p>
      {help && <Help />}
    </form>
  );
}

const EXAMPLES = [
  ['timeout', 'the body contains it, in any case'],
  ['"connection reset"', 'a phrase'],
  ['-healthz', 'the body does not contain it'],
  ['http.route=/pay', 'an attribute of the record or its resource; again for a second value'],
  ['user.id!=42', 'not this value, or none'],
  ['user.id=*', 'it has one; user.id!=* it has none'],
  ['service=shop', 'also host, body, trace_id, span_id, event_name, scope, severity_text'],
  ['severity>=warn', 'also = != > < <=; trace, debug, info, warn, error, fatal or 1 to 24'],
] as const;

function Help() {
  return (
    <dl class="facts help">
      {EXAMPLES.map(([example, meaning]) => (
        <>
          <dt>
            <code>{example}</code>
          </dt>
          <dd>{meaning}</dd>
        </>
      ))}
    </dl>
  );
}

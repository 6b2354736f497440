// What fires now: the filters, and the list in groups.
import { useMemo, useState } from 'preact/hooks';
import { setQuery, search as urlQuery } from '../../router';
import { SEVERITIES } from '../../shell/severity';
import { EmptyState, Select } from '../../ui';
import { AlertList } from './AlertList';
import { Acknowledging, type Asked, Silencing } from './forms';
import { matchersOf, parseMatchers, toggleMatcher } from './matcher';
import { type Alert, filtered, GROUPINGS, type Grouping, STATES, sectionsOf } from './model';
import { MatchersInput } from './parts';
import type { Alerting } from './use-alerting';

const GROUP_LABELS: Record<Grouping, string> = {
  alertname: 'By name',
  receiver: 'By receiver',
  severity: 'By severity',
};

export function Now({ alerting }: { readonly alerting: Alerting }) {
  const { all, groups } = alerting;
  const query = urlQuery.value;
  const text = query.get('q') ?? '';
  const states = query.getAll('state');
  const severity = query.get('severity') ?? '';
  const by: Grouping = GROUPINGS.find((one) => one === query.get('group')) ?? 'alertname';
  const [asked, setAsked] = useState<Asked | null>(null);
  const parsed = useMemo(() => parseMatchers(text), [text]);
  const stateKey = states.join();
  const shown = useMemo(
    () =>
      filtered(all, {
        matchers: typeof parsed === 'string' ? [] : parsed,
        states: stateKey === '' ? [] : stateKey.split(','),
        severities: severity === '' ? [] : [severity],
      }),
    [all, parsed, stateKey, severity],
  );
  const sections = useMemo(() => sectionsOf(shown, by, groups), [shown, by, groups]);
  const pick = (name: string, value: string) => setQuery({ q: toggleMatcher(text, name, value) || null });
  const ask = (kind: Asked['kind'], alert: Alert) => setAsked({ kind, matchers: matchersOf(alert.labels), alert });
  const close = () => setAsked(null);
  return (
    <>
      <div class="alert-filters" role="search">
        <MatchersInput text={text} invalid={typeof parsed === 'string'} />
        <Select
          label="Severity"
          value={severity}
          options={[{ value: '', label: 'Any severity' }, ...SEVERITIES.map((value) => ({ value, label: value }))]}
          onChange={(value) => setQuery({ severity: value || null })}
        />
        <Select
          label="Grouped"
          value={by}
          options={GROUPINGS.map((value) => ({ value, label: GROUP_LABELS[value] }))}
          onChange={(value) => setQuery({ group: value === 'alertname' ? null : value })}
        />
        {typeof parsed === 'string' && (
          <p class="mistake" role="alert">
            {parsed}
          </p>
        )}
      </div>
      <StateButtons all={all} chosen={states} />
      {shown.length > 0 ? (
        <AlertList sections={sections} onPick={pick} onAsk={ask} silences={alerting.silences} />
      ) : (
        <div class="panel-box">
          {all.length > 0 ? (
            <EmptyState title="No alert fits">{`${all.length} do not: change what they are filtered by.`}</EmptyState>
          ) : (
            <EmptyState title="Nothing fires" />
          )}
        </div>
      )}
      {asked?.kind === 'silence' && <Silencing asked={asked} alerting={alerting} onClose={close} />}
      {asked?.kind === 'acknowledge' && <Acknowledging asked={asked} alerting={alerting} onClose={close} />}
    </>
  );
}

/** How many there are in each state; pressed, only those are shown. */
function StateButtons({ all, chosen }: { readonly all: readonly Alert[]; readonly chosen: readonly string[] }) {
  return (
    <div class="toolbar state-buttons" role="group" aria-label="States">
      {STATES.map((state) => {
        const count = all.filter((alert) => alert.state === state).length;
        const on = chosen.includes(state);
        if (count === 0 && !on) return null;
        const next = on ? chosen.filter((one) => one !== state) : [...chosen, state];
        return (
          <button
            key={state}
            type="button"
            class={`button state-button ${state}`}
            aria-pressed={on}
            onClick={() => setQuery({ state: next })}
          >
            <span class={`state-dot ${state}`} aria-hidden="true" />
            {count} {state}
          </button>
        );
      })}
    </div>
  );
}

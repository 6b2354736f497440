// Rules in their groups: whether they work, when they were last evaluated, how long that took, what they found.
import { useMemo } from 'preact/hooks';
import { Link, setQuery, search as urlQuery } from '../../router';
import { formatDuration as formatLength } from '../../time/range';
import { EmptyState, Select } from '../../ui';
import { formatDuration } from '../shared/format';
import { Icon } from '../shared/icons';
import { Label, LongText } from '../shared/Label';
import type { Rule, RuleGroup } from './model';
import { LabelChips, Query, Since } from './parts';
import type { Alerting } from './use-alerting';

const MOST_SHOWN = 500;
const STATES = ['firing', 'pending', 'no_data', 'error', 'inactive'] as const;

/** Rules that fit, in their groups; groups with none are left out. */
export function fitting(groups: readonly RuleGroup[], text: string, state: string): RuleGroup[] {
  const wanted = text.trim().toLowerCase();
  return groups
    .map((group) => ({
      ...group,
      rules: group.rules.filter(
        (rule) =>
          (wanted === '' || `${group.name}\n${rule.name}\n${rule.query}`.toLowerCase().includes(wanted)) &&
          (state === '' || rule.state === state || (state === 'error' && rule.health === 'err')),
      ),
    }))
    .filter(({ rules }) => rules.length > 0);
}

export function Rules({ alerting }: { readonly alerting: Alerting }) {
  const query = urlQuery.value;
  const text = query.get('rule') ?? '';
  const state = query.get('rulestate') ?? '';
  const groups = useMemo(() => fitting(alerting.rules, text, state), [alerting.rules, text, state]);
  const total = groups.reduce((sum, { rules }) => sum + rules.length, 0);
  let left = MOST_SHOWN;
  return (
    <>
      <div class="alert-filters" role="search">
        <input
          class="input"
          type="search"
          aria-label="Rules with"
          placeholder="Name, group or query"
          value={text}
          onInput={(event) => setQuery({ rule: event.currentTarget.value || null }, true)}
        />
        <Select
          label="State"
          value={state}
          options={[{ value: '', label: 'Any state' }, ...STATES.map((value) => ({ value, label: words(value) }))]}
          onChange={(value) => setQuery({ rulestate: value || null })}
        />
      </div>
      {groups.length === 0 && (
        <div class="panel-box">
          <EmptyState title={alerting.rules.length > 0 ? 'No rule fits' : 'No rules'} />
        </div>
      )}
      {groups.map((group) => {
        const rules = group.rules.slice(0, Math.max(0, left));
        left -= rules.length;
        return rules.length > 0 && <Group key={`${group.file} ${group.name}`} group={group} rules={rules} />;
      })}
      {total > MOST_SHOWN && <p class="hint">{total - MOST_SHOWN} more rules fit: say more of what you look for.</p>}
    </>
  );
}

const words = (state: string): string => state.replace('_', ' ');

function Group({ group, rules }: { readonly group: RuleGroup; readonly rules: readonly Rule[] }) {
  return (
    <section class="panel-box rule-group" aria-label={`Group ${group.name}`}>
      <div class="alert-head">
        <h2>
          <Label text={group.name} />
        </h2>
        {group.file && <Label text={group.file} class="hint" />}
        <span class="hint">
          every {formatLength(group.interval * 1000)}, took {formatDuration(group.evaluationTime * 1e9)}
        </span>
      </div>
      {rules.map((rule, at) => (
        <RuleEntry key={`${rule.name} ${at}`} rule={rule} />
      ))}
    </section>
  );
}

/** An error outranks what was found before it. */
export const shownState = ({ health, state, type }: Rule): string =>
  health === 'err' ? 'error' : type === 'recording' ? 'recording' : (state ?? 'inactive');

function RuleEntry({ rule }: { readonly rule: Rule }) {
  const state = shownState(rule);
  const alerts = rule.alerts ?? [];
  const evaluated = Date.parse(rule.lastEvaluation);
  return (
    <details class={`rule ${state}`}>
      <summary>
        <Icon name="chevron" size={14} />
        <Label text={rule.name} class="rule-name" />
        <span class={`rule-state ${state}`}>
          {words(state)}
          {alerts.length > 0 && ` · ${alerts.length}`}
        </span>
        <span class="hint rule-when">
          {evaluated > 0 && rule.health !== 'unknown' ? (
            <>
              evaluated <Since at={evaluated} suffix=" ago" />, took {formatDuration(rule.evaluationTime * 1e9)}
            </>
          ) : (
            'not evaluated yet'
          )}
        </span>
        {rule.lastError && <Label text={rule.lastError} class="mistake rule-error" />}
      </summary>
      <RuleBody rule={rule} />
    </details>
  );
}

function RuleBody({ rule }: { readonly rule: Rule }) {
  const { duration = 0, keepFiringFor = 0, annotations = {}, labels } = rule;
  return (
    <div class="rule-body">
      <Query sql={rule.query} label={`Query of ${rule.name}`} />
      <dl class="facts">
        {rule.type === 'alerting' && (
          <>
            <dt>For</dt>
            <dd>{duration > 0 ? formatLength(duration * 1000) : 'at once'}</dd>
          </>
        )}
        {keepFiringFor > 0 && (
          <>
            <dt>Keeps firing</dt>
            <dd>{formatLength(keepFiringFor * 1000)}</dd>
          </>
        )}
        {Object.keys(labels).length > 0 && (
          <>
            <dt>Labels</dt>
            <dd>
              <LabelChips labels={labels} />
            </dd>
          </>
        )}
        {Object.entries(annotations).map(([name, text]) => (
          <Annotation key={name} name={name} text={text} />
        ))}
        {rule.lastError && (
          <>
            <dt>Error</dt>
            <dd class="mistake">
              <LongText text={rule.lastError} />
            </dd>
          </>
        )}
      </dl>
      {(rule.alerts ?? []).length > 0 && (
        <Link href={`/alerts?${new URLSearchParams({ q: `alertname=${JSON.stringify(rule.name)}` })}`}>Its alerts</Link>
      )}
    </div>
  );
}

function Annotation({ name, text }: { readonly name: string; readonly text: string }) {
  return (
    <>
      <dt>
        <Label text={name} most={80} />
      </dt>
      <dd>
        <LongText text={text} />
      </dd>
    </>
  );
}

// The choice of one variable's values: a list with a search field; several where the board allows it.
import { useMemo, useState } from 'preact/hooks';
import { compareNames } from '../charts/series';
import { search } from '../router';
import { Icon } from '../ui/Icon';
import { moveFocus } from '../ui/Menu';
import { Popover } from '../ui/Popover';
import type { Variable } from './board';
import { chooseValues, chosenValues, useVariable, type VariableState, type VariableStates } from './variables';

/** More than this is found by typing. */
const SHOWN = 200;

export function VariablePicker({ variable, states }: { readonly variable: Variable; readonly states: VariableStates }) {
  useVariable(variable, states);
  const state = states.value[variable.name];
  const chosen = chosenValues(variable.name, search.value);
  const label = variable.label ?? variable.name;
  const values = state?.values ?? [];
  const text = summary(variable, state, chosen);
  return (
    <Popover
      label={`${label} ${text}`}
      buttonClass="button variable"
      button={
        <>
          <span class="variable-label">{label}</span> <bdi class="variable-value">{text}</bdi>
          <Icon name="chevron" size={14} />
        </>
      }
    >
      {(close) => <Choices variable={variable} values={values} chosen={chosen} state={state} close={close} />}
    </Popover>
  );
}

function summary({ multi }: Variable, state: VariableState | undefined, chosen: readonly string[]): string {
  const values = state?.values;
  if (chosen.length === 1) return chosen[0] as string;
  if (chosen.length > 1) return `${chosen.length} chosen`;
  if (!values) return '…';
  if (values.length === 0) return 'none yet';
  if (!multi || values.length === 1) return values[0] as string;
  return `all ${values.length}`;
}

interface ChoicesProps {
  readonly variable: Variable;
  readonly values: readonly string[];
  readonly chosen: readonly string[];
  readonly state: VariableState | undefined;
  readonly close: () => void;
}

function Choices({ variable: { name, label = name, multi }, values, chosen, state, close }: ChoicesProps) {
  const [typed, setTyped] = useState('');
  // What was chosen stays in the list when the range shows it no more.
  const all = useMemo(() => [...new Set([...values, ...chosen])].sort(compareNames), [values, chosen]);
  const found = all.filter((value) => value.toLowerCase().includes(typed.trim().toLowerCase()));
  const choose = (value: string) => {
    if (!multi) {
      chooseValues(name, [value]);
      close();
      return;
    }
    chooseValues(name, chosen.includes(value) ? chosen.filter((other) => other !== value) : [...chosen, value]);
  };
  return (
    <div
      class="choices"
      role="group"
      aria-label={label}
      onKeyDown={(event) => moveFocus(event, 'input[type=search], button, input[type=checkbox]')}
    >
      <input
        class="input"
        type="search"
        aria-label={`Search ${label}`}
        placeholder="Search"
        value={typed}
        data-first=""
        onInput={(event) => setTyped(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key.length === 1) event.stopPropagation();
        }}
      />
      {state?.problem && state.problem.kind !== 'no_data_yet' && <p class="mistake">{state.problem.message}</p>}
      {multi && (
        <button
          type="button"
          class="choice"
          aria-current={chosen.length === 0 ? 'true' : undefined}
          onClick={() => chooseValues(name, [])}
        >
          <span>All</span>
          {chosen.length === 0 && <Icon name="check" size={14} />}
        </button>
      )}
      <div class="choice-list" role="group" aria-label={label}>
        {found.slice(0, SHOWN).map((value) =>
          multi ? (
            <label key={value} class="choice">
              <input type="checkbox" checked={chosen.includes(value)} onChange={() => choose(value)} />
              <bdi title={value}>{value}</bdi>
            </label>
          ) : (
            <button
              key={value}
              type="button"
              class="choice"
              aria-current={chosen.includes(value) ? 'true' : undefined}
              onClick={() => choose(value)}
            >
              <bdi title={value}>{value}</bdi>
              {chosen.includes(value) && <Icon name="check" size={14} />}
            </button>
          ),
        )}
        {found.length === 0 && (
          <p class="hint">{all.length === 0 ? 'Nothing in this range yet' : 'Nothing of this name'}</p>
        )}
        {found.length > SHOWN && <p class="hint">and {found.length - SHOWN} more: type a part of the name</p>}
      </div>
    </div>
  );
}

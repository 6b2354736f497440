// Silences: those that hold, that will and that did; longer, over now, or the same again.
import { useState } from 'preact/hooks';
import { problemOf } from '../../boards/board';
import type { Problem } from '../../live/frame';
import { setQuery, search as urlQuery } from '../../router';
import { serverNow } from '../../time/clock';
import { zoneSignal } from '../../time/range';
import { Button, EmptyState } from '../../ui';
import { formatDateTime } from '../shared/format';
import { Label } from '../shared/Label';
import { expireSilence, postSilence } from './api';
import { type Asked, Silencing, Wrong } from './forms';
import { formatMatcher, matches } from './matcher';
import type { Silence } from './model';
import { Since } from './parts';
import type { Alerting } from './use-alerting';

const STATES = ['active', 'pending', 'expired'] as const;
const HOUR = 3_600_000;
const MOST_SHOWN = 200;

export function Silences({ alerting }: { readonly alerting: Alerting }) {
  const [asked, setAsked] = useState<Asked | null>(null);
  const chosen = urlQuery.value.getAll('silences');
  const shown = chosen.length > 0 ? chosen : ['active', 'pending'];
  const count = (state: string) => alerting.silences.filter(({ status }) => status.state === state).length;
  const list = alerting.silences
    .filter(({ status }) => shown.includes(status.state))
    .sort(
      (a, b) =>
        STATES.indexOf(a.status.state) - STATES.indexOf(b.status.state) || Date.parse(b.endsAt) - Date.parse(a.endsAt),
    );
  return (
    <>
      <div class="toolbar">
        {STATES.map((state) => (
          <button
            key={state}
            type="button"
            class="button"
            aria-pressed={shown.includes(state)}
            onClick={() =>
              setQuery({
                silences: shown.includes(state) ? shown.filter((one) => one !== state) : [...shown, state],
              })
            }
          >
            {count(state)} {state}
          </button>
        ))}
        <span class="grow" />
        <Button kind="primary" onClick={() => setAsked({ kind: 'silence', matchers: [], alert: null })}>
          New silence
        </Button>
      </div>
      <section class="panel-box" aria-label="Silences">
        {list.length === 0 && <EmptyState title="No silences">{`None that is ${shown.join(' or ')}.`}</EmptyState>}
        {list.slice(0, MOST_SHOWN).map((silence) => (
          <Entry
            key={silence.id}
            silence={silence}
            alerting={alerting}
            onAgain={() => setAsked({ kind: 'silence', matchers: silence.matchers, alert: null })}
          />
        ))}
        {list.length > MOST_SHOWN && <p class="hint padded">and {list.length - MOST_SHOWN} older ones</p>}
      </section>
      {asked && <Silencing asked={asked} alerting={alerting} onClose={() => setAsked(null)} />}
    </>
  );
}

interface EntryProps {
  readonly silence: Silence;
  readonly alerting: Alerting;
  readonly onAgain: () => void;
}

function Entry({ silence, alerting, onAgain }: EntryProps) {
  const [problem, setProblem] = useState<Problem | null>(null);
  const [sure, setSure] = useState(false);
  const { state } = silence.status;
  const touched =
    state === 'active' ? alerting.all.filter(({ labels }) => matches(silence.matchers)(labels)).length : 0;
  const change = async (what: () => Promise<unknown>) => {
    setProblem(null);
    try {
      await what();
      alerting.reload();
    } catch (error) {
      setProblem(problemOf(error));
    }
    setSure(false);
  };
  const { id, matchers, startsAt, createdBy, comment } = silence;
  const longer = () => {
    const endsAt = new Date(Math.max(serverNow(), Date.parse(silence.endsAt)) + HOUR).toISOString();
    return postSilence({ id, matchers, startsAt, endsAt, createdBy, comment });
  };
  return (
    <article class={`silence ${state}`} aria-label={`Silence by ${createdBy}, ${state}`}>
      <div class="silence-main">
        <ul class="chips" aria-label="Matchers">
          {matchers.map((matcher) => (
            <li key={formatMatcher(matcher)}>
              <span class="chip">
                <Label text={formatMatcher(matcher)} />
              </span>
            </li>
          ))}
        </ul>
        <p>
          <Label text={comment} /> <span class="hint">by</span> <Label text={createdBy} most={60} />
        </p>
        <When silence={silence} />
        {state === 'active' && (
          <p class="hint">{touched === 1 ? 'Silences 1 alert' : `Silences ${touched} alerts`} now</p>
        )}
        <Wrong problem={problem} />
      </div>
      <div class="alert-actions">
        {state === 'expired' ? (
          <Button onClick={onAgain}>Silence again</Button>
        ) : (
          <>
            <Button onClick={() => void change(longer)}>1 hour more</Button>
            <Button
              kind={sure ? 'primary' : 'plain'}
              onClick={() => (sure ? void change(() => expireSilence(id)) : setSure(true))}
              onBlur={() => setSure(false)}
            >
              {sure ? 'End it now' : 'Expire'}
            </Button>
          </>
        )}
      </div>
    </article>
  );
}

function When({ silence: { status, startsAt, endsAt } }: { readonly silence: Silence }) {
  const zone = zoneSignal.value;
  const [from, to] = [Date.parse(startsAt), Date.parse(endsAt)];
  return (
    <p class="hint">
      <span class={`silence-state ${status.state}`}>{status.state}</span>{' '}
      {status.state === 'expired' ? (
        <>
          since <Since at={to} />
        </>
      ) : (
        `${status.state === 'pending' ? `from ${formatDateTime(from, zone).slice(0, 16)} ` : ''}until ${formatDateTime(to, zone).slice(0, 16)}`
      )}
    </p>
  );
}

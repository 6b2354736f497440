// Silence and acknowledge: what they are for, how long, by whom; what they would touch is shown before.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { problemOf } from '../../boards/board';
import type { Problem } from '../../live/frame';
import { serverNow } from '../../time/clock';
import { zoneSignal } from '../../time/range';
import { Button } from '../../ui';
import { Dialog } from '../../ui/Dialog';
import { Label } from '../shared/Label';
import { useStored } from '../shared/stored';
import { acknowledge, postSilence } from './api';
import { formatMatchers, type Matcher, matchersOf, matches, parseMatchers, toggleMatcher } from './matcher';
import type { Alert } from './model';
import { LabelChips } from './parts';
import { describeEnd, endOf, OTHER, PRESETS } from './until';
import type { Alerting } from './use-alerting';

export interface Asked {
  readonly kind: 'silence' | 'acknowledge';
  readonly matchers: readonly Matcher[];
  /** What it began with; null: a silence from nothing, or like one before. */
  readonly alert: Alert | null;
}

interface FormProps {
  readonly asked: Asked;
  readonly alerting: Alerting;
  readonly onClose: () => void;
}

const asText = (stored: string | null): string => stored ?? '';

function useForm({ asked, alerting, onClose }: FormProps) {
  const [text, setText] = useState(formatMatchers(asked.matchers));
  const [by, setBy] = useStored('alerts.author', asText);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  // The second click, or Enter, is enough where it is known who does it.
  useEffect(() => {
    document.querySelector<HTMLElement>('.alert-form [data-focus="true"]')?.focus();
  }, []);
  const parsed = useMemo(() => parseMatchers(text), [text]);
  const touched = useMemo(
    () => (typeof parsed === 'string' ? [] : alerting.all.filter(({ labels }) => matches(parsed)(labels))),
    [parsed, alerting.all],
  );
  const mistake =
    typeof parsed === 'string'
      ? parsed
      : parsed.length === 0
        ? 'Name at least one label'
        : parsed.every((matcher) => matches([matcher])({}))
          ? 'At least one must ask for something: all of these fit every alert'
          : null;
  const send = async (what: () => Promise<unknown>) => {
    setBusy(true);
    setProblem(null);
    try {
      await what();
      alerting.reload();
      onClose();
    } catch (error) {
      setProblem(problemOf(error));
      setBusy(false);
    }
  };
  return { text, setText, by, setBy, problem, busy, parsed, touched, mistake, send };
}

type Form = ReturnType<typeof useForm>;

export function Silencing(props: FormProps) {
  const form = useForm(props);
  const [preset, setPreset] = useStored('alerts.silence', (stored) =>
    PRESETS.some(({ value }) => value === stored) ? (stored ?? '1h') : '1h',
  );
  const [typed, setTyped] = useState('2h');
  const [comment, setComment] = useStored('alerts.silence-comment', asText);
  const now = serverNow();
  const end = endOf(preset, typed, now, zoneSignal.value);
  const valid = form.mistake === null && typeof end === 'number' && form.by.trim() !== '';
  const submit = (event: Event) => {
    event.preventDefault();
    const { parsed } = form;
    const from = serverNow();
    const to = endOf(preset, typed, from, zoneSignal.value);
    if (!valid || typeof parsed === 'string' || typeof to === 'string') return;
    void form.send(() =>
      postSilence({
        matchers: parsed,
        startsAt: new Date(from).toISOString(),
        endsAt: new Date(to).toISOString(),
        createdBy: form.by.trim(),
        comment: comment.trim() || 'Silenced on the page',
      }),
    );
  };
  return (
    <Dialog title="Silence" class="alert-form" onClose={props.onClose}>
      <form onSubmit={submit}>
        <Matchers form={form} asked={props.asked} verb="silenced" />
        <fieldset class="presets">
          <legend>How long</legend>
          {[...PRESETS, { value: OTHER, label: 'other' }].map(({ value, label }) => (
            <label key={value}>
              <input type="radio" name="length" checked={preset === value} onChange={() => setPreset(value)} />
              {label}
            </label>
          ))}
          {preset === OTHER && (
            <input
              class="input"
              aria-label="Length or end"
              value={typed}
              spellcheck={false}
              onInput={(event) => setTyped(event.currentTarget.value)}
            />
          )}
        </fieldset>
        {typeof end === 'string' && (
          <p class="mistake" role="alert">
            {end}
          </p>
        )}
        <Who form={form} comment={comment} onComment={setComment} />
        <Wrong problem={form.problem} />
        <Button type="submit" kind="primary" disabled={!valid || form.busy} data-focus={form.by !== ''}>
          Silence {typeof end === 'number' ? describeEnd(end, now, zoneSignal.value) : ''}
        </Button>
      </form>
    </Dialog>
  );
}

export function Acknowledging(props: FormProps) {
  const form = useForm(props);
  const [comment, setComment] = useState('');
  const valid = form.mistake === null && form.by.trim() !== '';
  const submit = (event: Event) => {
    event.preventDefault();
    const { parsed } = form;
    if (!valid || typeof parsed === 'string') return;
    void form.send(() => acknowledge(parsed, form.by.trim(), comment.trim()));
  };
  return (
    <Dialog title="Acknowledge" class="alert-form" onClose={props.onClose}>
      <form onSubmit={submit}>
        <p class="hint">Somebody cares for it: nobody else is told, and nothing is said again, until it is resolved.</p>
        <Matchers form={form} asked={props.asked} verb="acknowledged" />
        <Who form={form} comment={comment} onComment={setComment} />
        <Wrong problem={form.problem} />
        <Button type="submit" kind="primary" disabled={!valid || form.busy} data-focus={form.by !== ''}>
          Acknowledge
        </Button>
      </form>
    </Dialog>
  );
}

const MOST_NAMED = 5;

function Matchers({ form, asked, verb }: { readonly form: Form; readonly asked: Asked; readonly verb: string }) {
  const { text, setText, parsed, touched, mistake } = form;
  const labels = asked.alert?.labels;
  const without =
    labels && typeof parsed !== 'string'
      ? matchersOf(labels).filter(({ name, value }) => !parsed.some((one) => one.name === name && one.value === value))
      : [];
  return (
    <div class="field">
      <label for="silence-matchers">Alerts with</label>
      <textarea
        id="silence-matchers"
        class="input mono"
        rows={3}
        spellcheck={false}
        value={text}
        aria-invalid={mistake !== null}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      {labels && Object.keys(labels).length > 1 && (
        <details>
          <summary>Which labels</summary>
          <LabelChips labels={labels} onPick={(name, value) => setText(toggleMatcher(text, name, value))} />
          {without.length > 0 && <p class="hint">Left out: {without.map(({ name }) => name).join(', ')}</p>}
        </details>
      )}
      {mistake && (
        <p class="mistake" role="alert">
          {mistake}
        </p>
      )}
      {!mistake && (
        <div class="preview" role="status">
          {touched.length === 0 ? 'No alert of now' : touched.length === 1 ? '1 alert' : `${touched.length} alerts`}{' '}
          would be {verb}
          {touched.length > 1 && (
            <ul>
              {touched.slice(0, MOST_NAMED).map(({ key, name, labels }) => (
                <li key={key}>
                  <Label text={name} /> <LabelChips labels={labels} without={['alertname', 'severity']} most={3} />
                </li>
              ))}
              {touched.length > MOST_NAMED && <li class="hint">and {touched.length - MOST_NAMED} more</li>}
            </ul>
          )}
        </div>
      )}
    </div>
  );
}

function Who(props: { readonly form: Form; readonly comment: string; readonly onComment: (comment: string) => void }) {
  const { by, setBy } = props.form;
  return (
    <div class="who">
      <label class="field">
        By
        <input
          class="input"
          required
          value={by}
          placeholder="your name"
          autocomplete="name"
          data-focus={by === ''}
          onInput={(event) => setBy(event.currentTarget.value)}
        />
      </label>
      <label class="field">
        Comment
        <input
          class="input"
          value={props.comment}
          placeholder="why"
          autocomplete="off"
          onInput={(event) => props.onComment(event.currentTarget.value)}
        />
      </label>
    </div>
  );
}

export function Wrong({ problem }: { readonly problem: Problem | null }) {
  if (!problem) return null;
  return (
    <p class="mistake" role="alert">
      Not done: {problem.message}
    </p>
  );
}

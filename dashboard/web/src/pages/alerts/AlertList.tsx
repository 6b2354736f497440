// Alerts under the heads of their groups. Thousands are no matter: only those in sight are in the page.
import { useCallback, useMemo, useRef, useState } from 'preact/hooks';
import { Button } from '../../ui';
import { Icon } from '../shared/icons';
import { Label } from '../shared/Label';
import { useFillHeight } from '../shared/use-fill-height';
import { Spaced, useVirtualRows } from '../shared/VirtualList';
import { AlertDetails } from './AlertDetails';
import type { Asked } from './forms';
import type { Alert, Section, Silence } from './model';
import { LabelChips, SeverityMark, Since } from './parts';

interface Actions {
  readonly onPick: (name: string, value: string) => void;
  readonly onAsk: (kind: Asked['kind'], alert: Alert) => void;
  readonly silences: readonly Silence[];
}

type Row =
  | { readonly kind: 'head'; readonly key: string; readonly section: Section }
  | { readonly kind: 'alert'; readonly key: string; readonly alert: Alert };

const ROW_HEIGHT = 62;
const NARROW = 720;
/** What the page has below the list, CSS pixels. */
const BELOW = 44;

export function AlertList({ sections, ...actions }: { readonly sections: readonly Section[] } & Actions) {
  const scroller = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLDivElement>(null);
  // On a phone the list is the screen, once it is scrolled to.
  const height = useFillHeight(scroller, Math.max(360, innerWidth < NARROW ? innerHeight - 60 : 0), BELOW);
  const [opened, setOpened] = useState<ReadonlySet<string>>(new Set());
  const rows = useMemo(
    () =>
      sections.flatMap((section, at): Row[] => [
        { kind: 'head', key: `head ${at} ${section.title}`, section },
        ...section.alerts.map((alert): Row => ({ kind: 'alert', key: `${at} ${alert.key}`, alert })),
      ]),
    [sections],
  );
  const keyOf = useCallback((index: number) => rows[index]?.key ?? String(index), [rows]);
  const visible = useVirtualRows({ count: rows.length, keyOf, estimate: ROW_HEIGHT, scroller });
  const toggle = (key: string) =>
    setOpened((had) => {
      const next = new Set(had);
      if (!next.delete(key)) next.add(key);
      return next;
    });
  const move = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const target = event.target as Element;
    if (!step || target.getAttribute('data-opens') === null) return;
    let index = Number(target.closest('[data-index]')?.getAttribute('data-index')) + step;
    if (rows[index]?.kind === 'head') index += step;
    if (!rows[index]) return;
    event.preventDefault();
    visible.reveal(index);
    requestAnimationFrame(() =>
      list.current?.querySelector<HTMLElement>(`[data-index="${index}"] [data-opens]`)?.focus(),
    );
  };
  return (
    <section class="panel-box" aria-label="Alerts">
      <div ref={scroller} class="scroll-box" style={{ maxHeight: `${height}px` }}>
        {/* biome-ignore lint/a11y/noStaticElementInteractions: the keys move between the buttons of the rows */}
        <div ref={list} class="alert-list" onKeyDown={move}>
          <Spaced rows={visible}>
            {rows.slice(visible.first, visible.end).map((row, offset) => (
              <div key={row.key} ref={visible.measure(row.key)} data-index={visible.first + offset}>
                {row.kind === 'head' ? (
                  <Head section={row.section} />
                ) : (
                  <AlertRow
                    alert={row.alert}
                    open={opened.has(row.alert.key)}
                    onToggle={() => toggle(row.alert.key)}
                    {...actions}
                  />
                )}
              </div>
            ))}
          </Spaced>
        </div>
      </div>
    </section>
  );
}

function Head({ section }: { readonly section: Section }) {
  const { title, labels, alerts } = section;
  return (
    <div class="alert-head">
      <h2>
        <Label text={title || '(no name)'} />
      </h2>
      {Object.keys(labels).length > 0 && <LabelChips labels={labels} most={6} />}
      <span class="hint">{alerts.length === 1 ? '1 alert' : `${alerts.length} alerts`}</span>
    </div>
  );
}

/** What it is called or says, in one line. */
export const summaryOf = ({ annotations }: Alert): string =>
  annotations.summary ?? annotations.description ?? annotations.message ?? '';

function AlertRow(props: { readonly alert: Alert; readonly open: boolean; readonly onToggle: () => void } & Actions) {
  const { alert, open, onToggle, onPick, onAsk } = props;
  const summary = summaryOf(alert);
  return (
    <article class={`alert-row ${alert.severity} ${alert.state}`} aria-label={`${alert.name}, ${alert.state}`}>
      <button
        type="button"
        class="mini chevron"
        data-opens
        aria-expanded={open}
        aria-label={`${open ? 'Close' : 'Open'} ${alert.name}`}
        onClick={onToggle}
      >
        <Icon name="chevron" size={14} />
      </button>
      <div class="alert-main">
        <div class="alert-title">
          <button type="button" class="alert-name" tabIndex={-1} onClick={onToggle}>
            <Label text={alert.name || '(no name)'} />
          </button>
          <StateWords alert={alert} />
          <SeverityMark severity={alert.severity} />
          <span class="hint">
            for <Since at={alert.since} />
          </span>
          {alert.value !== null && <span class="hint">value {short(alert.value)}</span>}
        </div>
        {summary && <Label text={summary} class="alert-summary" />}
        <LabelChips labels={alert.labels} without={['alertname', 'severity']} most={open ? 100 : 8} onPick={onPick} />
      </div>
      <div class="alert-actions">
        {alert.state === 'firing' && (
          <Button aria-label={`Acknowledge ${alert.name}`} onClick={() => onAsk('acknowledge', alert)}>
            Acknowledge
          </Button>
        )}
        <Button aria-label={`Silence ${alert.name}`} onClick={() => onAsk('silence', alert)}>
          Silence
        </Button>
      </div>
      {open && <AlertDetails alert={alert} silences={props.silences} />}
    </article>
  );
}

export const short = (value: number): string => value.toLocaleString('en-US', { maximumSignificantDigits: 4 });

function StateWords({ alert }: { readonly alert: Alert }) {
  const { state, acknowledgedBy } = alert;
  return (
    <span class={`state-word ${state}`}>
      <span class={`state-dot ${state}`} aria-hidden="true" />
      {state}
      {state === 'acknowledged' && acknowledgedBy && (
        <>
          {' by '}
          <Label text={acknowledgedBy} most={60} />
        </>
      )}
    </span>
  );
}

// What the page knows, asked for again every few seconds while somebody looks.
import { signal } from '@preact/signals';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { problemOf } from '../../boards/board';
import type { Problem } from '../../live/frame';
import { alerting, firing, lookForAlerting } from '../../shell/firing';
import { worstOf } from '../../shell/severity';
import { serverNow } from '../../time/clock';
import { paused } from '../../time/refresh';
import { type Answers, Asker } from './api';
import { type Alert, alertsOf } from './model';

const EVERY_MS = 5_000;
const NAMES = ['alerts', 'silences', 'rules'] as const;

export interface Alerting extends Answers {
  /** `absent`: this instance has no alerting connector. */
  readonly state: 'loading' | 'absent' | 'ready';
  /** The last time that it was asked for; what came before is still shown. */
  readonly problem: Problem | null;
  readonly all: readonly Alert[];
  /** Asks at once: something was changed here. */
  readonly reload: () => void;
}

const EMPTY: Answers = { alerts: [], groups: [], silences: [], rules: [] };

/** `grouped`: also the groups that receivers are told of. */
export function useAlerting(grouped: boolean): Alerting {
  const asker = useMemo(() => new Asker(), []);
  const [answers, setAnswers] = useState<Answers | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const reload = useRef(() => {});
  const present = alerting.value;
  useEffect(() => {
    if (alerting.peek() !== true) void lookForAlerting();
  }, []);
  useEffect(() => {
    if (present !== true) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let running: AbortController | null = null;
    const look = async () => {
      clearTimeout(timer);
      running?.abort();
      const mine = new AbortController();
      running = mine;
      try {
        const next = await asker.ask(grouped ? [...NAMES, 'groups'] : NAMES, mine.signal);
        if (mine.signal.aborted) return;
        setAnswers(next);
        setProblem(null);
      } catch (error) {
        if (mine.signal.aborted) return;
        setProblem(problemOf(error));
      }
      timer = setTimeout(later, EVERY_MS);
    };
    const later = () => {
      if (document.hidden || paused.peek()) timer = setTimeout(later, EVERY_MS);
      else void look();
    };
    reload.current = () => void look();
    void look();
    return () => {
      clearTimeout(timer);
      running?.abort();
      reload.current = () => {};
    };
  }, [present, grouped, asker]);
  const { alerts, rules } = answers ?? EMPTY;
  const all = useMemo(() => alertsOf(alerts, rules), [alerts, rules]);
  useEffect(() => {
    if (!answers) return;
    const open = all.filter(({ state }) => state === 'firing' || state === 'acknowledged');
    firing.value = { count: open.length, worst: worstOf(open.map(({ severity }) => severity)) };
  }, [all, answers]);
  return {
    ...(answers ?? EMPTY),
    state: present === false ? 'absent' : answers || problem ? 'ready' : 'loading',
    problem,
    all,
    reload: () => reload.current(),
  };
}

const seconds = signal(serverNow());
let watchers = 0;
let ticking: ReturnType<typeof setInterval> | undefined;

/** The time, anew each second: for what says how long ago something was. */
export function useClock(): number {
  useEffect(() => {
    watchers++;
    seconds.value = serverNow();
    ticking ??= setInterval(() => {
      seconds.value = serverNow();
    }, 1000);
    return () => {
      if (--watchers > 0) return;
      clearInterval(ticking);
      ticking = undefined;
    };
  }, []);
  return seconds.value;
}

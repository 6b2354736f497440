// The shell around the pages, and which page is open.
import type { ComponentType } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { BoardPage } from './boards/BoardPage';
import { loadBoards } from './boards/board';
import { pan, zoomOut } from './charts/viewport';
import { liveClient } from './live/live';
import { navigate, path, visits } from './router';
import { Help } from './shell/Help';
import { lazy } from './shell/lazy';
import { Sidebar } from './shell/Sidebar';
import { register } from './shell/shortcuts';
import { TopBar } from './shell/TopBar';
import { useTitle } from './shell/title';
import { togglePause } from './time/RefreshControl';
import { EmptyState, Link } from './ui';
import { darkSignal, setTheme } from './ui/theme';

interface Route {
  readonly pattern: RegExp;
  /** Null: the page says it itself. */
  readonly title: string | null;
  readonly page: ComponentType;
}

const ROUTES: readonly Route[] = [
  { pattern: /^\/(boards\/[^/]+)?$/, title: null, page: BoardPage },
  { pattern: /^\/explore$/, title: 'Explore', page: lazy(() => import('./pages/explore')) },
  { pattern: /^\/logs$/, title: 'Logs', page: lazy(() => import('./pages/logs')) },
  { pattern: /^\/traces(\/[^/]+)?$/, title: 'Traces', page: lazy(() => import('./pages/traces')) },
  { pattern: /^\/alerts$/, title: 'Alerts', page: lazy(() => import('./pages/alerts')) },
  { pattern: /^\/pipelines$/, title: 'Pipelines', page: lazy(() => import('./pages/pipelines')) },
];

function NotFound() {
  useTitle('Not found');
  return (
    <>
      <h1 class="visually-hidden">Not found</h1>
      <EmptyState title="There is no such page">
        <Link href="/">To the host board</Link>
      </EmptyState>
    </>
  );
}

const GO: readonly (readonly [string, string, string])[] = [
  ['h', 'Host', '/'],
  ['s', 'Services', '/boards/services'],
  ['l', 'Logs', '/logs'],
  ['t', 'Traces', '/traces'],
  ['a', 'Alerts', '/alerts'],
  ['e', 'Explore', '/explore'],
  ['p', 'Pipelines', '/pipelines'],
];

function useShellShortcuts(onHelp: () => void): void {
  useEffect(
    () =>
      register(
        ...GO.map(([key, label, to]) => ({ keys: `g ${key}`, label, group: 'Go to', run: () => navigate(to) })),
        { keys: 't', label: 'Time range', group: 'Time', run: () => document.getElementById('range-picker')?.click() },
        { keys: 'p', label: 'Pause or resume', group: 'Time', run: togglePause },
        { keys: 'z', label: 'Zoom out', group: 'Time', run: zoomOut },
        { keys: '[', label: 'Back in time', group: 'Time', run: () => pan(-0.5) },
        { keys: ']', label: 'Forward in time', group: 'Time', run: () => pan(0.5) },
        { keys: 'd', label: 'Light or dark', group: 'Page', run: () => setTheme(darkSignal.peek() ? 'light' : 'dark') },
        { keys: '?', label: 'This help', group: 'Page', run: onHelp },
      ),
    [onHelp],
  );
}

/** After a change of page the focus is on its content, as it would be on a page that was loaded. */
function useFocusOnVisit(main: { readonly current: HTMLElement | null }): void {
  useEffect(
    () =>
      visits.subscribe((count) => {
        if (count === 0) return;
        scrollTo(0, 0);
        main.current?.focus({ preventScroll: true });
      }),
    [main],
  );
}

function PageTitle({ title }: { readonly title: string }) {
  useTitle(title);
  return null;
}

export function App() {
  const [help, setHelp] = useState(false);
  const main = useRef<HTMLElement>(null);
  const [openHelp] = useState(() => () => setHelp(true));
  useShellShortcuts(openHelp);
  useFocusOnVisit(main);
  const { socket } = liveClient();
  // Boards may have changed while the server was away.
  const open = socket.state.value === 'open';
  useEffect(() => {
    void loadBoards();
  }, [open]);
  const route = ROUTES.find(({ pattern }) => pattern.test(path.value));
  const Page = route?.page ?? NotFound;
  return (
    <>
      <a class="skip-link" href="#main">
        To the content
      </a>
      <Sidebar />
      <div class="content">
        <TopBar onHelp={openHelp} />
        <main id="main" ref={main} tabIndex={-1}>
          {route?.title && <PageTitle title={route.title} />}
          <Page />
        </main>
      </div>
      {help && <Help onClose={() => setHelp(false)} />}
    </>
  );
}

// The shell: which page is open.
import type { ComponentType } from 'preact';
import { BoardPage } from './boards/BoardPage';
import { path } from './router';
import { lazy } from './shell/lazy';
import { EmptyState, Link } from './ui';

const PAGES: readonly (readonly [RegExp, ComponentType])[] = [
  [/^\/explore$/, lazy(() => import('./pages/explore'))],
  [/^\/logs$/, lazy(() => import('./pages/logs'))],
  [/^\/traces(\/[^/]+)?$/, lazy(() => import('./pages/traces'))],
  [/^\/pipelines$/, lazy(() => import('./pages/pipelines'))],
  [/^\/(boards\/[^/]+)?$/, BoardPage],
];

function NotFound() {
  return (
    <EmptyState title="There is no such page">
      <Link href="/">To the host board</Link>
    </EmptyState>
  );
}

export function App() {
  const Page = PAGES.find(([pattern]) => pattern.test(path.value))?.[1] ?? NotFound;
  return (
    <>
      <nav aria-label="Pages">
        <Link href="/">Host</Link> <Link href="/boards/services">Services</Link> <Link href="/logs">Logs</Link>{' '}
        <Link href="/traces">Traces</Link> <Link href="/explore">Explore</Link> <Link href="/pipelines">Pipelines</Link>
      </nav>
      <main id="main">
        <Page />
      </main>
    </>
  );
}

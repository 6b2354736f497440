// The address bar as signals. Query parameters that belong to the whole page (range, zone, refresh) stay when a link goes to
// another page of the app.
import { computed, type ReadonlySignal, signal } from '@preact/signals';

const KEPT = ['from', 'to', 'tz', 'refresh'];
const url = signal(new URL(location.href));

export const path: ReadonlySignal<string> = computed(() => url.value.pathname);
const searchText = computed(() => url.value.search);
export const search: ReadonlySignal<URLSearchParams> = computed(() => new URLSearchParams(searchText.value));

/** Told after a change of page, not of a query parameter: the shell moves the focus and the scroll position. */
export const visits = signal(0);

addEventListener('popstate', () => {
  const before = url.peek().pathname;
  url.value = new URL(location.href);
  if (before !== url.peek().pathname) visits.value++;
});

/** An address inside the app with the page-wide parameters of the present one added. */
export function href(to: string): string {
  const target = new URL(to, url.peek());
  for (const name of KEPT) {
    const value = url.peek().searchParams.get(name);
    if (value !== null && !target.searchParams.has(name)) target.searchParams.set(name, value);
  }
  return target.pathname + target.search + target.hash;
}

/** Goes to an address inside the app. */
export function navigate(to: string, options: { replace?: boolean } = {}): void {
  const target = new URL(href(to), location.origin);
  if (target.origin !== location.origin) throw new Error(`not an address of this page: ${to}`);
  const moved = target.pathname !== url.peek().pathname;
  if (target.href === url.peek().href) return;
  history[options.replace ? 'replaceState' : 'pushState'](null, '', target);
  url.value = target;
  if (moved) visits.value++;
}

/** Sets query parameters of the present page (null removes one); a list is repeated. */
export function setQuery(values: Record<string, string | readonly string[] | null>, replace = false): void {
  const target = new URL(url.peek());
  for (const [name, value] of Object.entries(values)) {
    target.searchParams.delete(name);
    if (value === null) continue;
    for (const item of typeof value === 'string' ? [value] : value) target.searchParams.append(name, item);
  }
  if (target.href === url.peek().href) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', target);
  url.value = target;
}

export { Link } from './ui/Link';

// The pages: boards first, then what reads logs, traces and anything else.

import { boardId, HOME_BOARD } from '../boards/BoardPage';
import { boards } from '../boards/board';
import { path } from '../router';
import { Icon, type IconName } from '../ui/Icon';
import { Link } from '../ui/Link';
import { Connection } from './Connection';
import { firing } from './firing';

interface Entry {
  readonly href: string;
  readonly label: string;
  readonly icon: IconName;
}

/** The built-in boards are there before the list has come, so that nothing jumps. */
const FIRST: readonly Entry[] = [
  { href: '/', label: 'Host', icon: 'host' },
  { href: '/boards/services', label: 'Services', icon: 'services' },
];
const TOOLS: readonly Entry[] = [
  { href: '/logs', label: 'Logs', icon: 'logs' },
  { href: '/traces', label: 'Traces', icon: 'traces' },
  { href: '/alerts', label: 'Alerts', icon: 'alerts' },
  { href: '/explore', label: 'Explore', icon: 'explore' },
  { href: '/pipelines', label: 'Pipelines', icon: 'pipelines' },
];

const iconOf = (icon: string | undefined): IconName => (icon === 'host' || icon === 'services' ? icon : 'board');

export function boardEntries(): readonly Entry[] {
  if (boards.value.length === 0) return FIRST;
  const entries = boards.value.map(({ id, title, icon }) => ({
    href: id === HOME_BOARD ? '/' : `/boards/${encodeURIComponent(id)}`,
    label: title,
    icon: iconOf(icon),
  }));
  const rank = ({ href }: Entry) => {
    const at = FIRST.findIndex((first) => first.href === href);
    return at < 0 ? FIRST.length : at;
  };
  return entries.sort((a, b) => rank(a) - rank(b));
}

function current(href: string): boolean {
  const at = path.value;
  if (href === '/') return at === '/' || (at.startsWith('/boards/') && boardId(at) === HOME_BOARD);
  return at === href || at.startsWith(`${href}/`);
}

/** How many fire, in the colour of the worst. */
function FiringMark() {
  const { count, worst } = firing.value ?? { count: 0, worst: 'info' };
  if (count === 0) return null;
  return (
    <span class={`firing-mark ${worst}`}>
      {count > 999 ? '999+' : count}
      <span class="visually-hidden"> firing</span>
    </span>
  );
}

function Entries({
  label,
  entries,
  onGo,
}: {
  readonly label: string;
  readonly entries: readonly Entry[];
  readonly onGo: () => void;
}) {
  return (
    <ul aria-label={label}>
      {entries.map(({ href, label: text, icon }) => (
        <li key={href}>
          <Link href={href} aria-current={current(href) ? 'page' : undefined} onClick={onGo}>
            <Icon name={icon} />
            <bdi>{text}</bdi>
            {href === '/alerts' && <FiringMark />}
          </Link>
        </li>
      ))}
    </ul>
  );
}

export function Brand() {
  return (
    <Link href="/" class="brand" aria-label="Catchment, to the host board">
      <svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true">
        <path d="M6 5c5 2.5 8 6.5 8.5 12.5M26 5c-5 2.5-8 6.5-8.5 12.5M16 4v13" />
        <path d="M4 22c3-2.6 6-2.6 8.5 0s5.5 2.6 8 0 4.5-2 7.5-.5" />
        <path d="M8 28c2.6-1.800 5-1.800 7 0s4.5 1.800 7 0" />
      </svg>
      <span>Catchment</span>
    </Link>
  );
}

export function Navigation({
  onGo = () => {},
  brand = false,
}: {
  readonly onGo?: () => void;
  readonly brand?: boolean;
}) {
  return (
    <nav aria-label="Pages">
      {brand && <Brand />}
      <Entries label="Boards" entries={boardEntries()} onGo={onGo} />
      <Entries label="Tools" entries={TOOLS} onGo={onGo} />
    </nav>
  );
}

export function Sidebar() {
  return (
    <div class="sidebar">
      <Navigation brand />
      <Connection />
    </div>
  );
}

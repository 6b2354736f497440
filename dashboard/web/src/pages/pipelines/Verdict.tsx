// A state as icon and word; the colour only underlines it.
import { Icon, type IconName } from '../shared/icons';
import type { Health, Verdict } from './health';

const ICONS: Readonly<Record<Health, IconName>> = {
  good: 'check',
  waiting: 'waiting',
  warning: 'warning',
  critical: 'error',
};

export function VerdictMark({ verdict }: { readonly verdict: Verdict }) {
  return (
    <span class={`verdict ${verdict.health}`}>
      <Icon name={ICONS[verdict.health]} size={13} /> {verdict.word}
    </span>
  );
}

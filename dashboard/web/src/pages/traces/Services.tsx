// The services of a trace with their colours, and where its time went.
import { formatCount, formatDuration } from '../shared/format';
import { Icon } from '../shared/icons';
import { Label } from '../shared/Label';
import type { ServiceShare } from './colors';

const SHOWN = 12;

export function Services({ services, total }: { readonly services: readonly ServiceShare[]; readonly total: number }) {
  return (
    <ul class="trace-services" aria-label="Services">
      {services.slice(0, SHOWN).map(({ name, color, spans, errors, self }) => (
        <li key={name} style={{ '--service': color }}>
          <span class="swatch" aria-hidden="true" />
          <Label text={name} />
          <span class="hint">
            {formatCount(spans)} span{spans === 1 ? '' : 's'}, {formatDuration(self)} self
            {total > 0 && ` (${Math.round((self / total) * 100)} %)`}
          </span>
          {errors > 0 && (
            <span class="bad">
              <Icon name="error" size={13} /> {formatCount(errors)}
              <span class="visually-hidden"> errors</span>
            </span>
          )}
        </li>
      ))}
      {services.length > SHOWN && <li class="hint">and {services.length - SHOWN} more</li>}
    </ul>
  );
}

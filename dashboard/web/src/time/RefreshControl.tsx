// Whether results come by themselves: live, every so often, or not.
import { Icon } from '../ui/Icon';
import { Menu } from '../ui/Menu';
import { parseDuration } from './range';
import { INTERVALS, paused, refresh, setRefresh } from './refresh';

let resumeTo = 'live';

export function togglePause(): void {
  if (paused.peek()) return setRefresh(resumeTo);
  const present = refresh.peek();
  resumeTo = typeof present === 'number' ? `${present / 1000}s` : 'live';
  setRefresh('paused');
}

export function RefreshControl() {
  const chosen = refresh.value;
  const every = INTERVALS.find((interval) => parseDuration(interval) === chosen);
  const label = chosen === 'live' ? 'Live' : chosen === 'paused' ? 'Paused' : (every ?? `${chosen / 1000}s`);
  const items = [
    { label: 'Live: as data arrives', checked: chosen === 'live', onSelect: () => setRefresh('live') },
    ...INTERVALS.map((interval) => ({
      label: `Every ${interval}`,
      checked: interval === every,
      onSelect: () => setRefresh(interval),
    })),
    { label: 'Paused', checked: chosen === 'paused', onSelect: () => setRefresh('paused') },
  ];
  return (
    <div class="joined" role="group" aria-label="Refresh">
      <button
        type="button"
        class={`button ${chosen}`}
        aria-label={chosen === 'paused' ? 'Resume' : 'Pause'}
        title={chosen === 'paused' ? 'Resume (p)' : 'Pause (p)'}
        onClick={togglePause}
      >
        <Icon name={chosen === 'paused' ? 'play' : 'pause'} size={16} />
      </button>
      <Menu
        label={`Refresh: ${label}`}
        buttonClass="button"
        button={
          <>
            <span>{label}</span>
            <Icon name="chevron" size={14} />
          </>
        }
        items={items}
      />
    </div>
  );
}

// Whether the page hears from Catchment, in a dot and a word.
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { liveClient } from '../live/live';
import { refresh } from '../time/refresh';

const clock = signal(Date.now());
/** A break shorter than this is not worth a word. */
const GRACE_MS = 1_500;
const broken = signal(0);

export function Connection() {
  const { socket } = liveClient();
  const state = socket.state.value;
  const down = state === 'waiting' || (state === 'connecting' && broken.value > 0);
  useEffect(() => {
    if (state === 'open' || state === 'asleep') {
      broken.value = 0;
      return;
    }
    broken.value ||= Date.now();
    const timer = setInterval(() => {
      clock.value = Date.now();
    }, 500);
    return () => clearInterval(timer);
  }, [state]);
  const shown = down && clock.value - broken.value > GRACE_MS;
  const seconds = Math.ceil((socket.retryAt.value - clock.value) / 1000);
  const [kind, text] = shown
    ? [
        'down',
        seconds > 0 && state === 'waiting'
          ? `Not connected, trying again in ${seconds} s`
          : 'Not connected, trying again',
      ]
    : state === 'asleep'
      ? ['idle', 'Resting while hidden']
      : refresh.value === 'paused'
        ? ['idle', 'Paused']
        : ['up', 'Connected'];
  return (
    <div class={`connection ${kind}`} role="status">
      <span class="dot" aria-hidden="true" />
      <span class="connection-text">{text}</span>
      {shown && (
        <button type="button" class="text-link" onClick={socket.retry}>
          Try now
        </button>
      )}
    </div>
  );
}

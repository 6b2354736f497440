// The zone that times are shown in: the browser's, UTC or any of IANA's. In the URL as `tz` when it is not the browser's.
import { computed, type ReadonlySignal } from '@preact/signals';
import { search, setQuery } from '../router';

export const LOCAL_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';

export function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

export const zoneSignal: ReadonlySignal<string> = computed(() => {
  const asked = search.value.get('tz');
  return asked && isZone(asked) ? asked : LOCAL_ZONE;
});

export function setZone(zone: string): void {
  setQuery({ tz: zone === LOCAL_ZONE ? null : zone }, true);
}

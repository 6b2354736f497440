// The document's title: what is shown, then the app.
import { useEffect } from 'preact/hooks';

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title ? `${title} · Catchment` : 'Catchment';
  }, [title]);
}

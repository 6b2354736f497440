// Pages that are loaded when they are first opened.
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { ErrorState, Loading } from '../ui';

type Module = { readonly default: ComponentType };

export function lazy(load: () => Promise<Module>): ComponentType {
  let loaded: ComponentType | null = null;
  return function Lazy() {
    const [Page, setPage] = useState<ComponentType | null>(() => loaded);
    const [failed, setFailed] = useState(0);
    useEffect(() => {
      if (loaded) return;
      let wanted = true;
      load().then(
        (module) => {
          loaded = module.default;
          if (wanted) setPage(() => loaded);
        },
        () => wanted && setFailed((count) => count + 1),
      );
      return () => {
        wanted = false;
      };
    }, []);
    if (Page) return <Page />;
    if (failed) {
      const problem = {
        kind: 'offline',
        message: 'This page could not be loaded. Catchment may have been updated or stopped.',
      };
      return <ErrorState problem={problem} onRetry={() => location.reload()} />;
    }
    return <Loading />;
  };
}

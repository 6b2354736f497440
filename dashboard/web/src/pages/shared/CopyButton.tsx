import { useEffect, useState } from 'preact/hooks';
import { Icon } from './icons';

/** False where the browser does not allow it: a page that was not loaded from localhost or over TLS. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

export function CopyButton({ text, what }: { readonly text: string; readonly what: string }) {
  const [said, setSaid] = useState<'' | 'copied' | 'not allowed'>('');
  useEffect(() => {
    if (!said) return;
    const timer = setTimeout(() => setSaid(''), 1500);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => setSaid((await copyText(text)) ? 'copied' : 'not allowed');
  return (
    <button type="button" class="mini" title={`Copy ${what}`} aria-label={`Copy ${what}`} onClick={copy}>
      <Icon name={said === 'copied' ? 'check' : said ? 'close' : 'copy'} />
      <span class="visually-hidden" role="status">
        {said}
      </span>
    </button>
  );
}

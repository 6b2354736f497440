// Light, dark or the system's. Kept in localStorage, where shell/theme-first.js reads it before the first paint.
import { computed, effect, type ReadonlySignal, signal } from '@preact/signals';

export type ThemeChoice = 'system' | 'light' | 'dark';
const KEY = 'catchment.theme';

function stored(): ThemeChoice {
  try {
    const value = localStorage.getItem(KEY);
    return value === 'light' || value === 'dark' ? value : 'system';
  } catch {
    return 'system';
  }
}

export const themeSignal = signal<ThemeChoice>(stored());
const media = matchMedia('(prefers-color-scheme: dark)');
const systemDark = signal(media.matches);
media.addEventListener('change', () => {
  systemDark.value = media.matches;
});

export const darkSignal: ReadonlySignal<boolean> = computed(() =>
  themeSignal.value === 'system' ? systemDark.value : themeSignal.value === 'dark',
);

effect(() => {
  const root = document.documentElement;
  if (themeSignal.value === 'system') delete root.dataset.theme;
  else root.dataset.theme = themeSignal.value;
});

export function setTheme(choice: ThemeChoice): void {
  themeSignal.value = choice;
  try {
    if (choice === 'system') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, choice);
  } catch {
    // A browser that keeps nothing: the choice lasts as long as the page.
  }
}

/** Whether movement is to be avoided. */
export const calm = matchMedia('(prefers-reduced-motion: reduce)');

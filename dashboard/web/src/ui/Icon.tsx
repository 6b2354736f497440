// Icons as lines of one weight, drawn for this app. Decoration only: what they stand for is said in words beside or around them.
const PATHS = {
  host: 'M3 4h14v9H3zM7 17h6M10 13v4',
  services: 'M10 3v4M4 17v-3a2 2 0 0 1 2-2h8a2 2 0 0 1 2 2v3M10 7v5M8 3h4M2.5 17h3M8.5 17h3M14.5 17h3M10 12v5',
  board: 'M3 3h6v8H3zM11 3h6v4h-6zM11 9h6v8h-6zM3 13h6v4H3z',
  logs: 'M3 5h14M3 10h14M3 15h9',
  traces: 'M3 4h9M6 8h8M8 12h9M11 16h4',
  alerts: 'M5 14V9a5 5 0 0 1 10 0v5l1.5 1.5h-13zM8.5 17.5h3',
  explore: 'M4 5l4 4-4 4M10 15h6',
  pipelines: 'M3 5h4v4H3zM13 3h4v4h-4zM13 13h4v4h-4zM7 7h3M10 5h3M10 5v10h3',
  menu: 'M3 5h14M3 10h14M3 15h14',
  close: 'M5 5l10 10M15 5L5 15',
  clock: 'M10 3a7 7 0 1 0 0 14a7 7 0 0 0 0-14M10 6v4l3 2',
  chevron: 'M6 8l4 4 4-4',
  play: 'M6 4l10 6-10 6z',
  pause: 'M6 4v12M14 4v12',
  zoomout: 'M9 3a6 6 0 1 0 0 12A6 6 0 0 0 9 3M13.5 13.5L17 17M6.5 9h5',
  back: 'M12 5l-5 5 5 5',
  forward: 'M8 5l5 5-5 5',
  sun: 'M10 7a3 3 0 1 0 0 6a3 3 0 0 0 0-6M10 2v2M10 16v2M2 10h2M16 10h2M4.3 4.3l1.4 1.4M14.3 14.3l1.4 1.4M4.3 15.7l1.4-1.4M14.3 5.7l1.4-1.4',
  moon: 'M16 12A7 7 0 0 1 8 4a7 7 0 1 0 8 8z',
  system: 'M3 4h14v9H3zM10 4v9M7 17h6M10 13v4',
  help: 'M7.5 7.5a2.5 2.5 0 1 1 3.5 2.3c-.7.4-1 .9-1 1.7M10 14.5v.2',
  more: 'M10 5v.1M10 10v.1M10 15v.1',
  table: 'M3 4h14v12H3zM3 8h14M8 8v8',
  expand: 'M12 3h5v5M8 17H3v-5M17 3l-6 6M3 17l6-6',
  download: 'M10 3v9M6 9l4 4 4-4M4 16h12',
  retry: 'M16 10a6 6 0 1 1-2-4.5M14 2v4h-4',
  check: 'M4 10l4 4 8-8',
  chart: 'M3 3v14h14M6 13l3-4 3 2 4-6',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 18 }: { readonly name: IconName; readonly size?: number }) {
  return (
    <svg class="icon-line" width={size} height={size} viewBox="0 0 20 20" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

// Small line icons. They decorate: what they mean is said by the text or the label beside them.

const PATHS = {
  chevron: 'M6 4l4 4-4 4',
  close: 'M4 4l8 8M12 4l-8 8',
  plus: 'M8 3v10M3 8h10',
  include: 'M8 5v6M5 8h6M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0z',
  exclude: 'M5 8h6M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0z',
  column: 'M2.5 3h11v10h-11zM6.2 3v10M9.8 3v10',
  copy: 'M6 6h7v7H6zM10 6V3H3v7h3',
  check: 'M3 8.5l3.2 3.2L13 4.8',
  error: 'M8 4.5v4M8 11v.5M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0z',
  warning: 'M8 6v3.2M8 11.4v.4M8 2L1.8 13.2h12.4z',
  pause: 'M5.5 3v10M10.5 3v10',
  play: 'M5 3l7 5-7 5z',
  wrap: 'M2.5 4h11M2.5 8h9a2 2 0 0 1 0 4H8M9.5 10.2L7.8 12l1.7 1.8M2.5 12h3',
  help: 'M6 6.2a2 2 0 1 1 2.8 1.8c-.6.3-.8.7-.8 1.4M8 11.6v.3M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0z',
  trash: 'M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.5 8.5h6l.5-8.5',
  download: 'M8 3v7M5 7.5L8 10.5l3-3M3 13h10',
  history: 'M2.6 8a5.5 5.5 0 1 0 1.7-4M3 2.5V5h2.5M8 5v3.2l2.2 1.3',
  list: 'M2.5 4h11M2.5 8h11M2.5 12h11',
  waiting: 'M8 5v3.2l2.2 1.3M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0z',
  zoomIn: 'M7 4.8v4.4M4.8 7h4.4M11.5 7A4.5 4.5 0 1 1 2.5 7a4.5 4.5 0 0 1 9 0zM10.3 10.3l3.2 3.2',
  zoomOut: 'M4.8 7h4.4M11.5 7A4.5 4.5 0 1 1 2.5 7a4.5 4.5 0 0 1 9 0zM10.3 10.3l3.2 3.2',
  fit: 'M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10',
  arrow: 'M3 8h10M9 4l4 4-4 4',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { readonly name: IconName; readonly size?: number }) {
  return (
    <svg
      class="icon-svg"
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.5"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

/** An element that is there once it is drawn: what `useRef<HTMLElement>(null)` gives. */
export interface ElementRef {
  readonly current: HTMLElement | null;
}

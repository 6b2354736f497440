// A button that opens a panel beside it. The browser's popover closes it on Escape or a click elsewhere.
import type { ComponentChildren } from 'preact';
import { useId, useLayoutEffect, useRef, useState } from 'preact/hooks';

export interface PopoverProps {
  /** What the button says to screen readers, where its content does not. */
  readonly label?: string;
  readonly button: ComponentChildren;
  readonly buttonClass?: string;
  readonly title?: string;
  /** For a shortcut that opens it. */
  readonly id?: string;
  readonly children: (close: () => void) => ComponentChildren;
}

const MARGIN = 8;

export function Popover({ label, button, buttonClass = 'button', title, id, children }: PopoverProps) {
  const own = useId();
  const panel = useRef<HTMLDivElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState(false);
  const close = () => panel.current?.hidePopover();
  const place = () => {
    const from = opener.current?.getBoundingClientRect();
    const element = panel.current;
    if (!from || !element) return;
    const { width, height } = element.getBoundingClientRect();
    // Towards the middle of the screen, from the side that the button is on.
    const wanted = from.left + from.right < innerWidth ? from.left : from.right - width;
    const below = from.bottom + 4;
    const top = below + height > innerHeight - MARGIN && from.top - 4 - height > MARGIN ? from.top - 4 - height : below;
    element.style.left = `${Math.max(MARGIN, Math.min(wanted, document.documentElement.clientWidth - width - MARGIN))}px`;
    element.style.top = `${Math.max(MARGIN, top)}px`;
  };
  useLayoutEffect(() => {
    if (!open) return;
    place();
    panel.current?.querySelector<HTMLElement>('[data-first], [aria-checked="true"], [aria-current="true"]')?.focus();
  }, [open]);
  return (
    <>
      <button
        ref={opener}
        id={id}
        type="button"
        class={buttonClass}
        aria-label={label}
        title={title}
        aria-expanded={open}
        aria-haspopup="dialog"
        popovertarget={own}
      >
        {button}
      </button>
      <div
        ref={panel}
        id={own}
        popover="auto"
        class="popover"
        role="dialog"
        aria-label={label ?? title}
        onToggle={(event) => {
          setOpen((event as unknown as ToggleEvent).newState === 'open');
        }}
      >
        {open && children(close)}
      </div>
    </>
  );
}

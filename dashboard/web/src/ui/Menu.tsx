// A button with a menu of actions: arrow keys move, a letter goes to what begins with it, Escape closes.
import type { ComponentChildren } from 'preact';
import { Icon, type IconName } from './Icon';
import { Popover } from './Popover';

export interface MenuItem {
  readonly label: string;
  readonly icon?: IconName;
  readonly onSelect: () => void;
  /** Of items of which some are on. */
  readonly checked?: boolean;
}

interface MenuProps {
  readonly label: string;
  readonly button: ComponentChildren;
  readonly buttonClass?: string;
  readonly items: readonly MenuItem[];
}

export function moveFocus(event: KeyboardEvent, selector: string): void {
  const all = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>(selector)];
  const at = all.indexOf(document.activeElement as HTMLElement);
  const to: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 };
  let next = to[event.key];
  if (next === undefined && event.key.length === 1 && /\p{L}/u.test(event.key)) {
    const letter = event.key.toLowerCase();
    next = [...all.keys()]
      .map((i) => (at + 1 + i) % all.length)
      .find((i) => all[i]?.textContent?.trim().toLowerCase().startsWith(letter));
  }
  if (next === undefined) return;
  event.preventDefault();
  event.stopPropagation();
  all[(next + all.length) % all.length]?.focus();
}

export function Menu({ label, button, buttonClass, items }: MenuProps) {
  return (
    <Popover label={label} button={button} buttonClass={buttonClass ?? 'button'} title={label}>
      {(close) => (
        <div class="menu" role="menu" aria-label={label} onKeyDown={(event) => moveFocus(event, 'button')}>
          {items.map((item, i) => (
            <button
              key={item.label}
              type="button"
              role={item.checked === undefined ? 'menuitem' : 'menuitemcheckbox'}
              {...(item.checked !== undefined && { 'aria-checked': item.checked })}
              data-first={i === 0 ? '' : undefined}
              tabIndex={-1}
              onClick={() => {
                close();
                item.onSelect();
              }}
            >
              {item.icon && <Icon name={item.icon} size={16} />}
              <span>{item.label}</span>
              {item.checked && <Icon name="check" size={14} />}
            </button>
          ))}
        </div>
      )}
    </Popover>
  );
}

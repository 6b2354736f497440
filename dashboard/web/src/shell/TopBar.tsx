// What belongs to every page: time range, refresh, theme, help; on a phone also the menu.
import { useState } from 'preact/hooks';
import { pan, zoomOut } from '../charts/viewport';
import { RangePicker } from '../time/RangePicker';
import { RefreshControl } from '../time/RefreshControl';
import { Button } from '../ui';
import { Dialog } from '../ui/Dialog';
import { Icon } from '../ui/Icon';
import { Menu } from '../ui/Menu';
import { setTheme, type ThemeChoice, themeSignal } from '../ui/theme';
import { Connection } from './Connection';
import { Brand, Navigation } from './Sidebar';

const THEMES: readonly {
  readonly choice: ThemeChoice;
  readonly label: string;
  readonly icon: 'sun' | 'moon' | 'system';
}[] = [
  { choice: 'system', label: 'As the system', icon: 'system' },
  { choice: 'light', label: 'Light', icon: 'sun' },
  { choice: 'dark', label: 'Dark', icon: 'moon' },
];

export function TopBar({ onHelp }: { readonly onHelp: () => void }) {
  const [menu, setMenu] = useState(false);
  const theme = THEMES.find(({ choice }) => choice === themeSignal.value) ?? THEMES[0];
  return (
    <header class="topbar">
      <div class="topbar-brand">
        <Button kind="quiet" icon aria-label="Open the menu" onClick={() => setMenu(true)}>
          <Icon name="menu" />
        </Button>
        <Brand />
        <Connection />
      </div>
      <div class="topbar-controls">
        <div class="joined" role="group" aria-label="Move the time range">
          <Button icon aria-label="Back in time" title="Back in time ([)" onClick={() => pan(-0.5)}>
            <Icon name="back" size={16} />
          </Button>
          <RangePicker />
          <Button icon aria-label="Forward in time" title="Forward in time (])" onClick={() => pan(0.5)}>
            <Icon name="forward" size={16} />
          </Button>
          <Button icon aria-label="Zoom out" title="Zoom out (z)" onClick={zoomOut}>
            <Icon name="zoomout" size={16} />
          </Button>
        </div>
        <RefreshControl />
        <span class="topbar-extra">
          <Menu
            label="Theme"
            buttonClass="button quiet icon"
            button={<Icon name={theme?.icon ?? 'system'} />}
            items={THEMES.map(({ choice, label, icon }) => ({
              label,
              icon,
              checked: themeSignal.value === choice,
              onSelect: () => setTheme(choice),
            }))}
          />
          <Button kind="quiet" icon aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)" onClick={onHelp}>
            <Icon name="help" />
          </Button>
        </span>
      </div>
      {menu && (
        <Dialog title="Catchment" class="drawer" onClose={() => setMenu(false)}>
          <Navigation onGo={() => setMenu(false)} />
          <Connection />
        </Dialog>
      )}
    </header>
  );
}

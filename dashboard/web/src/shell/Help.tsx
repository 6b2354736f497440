// The keyboard shortcuts, in groups.
import { Dialog } from '../ui/Dialog';
import { type Shortcut, shortcuts } from './shortcuts';

/** Known to charts and lists themselves, while they have the focus. */
const INSIDE: readonly Pick<Shortcut, 'keys' | 'label' | 'group'>[] = [
  { keys: '← →', label: 'Read the values of a chart, with Shift ten at a time', group: 'In a chart' },
  { keys: '+ -', label: 'Zoom in and out', group: 'In a chart' },
  { keys: 'PageUp PageDown', label: 'Back and forward in time', group: 'In a chart' },
  { keys: 'Drag', label: 'Zoom into a range; with Shift, move in time; double click zooms out', group: 'In a chart' },
  { keys: 'Click', label: 'Hide or show a series; with Shift, show it alone', group: 'In a legend' },
  { keys: 'Enter', label: 'The same, with the keyboard', group: 'In a legend' },
];

export function Help({ onClose }: { readonly onClose: () => void }) {
  const all = [...shortcuts.value, ...INSIDE];
  const groups = [...new Set(all.map(({ group }) => group))];
  return (
    <Dialog title="Keyboard shortcuts" class="help" onClose={onClose}>
      <div class="help-groups">
        {groups.map((group) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl>
              {all
                .filter((shortcut) => shortcut.group === group)
                .map(({ keys, label }) => (
                  <div key={keys}>
                    <dt>
                      {keys.split(' ').map((key) => (
                        <kbd key={key}>{key}</kbd>
                      ))}
                    </dt>
                    <dd>{label}</dd>
                  </div>
                ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}

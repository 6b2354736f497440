// The metrics there are. A click asks for one; its attributes go into the query where the cursor is.
import { useCallback, useMemo, useRef, useState } from 'preact/hooks';
import { EmptyState } from '../../ui';
import { Icon } from '../shared/icons';
import { Label, LongText } from '../shared/Label';
import { Spaced, useVirtualRows } from '../shared/VirtualList';
import { type Catalog, type Metric, searchMetrics, writeName } from './catalog';

interface Props {
  readonly catalog: Catalog;
  readonly onAsk: (metric: Metric) => void;
  readonly onInsert: (text: string) => void;
}

const ROW = 44;

export function MetricBrowser({ catalog, onAsk, onInsert }: Props) {
  const [search, setSearch] = useState('');
  const [opened, setOpened] = useState<string | null>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const found = useMemo(() => searchMetrics(catalog.metrics, search), [catalog, search]);
  const keyOf = useCallback((index: number) => found[index]?.name ?? String(index), [found]);
  const rows = useVirtualRows({ count: found.length, keyOf, estimate: ROW, scroller });
  return (
    <div class="metric-browser">
      <input
        class="input"
        type="search"
        aria-label="Find a metric"
        placeholder="Find: name, description, attribute"
        value={search}
        onInput={(event) => setSearch(event.currentTarget.value)}
      />
      <p class="hint" role="status">
        {found.length === catalog.metrics.length
          ? `${found.length} metrics`
          : `${found.length} of ${catalog.metrics.length} metrics`}
        {catalog.truncated && ', the first ones'}
      </p>
      <div ref={scroller} class="scroll-box" role="list" aria-label="Metrics">
        {found.length === 0 && <EmptyState title="None" />}
        <Spaced rows={rows}>
          {found.slice(rows.first, rows.end).map((metric, offset) => (
            <div
              key={metric.name}
              ref={rows.measure(metric.name)}
              role="listitem"
              aria-posinset={rows.first + offset + 1}
              aria-setsize={found.length}
              class="metric"
            >
              <div class="line">
                <button
                  type="button"
                  class="mini chevron"
                  aria-expanded={opened === metric.name}
                  aria-label={`More about ${metric.name.slice(0, 80)}`}
                  onClick={() => setOpened(opened === metric.name ? null : metric.name)}
                >
                  <Icon name="chevron" size={13} />
                </button>
                <button type="button" class="ask" onClick={() => onAsk(metric)}>
                  <Label text={metric.name} class="mono" />
                  <span class="hint">
                    {metric.type.replaceAll('_', ' ')}
                    {metric.unit && <Label text={`, ${metric.unit}`} most={40} />}
                  </span>
                </button>
              </div>
              {opened === metric.name && <About metric={metric} onInsert={onInsert} />}
            </div>
          ))}
        </Spaced>
      </div>
    </div>
  );
}

const MOST = 60;

function About({ metric, onInsert }: { readonly metric: Metric; readonly onInsert: (text: string) => void }) {
  return (
    <div class="about">
      {metric.description && (
        <p>
          <LongText text={metric.description} most={400} />
        </p>
      )}
      <p class="hint">
        {metric.series} series{metric.attributes.length > 0 ? ', with the attributes' : ', without attributes'}
      </p>
      <div class="keys">
        {metric.attributes.slice(0, MOST).map((key) => (
          <button
            key={key}
            type="button"
            class="key"
            title="Put it into the query"
            onClick={() => onInsert(writeName(key))}
          >
            <Label text={key} class="mono" />
          </button>
        ))}
        {metric.attributes.length > MOST && <span class="hint">and {metric.attributes.length - MOST} more</span>}
      </div>
    </div>
  );
}

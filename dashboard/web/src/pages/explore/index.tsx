// Explore: any question in SQL, its answer as a table or a chart, and what there is to ask about.
import '../shared/pages.css';
import './explore.css';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Problem } from '../../live/frame';
import { QueryError, runQuery } from '../../live/query';
import { setQuery, search as urlQuery } from '../../router';
import { useShortcut } from '../../shell/shortcuts';
import { Button, ErrorState, Loading, Tabs, Toolbar } from '../../ui';
import { Icon } from '../shared/icons';
import { useWidth } from '../shared/use-width';
import { type Catalog, type Metric, metricQuery, monotonicSql } from './catalog';
import { EditorBox } from './EditorBox';
import { Examples } from './Examples';
import type { Editor } from './editor';
import { HistoryList } from './HistoryList';
import { loadCatalog } from './load-catalog';
import { MetricBrowser } from './MetricBrowser';
import { Results } from './Results';
import { useHistory } from './use-history';
import { type Run, useRun } from './use-run';

/** Longer queries do not go into the address: servers and people refuse such links. */
const LONGEST_LINK = 12_000;

export default function Explore() {
  const given = urlQuery.value.get('sql') ?? '';
  const [draft, setDraft] = useState(given);
  const [run, setRun] = useState<Run | null>(given.trim() ? { sql: given, turn: 0 } : null);
  const [linked, setLinked] = useState(true);
  const editor = useRef<Editor | null>(null);
  useShortcut('/', 'To the query', 'Explore', () => editor.current?.focus());
  const place = useRef<HTMLDivElement>(null);
  const width = useWidth(place, 800);
  const outcome = useRun(run, width);
  const history = useHistory();
  const { catalog, problem } = useCatalog();
  const write = (sql: string) => {
    setDraft(sql);
    editor.current?.replace(sql);
  };
  // Back, forward, or a link of another page.
  useEffect(() => {
    if (given === run?.sql || !given) return;
    write(given);
    setRun({ sql: given, turn: 0 });
  }, [given]);
  const start = (sql: string) => {
    if (!sql.trim()) return;
    if (sql !== draft) write(sql);
    setRun((had) => ({ sql, turn: (had?.turn ?? 0) + 1 }));
    history.add(sql);
    const fits = encodeURIComponent(sql).length <= LONGEST_LINK;
    setLinked(fits);
    setQuery({ sql: fits ? sql : null });
  };
  const ask = async (metric: Metric) => start(metricQuery(metric, await isMonotonic(metric)));
  const running = outcome.state === 'running' || (outcome.live && ['ok', 'loading', 'empty'].includes(outcome.state));
  return (
    <div class="page explore">
      <h1>Explore</h1>
      <div class="columns">
        <div class="main" ref={place}>
          <section class="panel-box" aria-label="Query">
            <EditorBox
              doc={draft}
              handle={editor}
              catalog={catalog}
              problem={draft === run?.sql ? outcome.problem : null}
              onChange={setDraft}
              onRun={() => start(draft)}
              onCancel={() => {
                if (running) outcome.cancel();
                return running;
              }}
            />
            <Toolbar label="The query">
              <Button kind="primary" onClick={() => start(draft)} disabled={!draft.trim()}>
                <Icon name="play" /> Run
              </Button>
              {running && (
                <Button onClick={outcome.cancel}>
                  <Icon name="close" /> {outcome.live ? 'Stop' : 'Cancel'}
                </Button>
              )}
              <span class="hint keys-hint">Ctrl+Enter runs, Ctrl+Space completes</span>
              {!linked && <span class="hint">too long to be carried by the address</span>}
            </Toolbar>
          </section>
          {run ? <Results sql={run.sql} outcome={outcome} width={width} /> : <Examples onPick={start} />}
        </div>
        <Side
          catalog={catalog}
          problem={problem}
          history={history}
          onAsk={ask}
          onRun={start}
          onInsert={(text) => editor.current?.insert(text)}
        />
      </div>
    </div>
  );
}

async function isMonotonic(metric: Metric): Promise<boolean> {
  if (metric.type !== 'sum') return false;
  try {
    const frame = await runQuery(monotonicSql(metric.name), { limit: 1 });
    return frame.length > 0 && frame.get(0, 0) === true;
  } catch {
    return false;
  }
}

function useCatalog(): { catalog: Catalog | null; problem: Problem | null } {
  const [state, setState] = useState<{ catalog: Catalog | null; problem: Problem | null }>({
    catalog: null,
    problem: null,
  });
  useEffect(() => {
    let wanted = true;
    loadCatalog().then(
      (catalog) => wanted && setState({ catalog, problem: null }),
      (error) => {
        const problem = error instanceof QueryError ? error.problem : { kind: 'internal', message: String(error) };
        if (wanted) setState({ catalog: null, problem });
      },
    );
    return () => {
      wanted = false;
    };
  }, []);
  return state;
}

interface SideProps {
  readonly catalog: Catalog | null;
  readonly problem: Problem | null;
  readonly history: ReturnType<typeof useHistory>;
  readonly onAsk: (metric: Metric) => void;
  readonly onRun: (sql: string) => void;
  readonly onInsert: (text: string) => void;
}

function Side({ catalog, problem, history, onAsk, onRun, onInsert }: SideProps) {
  const [tab, setTab] = useState('metrics');
  return (
    <aside class="panel-box side" aria-label="Metrics and history">
      <Tabs
        label="Metrics and history"
        value={tab}
        options={[
          { value: 'metrics', label: 'Metrics' },
          { value: 'history', label: 'History' },
        ]}
        onChange={setTab}
      />
      {tab === 'history' ? (
        <HistoryList history={history.entries} onPick={onRun} onRemove={history.remove} onClear={history.clear} />
      ) : problem ? (
        <ErrorState problem={problem} />
      ) : catalog ? (
        <MetricBrowser catalog={catalog} onAsk={onAsk} onInsert={onInsert} />
      ) : (
        <Loading />
      )}
    </aside>
  );
}

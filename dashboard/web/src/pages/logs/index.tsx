// Logs: search, severity over time, the records as they come.
import './logs.css';
import '../shared/pages.css';
import { useEffect, useRef, useState } from 'preact/hooks';
import { Link, setQuery, search as urlQuery } from '../../router';
import { range } from '../../time/range';
import { Button, EmptyState, ErrorState, Loading, Toolbar } from '../../ui';
import { Icon } from '../shared/icons';
import { LiveState } from '../shared/LiveState';
import { parseFlag, parseStrings, useStored } from '../shared/stored';
import { useFillHeight } from '../shared/use-fill-height';
import { ColumnMenu } from './ColumnMenu';
import { tailSql } from './filter';
import { LogList } from './LogList';
import { OlderRows } from './OlderRows';
import { SearchBar } from './SearchBar';
import { SeverityBars } from './SeverityBars';
import { type Searching, useSearch } from './use-search';
import { type Tail, useTail } from './use-tail';

const HALF_DAY = 43_200_000;

export default function Logs() {
  const search = useSearch();
  const tail = useTail(search.condition);
  return (
    <div class="page logs">
      <h1>Logs</h1>
      <SearchBar search={search} />
      <SeverityBars condition={search.condition} />
      <Records search={search} tail={tail} />
    </div>
  );
}

function Records({ search, tail }: { readonly search: Searching; readonly tail: Tail }) {
  const [wrap, setWrap] = useStored('logs.wrap', parseFlag);
  const { columns, toggleColumn } = useColumns();
  const [opened, setOpened] = useState<ReadonlySet<string>>(new Set());
  const scroller = useRef<HTMLDivElement>(null);
  const height = useFillHeight(scroller, 320);
  const { hold } = tail;
  useEffect(() => hold('open', opened.size > 0), [opened, hold]);
  // Another question has other rows: none of them is open, and the newest are in sight.
  useEffect(() => {
    setOpened(new Set());
    scroller.current?.scrollTo({ top: 0 });
  }, [search.condition, range.value]);
  const toggle = (key: string) => {
    setOpened((had) => {
      const next = new Set(had);
      if (!next.delete(key)) next.add(key);
      return next;
    });
  };
  const resume = () => {
    setOpened(new Set());
    tail.resume();
    scroller.current?.scrollTo({ top: 0 });
  };
  return (
    <section class="panel-box records" aria-label="Records">
      <Toolbar label="The list">
        <TailState tail={tail} onResume={resume} />
        <span class="grow" />
        <Button kind="quiet" aria-pressed={wrap} onClick={() => setWrap(!wrap)}>
          <Icon name="wrap" /> Wrap
        </Button>
        <ColumnMenu rows={tail.rows} columns={columns} onToggle={toggleColumn} />
        <Link class="button quiet" href={`/explore?sql=${encodeURIComponent(tailSql(search.condition))}`}>
          As SQL
        </Link>
      </Toolbar>
      <div
        ref={scroller}
        class="scroll-box"
        style={{ height: `${height}px`, '--columns': gridColumns(columns.length, needsDate()) }}
        onScroll={(event) => hold('scroll', event.currentTarget.scrollTop > 8)}
        onPointerEnter={(event) => event.pointerType === 'mouse' && hold('hover', true)}
        onPointerLeave={() => hold('hover', false)}
      >
        <Body tail={tail}>
          <LogList
            rows={tail.rows}
            columns={columns}
            wrap={wrap}
            withDate={needsDate()}
            opened={opened}
            onToggle={toggle}
            scroller={scroller}
            onFilter={search.filter}
            onToggleColumn={toggleColumn}
          />
          <OlderRows older={tail.older} count={tail.rows.length} scroller={scroller} />
        </Body>
      </div>
    </section>
  );
}

/** Chevron, time, level, service, the chosen attributes, body. */
function gridColumns(extra: number, withDate: boolean): string {
  const chosen = extra > 0 ? `repeat(${extra}, minmax(60px, 160px)) ` : '';
  return `24px ${withDate ? 174 : 92}px 44px minmax(70px, 130px) ${chosen}minmax(0, 1fr)`;
}

/** In the URL, so that a link shows the same; what was chosen last otherwise. */
function useColumns() {
  const [stored, setStored] = useStored('logs.columns', parseStrings);
  const inUrl = urlQuery.value.getAll('column');
  const columns = urlQuery.value.has('column') ? inUrl.filter(Boolean).slice(0, 20) : stored;
  const toggleColumn = (key: string) => {
    const next = columns.includes(key) ? columns.filter((column) => column !== key) : [...columns, key];
    setStored(next);
    setQuery({ column: next.length > 0 ? next : [''] }, true);
  };
  return { columns, toggleColumn };
}

function needsDate(): boolean {
  const of = range.value;
  return of.kind === 'absolute' || of.lastMs > HALF_DAY;
}

function TailState({ tail, onResume }: { readonly tail: Tail; readonly onResume: () => void }) {
  const { reasons, fresh, state } = tail;
  if (reasons.size === 0) {
    return (
      <>
        <LiveState state={state} past={range.value.kind === 'absolute'} />
        <Button kind="quiet" onClick={() => tail.hold('button', true)}>
          <Icon name="pause" /> Pause
        </Button>
      </>
    );
  }
  const onlyHover = reasons.size === 1 && reasons.has('hover');
  return (
    <>
      <LiveState state={state} stopped={onlyHover ? 'Paused while you point at it' : 'Paused'} />
      <Button kind={fresh.count > 0 ? 'primary' : 'plain'} onClick={onResume}>
        <Icon name="play" /> Resume
        <span role="status">{fresh.count > 0 ? ` · ${fresh.count}${fresh.more ? '+' : ''} new` : ''}</span>
      </Button>
    </>
  );
}

function Body({ tail, children }: { readonly tail: Tail; readonly children: preact.ComponentChildren }) {
  const { state, error, rows } = tail;
  if (state === 'error' && error) return <ErrorState problem={error} onRetry={tail.retry} />;
  if (rows.length > 0) return <>{children}</>;
  if (state === 'loading') return <Loading />;
  if (state === 'disconnected')
    return <EmptyState title="Disconnected">Catchment does not answer; trying again.</EmptyState>;
  return (
    <EmptyState title="No records">
      <span>
        Nothing in this range fits. Logs arrive over OTLP; <Link href="/pipelines">Pipelines</Link> shows where this
        instance listens.
      </span>
    </EmptyState>
  );
}

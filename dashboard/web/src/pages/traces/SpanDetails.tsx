// All of one span.
import { Link } from '../../router';
import { zoneSignal } from '../../time/range';
import { Button } from '../../ui';
import { AttributeTable } from '../shared/AttributeTable';
import { parseAttributes } from '../shared/attributes';
import { CopyButton } from '../shared/CopyButton';
import { formatCount, formatDateTime, formatDuration } from '../shared/format';
import { Icon } from '../shared/icons';
import { LongText } from '../shared/Label';
import { oddity } from './SpanRow';
import { isError, kindName, type Span, type SpanEvent, type SpanLink } from './span';
import type { Node } from './tree';

interface Props {
  readonly node: Node;
  readonly traceStart: bigint;
  readonly traceLength: number;
  /** Nanoseconds on the critical path. */
  readonly critical: number;
  readonly onClose: () => void;
  readonly onZoom: () => void;
  readonly children?: preact.ComponentChildren;
}

export function SpanDetails({ node, traceStart, traceLength, critical, onClose, onZoom, children }: Props) {
  const { span } = node;
  const duration = span.end - span.start;
  const start = Number(traceStart / 1000n) / 1000 + span.start / 1e6;
  const share = (part: number) =>
    traceLength > 0 ? ` (${Math.round((part / traceLength) * 100)} % of the trace)` : '';
  return (
    <aside
      class="panel-box span-details"
      aria-label="Span"
      onKeyDown={(event) => {
        if (event.key === 'Escape') onClose();
      }}
    >
      <header>
        <h2>
          <LongText text={span.name || '(no name)'} most={300} />
        </h2>
        <Button kind="quiet" icon aria-label="Close the span" onClick={onClose}>
          <Icon name="close" />
        </Button>
      </header>
      {isError(span) && (
        <p class="notice bad">
          <Icon name="error" /> <LongText text={span.statusMessage || 'Error'} most={500} />
        </p>
      )}
      {(node.orphan || node.circular || node.early > 0) && (
        <p class="notice">
          <Icon name="warning" /> {oddity(node)}
        </p>
      )}
      <dl class="facts">
        <dt>Service</dt>
        <dd>{span.service === null ? '–' : <LongText text={span.service} most={300} />}</dd>
        <dt>Kind</dt>
        <dd>{kindName(span.kind)}</dd>
        <dt>Duration</dt>
        <dd>
          {formatDuration(duration)}
          {share(duration)}
        </dd>
        <dt>Self time</dt>
        <dd>{formatDuration(node.self)}</dd>
        <dt>Critical path</dt>
        <dd>{critical > 0 ? `${formatDuration(critical)}${share(critical)}` : 'not on it'}</dd>
        <dt>Start</dt>
        <dd>
          {formatDateTime(start, zoneSignal.value)} (+{formatDuration(span.start)})
        </dd>
        <dt>Status</dt>
        <dd>{['unset', 'ok', 'error'][span.status] ?? span.status}</dd>
        {span.scope && (
          <>
            <dt>Scope</dt>
            <dd>
              <LongText text={span.scope} most={300} />
            </dd>
          </>
        )}
        <dt>Span id</dt>
        <dd class="mono">
          {span.id ?? '–'} {span.id && <CopyButton text={span.id} what="the span id" />}
        </dd>
        {span.parentId && (
          <>
            <dt>Parent id</dt>
            <dd class="mono">{span.parentId}</dd>
          </>
        )}
      </dl>
      <Button onClick={onZoom}>
        <Icon name="fit" /> Enlarge this span
      </Button>
      <AttributeTable caption="Attributes" attributes={parseAttributes(span.attributes)} />
      <Events span={span} />
      <Links links={span.links} />
      <Dropped span={span} />
      {children}
      <AttributeTable caption="Resource" attributes={parseAttributes(span.resource)} />
    </aside>
  );
}

const FIRST = 100;

function Events({ span }: { readonly span: Span }) {
  if (span.events.length === 0) return null;
  return (
    <section>
      <h3>Events ({formatCount(span.events.length)})</h3>
      <ol class="events">
        {span.events.slice(0, FIRST).map((event, index) => (
          <Event key={index} event={event} from={span.start} />
        ))}
      </ol>
      {span.events.length > FIRST && <p class="hint">The first {FIRST} are shown.</p>}
    </section>
  );
}

function Event({ event, from }: { readonly event: SpanEvent; readonly from: number }) {
  return (
    <li class={event.name === 'exception' ? 'exception' : ''}>
      <span class="hint">+{formatDuration(event.time - from)}</span> <LongText text={event.name} most={300} />
      <AttributeTable caption="" attributes={parseAttributes(event.attributes)} />
    </li>
  );
}

function Links({ links }: { readonly links: readonly SpanLink[] }) {
  if (links.length === 0) return null;
  return (
    <section>
      <h3>Links ({formatCount(links.length)})</h3>
      <ul class="links">
        {links.slice(0, FIRST).map((link, index) => (
          <li key={index}>
            {link.traceId ? (
              <Link
                class="mono"
                href={`/traces/${encodeURIComponent(link.traceId)}${link.spanId ? `?span=${encodeURIComponent(link.spanId)}` : ''}`}
              >
                {link.traceId}
              </Link>
            ) : (
              '–'
            )}
            <AttributeTable caption="" attributes={parseAttributes(link.attributes)} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Dropped({ span: { dropped } }: { readonly span: Span }) {
  const parts = Object.entries(dropped).flatMap(([what, count]) =>
    count > 0 ? [`${formatCount(count)} ${what}`] : [],
  );
  return parts.length > 0 ? <p class="hint">The SDK dropped {parts.join(', ')}.</p> : null;
}

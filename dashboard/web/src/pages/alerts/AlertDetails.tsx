// One alert: what its rule says of it, who is told, what keeps it quiet, why it fires, and what became of it.
import { useMemo } from 'preact/hooks';
import { useLive } from '../../live/live';
import { Link } from '../../router';
import { zoneSignal } from '../../time/range';
import { formatDateTime } from '../shared/format';
import { Label, LongText } from '../shared/Label';
import { short, summaryOf } from './AlertList';
import { linksOf } from './api';
import { bandsOf, eventsOf, type HistoryEvent, historySql, MOST_CHANGES } from './history';
import { formatMatchers } from './matcher';
import type { Alert, Silence } from './model';
import { BandTrack, describeBands, useWindow } from './parts';
import { Why } from './Why';

export function AlertDetails({ alert, silences }: { readonly alert: Alert; readonly silences: readonly Silence[] }) {
  const sql = useMemo(() => historySql(alert.fingerprint), [alert.fingerprint]);
  const live = useLive({ sql, mode: 'table', limit: MOST_CHANGES });
  const frame = live.rows.value;
  const events = useMemo(() => (frame ? eventsOf(frame) : []), [frame]);
  const window = useWindow();
  const bands = useMemo(() => bandsOf(events, window, alert), [events, window, alert]);
  return (
    <div class="alert-details">
      <Facts alert={alert} silences={silences} />
      {alert.rule ? (
        <Why alert={alert} rule={alert.rule} events={events} bands={bands} />
      ) : (
        <FromOutside alert={alert} />
      )}
      <section aria-label="History">
        <h3>History</h3>
        <BandTrack bands={bands} window={window} label={`History of ${alert.name}`} />
        <p class="hint">In the range that is chosen above: {describeBands(bands)}.</p>
        <Changes events={events} />
      </section>
    </div>
  );
}

const SHORT = 80;

function Facts({ alert, silences }: { readonly alert: Alert; readonly silences: readonly Silence[] }) {
  const { annotations, receivers, silencedBy, inhibitedBy, mutedBy, acknowledgedBy, rule } = alert;
  const links = linksOf(alert);
  // Said above, where it is short.
  const summary = summaryOf(alert).length < SHORT ? summaryOf(alert) : null;
  const linked = new Set(links.map(({ label }) => label));
  const zone = zoneSignal.value;
  return (
    <dl class="facts">
      {Object.entries(annotations)
        .filter(([name, text]) => !linked.has(name) && text !== summary)
        .map(([name, text]) => (
          <Fact key={name} name={name}>
            <LongText text={text} />
          </Fact>
        ))}
      {links.length > 0 && (
        <Fact name="Links">
          <span class="links">
            {links.map(({ label, href }) => (
              <a key={label} href={href} target="_blank" rel="noreferrer noopener" title={href}>
                <Label text={label} />
              </a>
            ))}
          </span>
        </Fact>
      )}
      <Fact name="Since">{formatDateTime(alert.since, zone)}</Fact>
      {rule && (
        <Fact name="Rule">
          <Link href={`/alerts?${new URLSearchParams({ view: 'rules', rule: rule.rule.name })}`}>
            <Label text={`${rule.group.name} / ${rule.rule.name}`} />
          </Link>
        </Fact>
      )}
      {receivers.length > 0 && (
        <Fact name="Told">
          <Label text={receivers.join(', ')} />
        </Fact>
      )}
      {acknowledgedBy && (
        <Fact name="Acknowledged by">
          <Label text={acknowledgedBy} />
        </Fact>
      )}
      {silencedBy.map((id) => (
        <Fact key={id} name="Silenced by">
          <SilenceOf id={id} silence={silences.find((one) => one.id === id)} />
        </Fact>
      ))}
      {inhibitedBy.length > 0 && (
        <Fact name="Inhibited by">
          <Label text={inhibitedBy.join(', ')} />
        </Fact>
      )}
      {mutedBy.length > 0 && (
        <Fact name="Muted at this time">
          <Label text={mutedBy.join(', ')} />
        </Fact>
      )}
    </dl>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: preact.ComponentChildren }) {
  return (
    <>
      <dt>
        <Label text={name} most={80} />
      </dt>
      <dd>{children}</dd>
    </>
  );
}

function SilenceOf({ id, silence }: { readonly id: string; readonly silence: Silence | undefined }) {
  if (!silence) return <Label text={id} />;
  return (
    <>
      <Label text={silence.createdBy} most={60} />: <Label text={silence.comment || formatMatchers(silence.matchers)} />
      , until {formatDateTime(Date.parse(silence.endsAt), zoneSignal.value)}
    </>
  );
}

function FromOutside({ alert }: { readonly alert: Alert }) {
  return (
    <p class="hint">
      No rule of this instance: it was sent here{alert.generatorURL ? ', and its source above says why.' : '.'}
    </p>
  );
}

const MOST_SHOWN = 20;

function Changes({ events }: { readonly events: readonly HistoryEvent[] }) {
  const shown = events.filter(({ change }) => change !== 'still_firing').slice(-MOST_SHOWN);
  if (shown.length === 0) return null;
  return (
    <ol class="changes" reversed>
      {shown.toReversed().map(({ at, change, value }) => (
        <li key={`${at} ${change}`}>
          <time>{formatDateTime(at, zoneSignal.value)}</time> <span class={`change ${change}`}>{change}</span>
          {value !== null && <span class="hint"> at {short(value)}</span>}
        </li>
      ))}
    </ol>
  );
}

// Alerts: what fires now and why, what did over time, silences, and how the rules are.
import '../shared/pages.css';
import './alerts.css';
import { setQuery, search as urlQuery } from '../../router';
import { EmptyState, ErrorState, Loading, Tabs } from '../../ui';
import { Icon } from '../shared/icons';
import { NotConfigured } from './NotConfigured';
import { Now } from './Now';
import { OverTime } from './OverTime';
import { Rules } from './Rules';
import { Silences } from './Silences';
import { type Alerting, useAlerting } from './use-alerting';

const VIEWS = ['now', 'time', 'silences', 'rules'] as const;
type View = (typeof VIEWS)[number];

export default function Alerts() {
  const query = urlQuery.value;
  const view: View = VIEWS.find((one) => one === query.get('view')) ?? 'now';
  const alerting = useAlerting(query.get('group') === 'receiver');
  return (
    <div class="page alerts">
      <h1>Alerts</h1>
      {alerting.state === 'absent' ? (
        <NotConfigured />
      ) : alerting.state === 'loading' ? (
        <Loading />
      ) : (
        <Views view={view} alerting={alerting} />
      )}
    </div>
  );
}

function Views({ view, alerting }: { readonly view: View; readonly alerting: Alerting }) {
  const { all, silences, rules, problem } = alerting;
  const active = silences.filter(({ status }) => status.state === 'active').length;
  const broken = rules.flatMap((group) => group.rules).filter(({ health }) => health === 'err').length;
  if (problem && all.length === 0 && rules.length === 0)
    return <ErrorState problem={problem} onRetry={alerting.reload} />;
  const options = [
    { value: 'now', label: `Now (${all.length})` },
    { value: 'time', label: 'Over time' },
    { value: 'silences', label: `Silences (${active})` },
    { value: 'rules', label: broken > 0 ? `Rules (${broken} failing)` : 'Rules' },
  ];
  return (
    <>
      {problem && (
        <p class="notice bad" role="status">
          <Icon name="warning" /> This is how it was: {problem.message}.
        </p>
      )}
      <Tabs
        label="View"
        value={view}
        options={options}
        onChange={(value) => setQuery({ view: value === 'now' ? null : value })}
      />
      {view === 'now' && <Now alerting={alerting} />}
      {view === 'time' && <OverTime alerting={alerting} />}
      {view === 'silences' && <Silences alerting={alerting} />}
      {view === 'rules' && <Rules alerting={alerting} />}
      {rules.length === 0 && all.length === 0 && view === 'now' && (
        <EmptyState title="No rules">Alerts that others send are shown here as well.</EmptyState>
      )}
    </>
  );
}

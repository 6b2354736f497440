import { EmptyState } from '../../ui';

export default function Logs() {
  return <EmptyState title="Logs is not built yet" />;
}

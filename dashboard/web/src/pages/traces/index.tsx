import { EmptyState } from '../../ui';

export default function Traces() {
  return <EmptyState title="Traces is not built yet" />;
}

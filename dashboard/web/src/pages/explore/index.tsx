import { EmptyState } from '../../ui';

export default function Explore() {
  return <EmptyState title="Explore is not built yet" />;
}

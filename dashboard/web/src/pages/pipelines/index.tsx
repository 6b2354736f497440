import { EmptyState } from '../../ui';

export default function Pipelines() {
  return <EmptyState title="Pipelines is not built yet" />;
}

// A board: the one of /boards/{id}; at / the host's.
import { EmptyState } from '../ui';

export function BoardPage() {
  return <EmptyState title="Boards are not drawn yet" />;
}

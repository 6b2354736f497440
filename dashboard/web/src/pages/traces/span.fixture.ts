// Spans for tests.

import type { Span } from './span';

export const span = (
  id: string,
  parentId: string | null,
  start: number,
  end: number,
  more: Partial<Span> = {},
): Span => ({
  id,
  parentId,
  name: id,
  service: 'shop',
  kind: 1,
  start,
  end,
  status: 0,
  statusMessage: '',
  attributes: '{}',
  resource: '{}',
  scope: '',
  traceState: '',
  events: [],
  links: [],
  dropped: { attributes: 0, events: 0, links: 0 },
  ...more,
});

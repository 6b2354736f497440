// SQL text from parts that people typed. Everything from outside goes through `literal` or `identifier`: the server's
// dialect (PostgreSQL's) knows no escape in either but the doubled quote, and replaces no placeholder inside them.

// A half of a surrogate pair is not text: JSON with one in it is refused by the server.
const LONE_SURROGATE = /[\ud800-\udfff]/gu;

const clean = (text: string): string => text.replace(LONE_SURROGATE, '\ufffd');

export const literal = (text: string): string => `'${clean(text).replaceAll("'", "''")}'`;

export const identifier = (name: string): string => `"${clean(name).replaceAll('"', '""')}"`;

/** A whole number as SQL; anything else is a mistake of ours, not of the person. */
export function integer(value: number): string {
  if (!Number.isSafeInteger(value)) throw new RangeError(`not a whole number: ${value}`);
  return String(value);
}

/** Milliseconds since 1970 as a timestamp literal. */
export const timestamp = (ms: number): string => `TIMESTAMP ${literal(new Date(ms).toISOString())}`;

/** `a AND b`, with what is empty left out; `true` when nothing is left. */
export function and(...conditions: (string | null | undefined | false)[]): string {
  const kept = conditions.filter((condition): condition is string => Boolean(condition));
  return kept.length > 0 ? kept.join(' AND ') : 'true';
}

/** Substring in any case. Not LIKE: `%` and `_` in what people look for are themselves. */
export const contains = (column: string, text: string): string =>
  `contains(lower(${column}), ${literal(text.toLowerCase())})`;

// Resource attributes that the lake keeps as columns of their own by default. Files prune by their statistics, JSON
// does not, so a filter on one of them uses the column.
const PROMOTED: Readonly<Record<string, string>> = {
  'service.name': 'service_name',
  'service.namespace': 'service_namespace',
  'service.instance.id': 'service_instance_id',
  'host.name': 'host_name',
  'deployment.environment.name': 'deployment_environment_name',
  'k8s.namespace.name': 'k8s_namespace_name',
  'k8s.pod.name': 'k8s_pod_name',
  'k8s.container.name': 'k8s_container_name',
  'k8s.node.name': 'k8s_node_name',
};

/** An attribute's value as text: a promoted column, or the row's own attribute before the resource's. */
export function attribute(key: string): string {
  const column = Object.hasOwn(PROMOTED, key) ? PROMOTED[key] : undefined;
  if (column) return column;
  const name = literal(key);
  return `coalesce(json_as_text(attributes, ${name}), json_as_text(resource_attributes, ${name}))`;
}

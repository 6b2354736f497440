// Attribute sets as the lake keeps them: canonical JSON text. What JSON cannot say is an object with one `$` key, and a
// real key that begins with `$` has a second one (ARCHITECTURE.md, "Rows in flight").

export interface Attribute {
  /** As the person who set it wrote it. */
  key: string;
  /** As the JSON text has it: what SQL must ask for. */
  jsonKey: string;
  /** As `json_as_text` gives it, so that a filter by it finds the row again; `null` for a JSON null. */
  text: string | null;
  /** For people: nested values are pretty-printed. */
  shown: string;
  kind: 'string' | 'number' | 'boolean' | 'nested' | 'special';
}

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

// Doubles hold 15 digits for certain, and do not tell 1.0 from 1: other numbers stay text.
const LONG_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const EXACT = '$exact';

function parse(text: string): Json {
  const kept = text.replace(LONG_NUMBER, (token) =>
    token.startsWith('"') || /^-?\d{1,15}$/.test(token) ? token : `{"${EXACT}":"${token}"}`,
  );
  return JSON.parse(kept) as Json;
}

/** Of what is not a JSON object: nothing. */
export function parseAttributes(text: string | null): Attribute[] {
  let parsed: Json;
  try {
    parsed = parse(text ?? '{}');
  } catch {
    return [];
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return [];
  return Object.entries(parsed).map(([jsonKey, value]) => ({
    key: plainKey(jsonKey),
    jsonKey,
    text: value === null ? null : typeof value === 'string' ? value : compact(value),
    shown: typeof value === 'string' ? value : pretty(value, ''),
    kind: kindOf(value),
  }));
}

const plainKey = (key: string): string => (key.startsWith('$$') ? key.slice(1) : key);

function kindOf(value: Json): Attribute['kind'] {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
    return typeof value as 'string' | 'number' | 'boolean';
  }
  const [name] = specialOf(value) ?? [];
  return name === EXACT ? 'number' : name || value === null ? 'special' : 'nested';
}

function specialOf(value: Json): [string, Json] | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const entries = Object.entries(value);
  const [first] = entries;
  return entries.length === 1 && first && /^\$[a-z]/.test(first[0]) ? first : null;
}

/** The JSON text again, without spaces, as the lake has it. */
function compact(value: Json): string {
  const special = specialOf(value);
  if (special?.[0] === EXACT) return String(special[1]);
  if (Array.isArray(value)) return `[${value.map(compact).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, inner]) => `${JSON.stringify(key)}:${compact(inner)}`)
    .join(',')}}`;
}

function pretty(value: Json, indent: string): string {
  const special = specialOf(value);
  if (special) {
    const [name, inner] = special;
    if (name === EXACT || name === '$double') return String(inner);
    if (name === '$bytes') return `bytes (base64) ${inner}`;
    if (name === '$empty') return 'empty';
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const deeper = `${indent}  `;
  const lines = Array.isArray(value)
    ? value.map((inner) => `${deeper}${pretty(inner, deeper)}`)
    : Object.entries(value).map(
        ([key, inner]) => `${deeper}${JSON.stringify(plainKey(key))}: ${pretty(inner, deeper)}`,
      );
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  return lines.length > 0 ? `${open}\n${lines.join(',\n')}\n${indent}${close}` : `${open}${close}`;
}

/** One attribute's text, of a row whose set is not shown as a whole. */
export function attributeText(json: string | null, key: string): string | null {
  // Most rows do not have it: spare them the parsing.
  if (!json?.includes(key)) return null;
  return parseAttributes(json).find((attribute) => attribute.key === key)?.text ?? null;
}

/** JSON text made readable; `null` for what is not a JSON object or list. */
export function prettyJson(text: string): string | null {
  if (!/^\s*[[{]/.test(text)) return null;
  try {
    return pretty(parse(text), '');
  } catch {
    return null;
  }
}

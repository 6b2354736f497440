// Fails when the JavaScript that the first page load needs (index.html's scripts and what they import statically, and the
// board page, which is the first screen) is more than 150 KB as sent (gzip, the larger of the two encodings).
import { readFileSync, statSync } from 'node:fs';

const LIMIT = 150 * 1024;
const dist = new URL('../dist/', import.meta.url);
const html = readFileSync(new URL('index.html', dist), 'utf8');
const wanted = [...html.matchAll(/(?:src|href)="\/(assets\/[^"]+\.js)"/g)].map((match) => match[1]);
if (wanted.length === 0) throw new Error('dist/index.html loads no script: was the build run?');

const seen = new Set();
while (wanted.length > 0) {
  const file = wanted.pop();
  if (seen.has(file)) continue;
  seen.add(file);
  const source = readFileSync(new URL(file, dist), 'utf8');
  for (const match of source.matchAll(/(?:from|import)\s*["']\.\/([^"']+\.js)["']/g)) wanted.push(`assets/${match[1]}`);
}

const size = (file) =>
  statSync(new URL(`${file}.gz`, dist), { throwIfNoEntry: false })?.size ?? statSync(new URL(file, dist)).size;
const total = [...seen].reduce((sum, file) => sum + size(file), 0);
console.log(
  `first load: ${(total / 1024).toFixed(1)} KB of JavaScript in ${seen.size} files (limit ${LIMIT / 1024} KB)`,
);
if (total > LIMIT) process.exit(1);

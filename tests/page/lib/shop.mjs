// The demonstration shop (examples/shop): official Python SDKs under a light load.
import { join } from 'node:path';
import { start } from './children.mjs';
import { python, REPO } from './parts.mjs';

export function openShop(otlp, ...more) {
  const said = [];
  const args = [join(REPO, 'examples/shop/shop.py'), '--endpoint', otlp, '--seed', '7', ...more];
  const shop = start(python(), args, { line: (text) => said.push(text) });
  return Object.assign(shop, { said });
}

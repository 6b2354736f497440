// Where the real parts are: Node's modules, Chromium, a Python with the OpenTelemetry SDK, and the binary under test. `cargo test`
// says it by environment variables; by hand, what `cargo xtask peers` and `cargo build` left is found.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

export const REPO = resolve(import.meta.dirname, '../../..');

const peers = [process.env.CATCHMENT_PEERS, join(REPO, 'target/peers'), join(homedir(), '.cache/catchment-peers')];

function part(name) {
  const found = peers.find((folder) => folder && existsSync(join(folder, name, 'stamp')));
  if (!found) throw new Error(`the real part ${name} is not installed: run \`cargo xtask peers ${name}\``);
  return join(found, name);
}

const load = (name) => createRequire(join(part('browser'), 'node_modules', 'x.js'))(name);

export const playwright = () => load('playwright-core');
export const axeSource = () =>
  readFileSync(join(part('browser'), 'node_modules/axe-core/axe.min.js'), 'utf8');
export const chromiumPath = () => readFileSync(join(part('browser'), 'chromium'), 'utf8').trim();
export const python = () => join(part('python'), 'venv/bin/python');

/** The newest of the builds, unless CATCHMENT_BINARY names one. */
export function binary() {
  if (process.env.CATCHMENT_BINARY) return resolve(process.env.CATCHMENT_BINARY);
  const target = process.env.CARGO_TARGET_DIR ?? join(REPO, 'target');
  const found = ['release', 'debug'].map((profile) => join(target, profile, 'catchment')).find(existsSync);
  if (!found) throw new Error('no binary: run `cargo build`, or name one in CATCHMENT_BINARY');
  return found;
}

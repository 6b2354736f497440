// Waiting for conditions. Only a hang reaches the patience: the binary may be a debug build on a busy machine.

export const PATIENCE = Number(process.env.PAGE_PATIENCE_MS ?? 60_000);
const BETWEEN = 40;

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Asks again and again until the answer is neither false, null nor undefined, and gives it; `what` names it in the error. */
export async function until(what, condition, patience = PATIENCE) {
  const deadline = performance.now() + patience;
  let last;
  for (;;) {
    try {
      last = await condition();
      if (last !== false && last !== null && last !== undefined) return last;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`waited ${patience / 1000} s in vain for ${what}${last instanceof Error ? `: ${last.message}` : ''}`);
    }
    await pause(BETWEEN);
  }
}

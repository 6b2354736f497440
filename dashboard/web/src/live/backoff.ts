// When to try again: full jitter (a random time below a bound that doubles), so that a thousand pages do not come back in step
// after a restart of the server.

const FIRST_MS = 400;
const MOST_MS = 15_000;

export class Backoff {
  #failures = 0;
  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Milliseconds to wait before the next attempt. */
  next(): number {
    const bound = Math.min(MOST_MS, FIRST_MS * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 16);
    return Math.round(this.#random() * bound);
  }

  succeeded(): void {
    this.#failures = 0;
  }
}

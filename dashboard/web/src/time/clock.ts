// The server's clock: what `now` means to it, where the browser's clock is wrong. Learnt from the Date of its answers.

/** Differences up to this are the way that an answer took, and a header that knows seconds only. */
const TRUSTED_MS = 5_000;
let ahead = 0;

export function heardDate(header: string | null, at = Date.now()): void {
  const time = header === null ? Number.NaN : Date.parse(header);
  if (Number.isNaN(time)) return;
  ahead = Math.abs(time - at) > TRUSTED_MS ? time - at : 0;
}

/** Milliseconds since 1970, as the server has it. */
export function serverNow(): number {
  return Date.now() + ahead;
}

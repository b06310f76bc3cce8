/**
 * Times as RFC 3339 has them, with milliseconds, in UTC. Most of those that are written are of the same second, so its
 * text is kept: Date takes a microsecond for each.
 */
let kept = { second: Number.NaN, text: '' };

/** `ms` is a whole number of milliseconds since the epoch. */
export function timestamp(ms: number): string {
  const second = Math.floor(ms / 1000);
  if (second !== kept.second) kept = { second, text: new Date(second * 1000).toISOString().slice(0, -4) };
  return `${kept.text}${String(ms - second * 1000).padStart(3, '0')}Z`;
}

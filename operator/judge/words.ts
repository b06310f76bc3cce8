/** Counts and lists in messages. Only this file forms singular and plural. Pure. */
import { cutText } from '#crds/cut.ts';

/** `1 pod`, `2 pods`, `no pods`. */
export function counted(count: number, noun: string): string {
  if (count === 0) return `no ${noun}s`;
  return count === 1 ? `1 ${noun}` : `${count} ${noun}s`;
}

/** Rounds to two significant digits: enough for a dashboard, and so the status is rarely written. */
export function coarse(count: number): number {
  if (count < 100) return count;
  const unit = 10 ** (Math.floor(Math.log10(count)) - 1);
  return Math.round(count / unit) * unit;
}

/** `The pod`, `Both pods`, `All 3 pods`, for the begin of a sentence. */
export function every(count: number, noun: string): string {
  if (count === 1) return `The ${noun}`;
  return count === 2 ? `Both ${noun}s` : `All ${count} ${noun}s`;
}

/** `on all 3 pods`, for a fact that is true on each. */
export function onEvery(count: number, noun: string): string {
  return count === 0 ? `as soon as there are ${noun}s` : `on ${every(count, noun).toLowerCase()}`;
}

/** The form of a verb that fits the count: `verb(1, 'goes', 'go')`. */
export function verb(count: number, one: string, many: string): string {
  return count === 1 ? one : many;
}

/** `1 of 2 pods`, `0 of 1 pod`. */
export function countedAmong(count: number, all: number, noun: string): string {
  return `${count} of ${all} ${verb(all, noun, `${noun}s`)}`;
}

/** `a`, `a and b`, `a, b and c`; of a long list the first names and the number of the others. */
export function listed(names: readonly string[], most = 5): string {
  const shown = names.slice(0, most);
  const rest = names.length - shown.length;
  const parts = rest > 0 ? [...shown, `${rest} more`] : shown;
  if (parts.length <= 1) return parts.join('');
  return `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`;
}

/** Text of others for a sentence of ours: on one line, and cut to a readable length. */
export function quoted(text: string, most = 300): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= most ? line : `${cutText(line, most - 1)}…`;
}

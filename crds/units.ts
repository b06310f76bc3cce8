/**
 * The notations of the manifest beyond plain numbers: durations (Go style, or whole days) and Kubernetes quantities of
 * bytes and of cores. The parsers are total: a text in another notation returns undefined.
 */

export const DURATION_PATTERN = '^([0-9]{1,4}d|([0-9]{1,6}(h|m|s))+)$';
export const SIZE_PATTERN = '^[0-9]{1,12}(\\.[0-9]{1,3})?(Ki|Mi|Gi|Ti|k|M|G|T)?$';
/** The same pattern without 0, because a size of 0 is a mistake. */
export const POSITIVE_SIZE_PATTERN =
  '^([0-9]*[1-9][0-9]*(\\.[0-9]{1,3})?|0+\\.([1-9][0-9]{0,2}|0[1-9][0-9]?|00[1-9]))(Ki|Mi|Gi|Ti|k|M|G|T)?$';
export const CPU_PATTERN = '^([0-9]{1,9}m|[0-9]{1,6}(\\.[0-9]{1,3})?)$';

const SECONDS_PER_UNIT: Readonly<Record<string, number>> = { d: 86_400, h: 3_600, m: 60, s: 1 };
const BYTES_PER_UNIT: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** Seconds in `5d`, `90m`, `1h30m`. */
export function parseDuration(text: string): number | undefined {
  if (!new RegExp(DURATION_PATTERN).test(text)) return undefined;
  let seconds = 0;
  for (const [, count, unit] of text.matchAll(/([0-9]+)([dhms])/g)) {
    seconds += Number(count) * (SECONDS_PER_UNIT[unit ?? ''] ?? 0);
  }
  return seconds;
}

/**
 * Bytes in a Kubernetes quantity such as `25Mi`, `1.5Gi`, `1000000`. Fractions of a byte are rounded up. A number above
 * the largest safe integer becomes that integer.
 */
export function parseSize(text: string): number | undefined {
  const match = /^([0-9.]+)([A-Za-z]*)$/.exec(text);
  const isSize = [SIZE_PATTERN, POSITIVE_SIZE_PATTERN].some((pattern) => new RegExp(pattern).test(text));
  if (!match || !isSize) return undefined;
  const unit = BYTES_PER_UNIT[match[2] ?? ''];
  return unit === undefined
    ? undefined
    : Math.min(Math.ceil(Number(match[1]) * unit), Number.MAX_SAFE_INTEGER);
}

/** Thousandths of a core in `500m`, `2`, `1.5`. */
export function parseCpu(text: string): number | undefined {
  if (!new RegExp(CPU_PATTERN).test(text)) return undefined;
  return text.endsWith('m') ? Number(text.slice(0, -1)) : Math.round(Number(text) * 1000);
}

/** The duration in the notation of Go, as cert-manager writes it. A text that is no duration is returned unchanged. */
export function goDuration(text: string): string {
  const seconds = parseDuration(text);
  if (seconds === undefined) return text;
  return `${Math.floor(seconds / 3_600)}h${Math.floor((seconds % 3_600) / 60)}m${seconds % 60}s`;
}

/** The value of a text of a manifest. Throws only for one that was never validated. */
export function parsed<Value>(parse: (text: string) => Value | undefined, text: string): Value {
  const value = parse(text);
  if (value === undefined) throw new TypeError(`Cannot read "${text}": the manifest was not validated`);
  return value;
}

/**
 * What shapingmemory.ts writes, as JSON, with times of the wall clock. A beginning counts for the whole second in
 * which it was, and after a minute for the whole minute, so that many cost little and a limit is never exceeded. A time
 * after now was written before the clock was stepped back: it counts as now. What cannot be read is undefined. Pure.
 */
import { FAILURE_CAUSES, type Failure } from '#crds/failure.ts';
import { HOUR_MS, MINUTE_MS } from './paces.ts';
import type { BegunRow, Row } from './shapingnote.ts';
import { countHalvings, HALVINGS } from './slowdowns.ts';

const SECOND_MS = 1_000;
/** In one row: more than any limit of the spec lets begin in an hour, so it is damage. */
const MOST_BEGUN = 1_000_000;

export interface RowTimes {
  /** Of the monotonic clock. */
  readonly now: number;
  /** From the monotonic clock to the wall clock. */
  readonly offset: number;
}

export function isOver(row: Row, now: number): boolean {
  return row.kind === 'slow'
    ? countHalvings(row, now) === 0
    : (row.begun.at(-1) ?? Number.NEGATIVE_INFINITY) <= now - row.windowMs;
}

/** Undefined: there is nothing to keep. */
export function encodeRow(row: Row | undefined, { now, offset }: RowTimes): string | undefined {
  if (!row || isOver(row, now)) return undefined;
  if (row.kind === 'begun') return JSON.stringify({ ...row, begun: countBegun(row, { now, offset }) });
  return JSON.stringify({ ...row, at: row.at + offset, since: row.since + offset });
}

export function decodeRow(
  text: string,
  times: RowTimes,
): { readonly row: Row; readonly isFromFuture: boolean } | undefined {
  const json = parseJson(text);
  return json['kind'] === 'begun' ? decodeBegun(json, times) : decodeSlow(json, times);
}

/**
 * Destinations of one name that differ in their limits or their TLS are told apart only while a policy lasts. In each
 * second the larger number counts: a row that was made from another one has its beginnings too.
 */
export function mergeBegun(one: readonly number[] | undefined, other: readonly number[]): readonly number[] {
  if (!one) return other;
  const [ones, others] = [countTimes(one), countTimes(other)];
  const times = [...new Set([...ones.keys(), ...others.keys()])].toSorted((a, b) => a - b);
  return times.flatMap((at) => repeat(at, Math.max(ones.get(at) ?? 0, others.get(at) ?? 0)));
}

function countBegun({ begun, windowMs }: BegunRow, { now, offset }: RowTimes): [number, number][] {
  const ends = begun
    .filter((at) => at > now - windowMs)
    .map((at) => {
      const step = at > now - MINUTE_MS ? SECOND_MS : MINUTE_MS;
      return Math.ceil((at + offset) / step) * step;
    });
  return [...countTimes(ends)];
}

function countTimes(times: readonly number[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const at of times) counts.set(at, (counts.get(at) ?? 0) + 1);
  return counts;
}

function repeat(at: number, count: number): number[] {
  return Array.from({ length: count }, () => at);
}

type Json = Readonly<Record<string, unknown>>;

function decodeBegun({ name, windowMs, begun }: Json, { now, offset }: RowTimes) {
  if (typeof name !== 'string' || (windowMs !== MINUTE_MS && windowMs !== HOUR_MS)) return undefined;
  if (!Array.isArray(begun) || !begun.every(isCounted)) return undefined;
  if (begun.reduce((sum, [, count]) => sum + count, 0) > MOST_BEGUN) return undefined;
  const times = begun.flatMap(([end, count]) => repeat(Math.min(end - offset, now), count));
  const row: Row = { kind: 'begun', name, windowMs, begun: times.toSorted((a, b) => a - b) };
  // The second that has begun ends after now.
  return { row, isFromFuture: begun.some(([end]) => end - offset > now + SECOND_MS) };
}

function isCounted(value: unknown): value is [number, number] {
  if (!Array.isArray(value)) return false;
  const [end, count] = value as unknown[];
  return Number.isFinite(end) && Number.isInteger(count) && (count as number) > 0;
}

function decodeSlow(json: Json, { now, offset }: RowTimes) {
  const { kind, name, underWay, halvings, at, since, failure } = json;
  if (kind !== 'slow' || typeof name !== 'string' || !isFailure(failure)) return undefined;
  if (!isNumber(underWay) || !isNumber(halvings) || !isNumber(at) || !isNumber(since)) return undefined;
  const asked = Math.min(at - offset, now);
  const row: Row = {
    kind,
    name,
    failure,
    underWay: Math.max(1, underWay),
    halvings: Math.min(halvings, HALVINGS),
    at: asked,
    since: Math.min(since - offset, asked),
  };
  return { row, isFromFuture: at - offset > now + SECOND_MS };
}

function isNumber(value: unknown): value is number {
  return Number.isFinite(value);
}

function isFailure(value: unknown): value is Failure {
  const { cause, status, text } = (value ?? {}) as Json;
  const isCause = FAILURE_CAUSES.some((one) => one === cause);
  return isCause && typeof status === 'string' && typeof text === 'string';
}

function parseJson(text: string): Json {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null ? (json as Json) : {};
  } catch {
    return {};
  }
}

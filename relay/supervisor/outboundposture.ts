/**
 * How deliveries of the last seven days were protected, and which destinations a stricter level would make wait. All
 * collections are bounded. When one is full, the entry that was unseen longest is dropped, so a count of destinations is
 * a minimum. The data is saved as text and survives a restart. An unreadable text counts as empty.
 */
import { type OutboundPosture as Described, OUTBOUND_FACTS } from '#crds/outboundposture.ts';
import { STRICTER_LEVELS, type StricterLevel } from '#crds/tlslevel.ts';
import type { Counted, JudgedDestination } from '../task/messages.ts';

const HOUR_MS = 3_600_000;
const WEEK_MS = 7 * 24 * HOUR_MS;
/** Deliveries are counted by parts of a day, so that old ones can be forgotten. */
const PART_MS = 6 * HOUR_MS;
const DESTINATIONS = 1_000;
const LISTED = 10;
/** Labels have few values. The bound is for a saved text that is not ours. */
const KINDS = 500;
const COUNT = /^outbound\{(.*)\}$/;

interface Seen {
  readonly at: number;
  readonly judged: JudgedDestination['judged'];
}

interface Saved {
  /** By the beginning of the part of a day, then by the labels. */
  readonly parts: readonly [number, readonly [string, number][]][];
  readonly destinations: readonly [string, Seen][];
}

export class OutboundPosture {
  readonly #clock: () => number;
  readonly #parts: Map<number, Map<string, number>>;
  /** Oldest first. */
  readonly #destinations: Map<string, Seen>;
  #isNew = false;

  constructor(clock: () => number, text?: string) {
    this.#clock = clock;
    const { parts, destinations } = read(text);
    this.#parts = new Map(parts.map(([at, counts]) => [at, new Map(counts)]));
    this.#destinations = new Map(destinations);
  }

  add({ counts, judged = [] }: Counted): void {
    for (const [key, count] of Object.entries(counts)) {
      const [, labels] = COUNT.exec(key) ?? [];
      if (labels !== undefined) this.#count(labels, count);
    }
    for (const one of judged) this.#addVerdict(one);
  }

  /** All data as text, if it changed since the last call. */
  news(): string | undefined {
    if (!this.#isNew) return undefined;
    this.#isNew = false;
    this.#forget();
    const parts = [...this.#parts].map(([at, counts]) => [at, [...counts]]);
    return JSON.stringify({ parts, destinations: [...this.#destinations] });
  }

  describe(): Described {
    this.#forget();
    const all = sum([...this.#parts.values()]);
    const shares = OUTBOUND_FACTS.map((fact, index) => [fact, groupShares(all, index)] as const);
    return {
      deliveries: [...all.values()].reduce((total, count) => total + count, 0),
      ...(Object.fromEntries(shares) as Pick<Described, (typeof OUTBOUND_FACTS)[number]>),
      wouldWait: STRICTER_LEVELS.flatMap((level) => this.#wouldWait(level)),
    };
  }

  /** Nothing where the level was never judged. The status is described often, so one pass has to do. */
  #wouldWait(level: StricterLevel): Described['wouldWait'] {
    let isJudged = false;
    let destinations = 0;
    const latest: [string, Seen][] = [];
    for (const [destination, seen] of this.#destinations) {
      isJudged ||= seen.judged[level] !== undefined;
      if (!seen.judged[level]) continue;
      destinations += 1;
      latest.push([destination, seen]);
      if (latest.length > LISTED) latest.shift();
    }
    const list = latest.toReversed().flatMap(([destination, { at, judged }]) => {
      const failure = judged[level];
      return failure ? [{ destination, ...failure, lastSeen: wholeHour(at) }] : [];
    });
    return isJudged ? [{ level, destinations, list }] : [];
  }

  #count(labels: string, count: number): void {
    const now = this.#clock();
    const begin = now - (now % PART_MS);
    const part = this.#parts.get(begin) ?? new Map<string, number>();
    if (part.size >= KINDS && !part.has(labels)) return;
    part.set(labels, (part.get(labels) ?? 0) + count);
    this.#parts.set(begin, part);
    this.#isNew = true;
  }

  #addVerdict({ destination, judged }: JudgedDestination): void {
    this.#destinations.delete(destination);
    this.#destinations.set(destination, { at: this.#clock(), judged });
    if (this.#destinations.size > DESTINATIONS) this.#forgetOldest();
    this.#isNew = true;
  }

  #forget(): void {
    const from = this.#clock() - WEEK_MS;
    for (const begin of [...this.#parts.keys()]) if (begin + PART_MS <= from) this.#parts.delete(begin);
    for (const { at } of [...this.#destinations.values()]) {
      if (at > from) break;
      this.#forgetOldest();
    }
  }

  #forgetOldest(): void {
    const [oldest] = this.#destinations.keys();
    if (oldest !== undefined) this.#destinations.delete(oldest);
  }
}

function sum(parts: readonly ReadonlyMap<string, number>[]): Map<string, number> {
  const all = new Map<string, number>();
  for (const part of parts)
    for (const [labels, count] of part) all.set(labels, (all.get(labels) ?? 0) + count);
  return all;
}

/** The counts by one of the labels, the largest first. */
function groupShares(all: ReadonlyMap<string, number>, index: number): { value: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const [labels, count] of all) {
    const value = labels.split(',')[index] ?? '';
    counts.set(value, (counts.get(value) ?? 0) + count);
  }
  return [...counts]
    .map(([value, count]) => ({ value, count }))
    .toSorted((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1));
}

/** So that a busy destination does not change the status with every message. */
function wholeHour(at: number): string {
  return new Date(at - (at % HOUR_MS)).toISOString().replace(/\.\d+Z$/, 'Z');
}

function read(text: string | undefined): Saved {
  try {
    const { parts, destinations } = JSON.parse(text ?? '') as Partial<Saved>;
    return {
      parts: (parts ?? []).filter(([at, counts]) => typeof at === 'number' && counts.every(isCount)),
      destinations: (destinations ?? []).filter(
        ([name, { at, judged }]) =>
          typeof name === 'string' && typeof at === 'number' && judged !== null && typeof judged === 'object',
      ),
    };
  } catch {
    return { parts: [], destinations: [] };
  }
}

function isCount([labels, count]: readonly [string, number]): boolean {
  return typeof labels === 'string' && typeof count === 'number';
}

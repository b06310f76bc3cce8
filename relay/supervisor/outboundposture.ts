/**
 * How deliveries of the last seven days were protected, and which destinations a stricter level would make wait. Each
 * level keeps the destinations that would wait, and no others: traffic that needs nothing pushes none of them out. All
 * collections are bounded. When one is full, the entry that was unseen longest is dropped, so a count of destinations is
 * a minimum. A time after now was written before the clock was stepped back, and counts as now. The data is saved as text
 * and survives a restart. What cannot be read of it counts as nothing: the status of a relay must not wait for its end.
 */
import {
  type OutboundPosture as Described,
  MOST_DESTINATIONS,
  OUTBOUND_FACTS,
} from '#crds/outboundposture.ts';
import { STRICTER_LEVELS, type StricterLevel } from '#crds/tlslevel.ts';
import type { Counted, JudgedDestination } from '../task/messages.ts';

const HOUR_MS = 3_600_000;
const WEEK_MS = 7 * 24 * HOUR_MS;
/** Deliveries are counted by parts of a day, so that old ones can be forgotten. */
const PART_MS = 6 * HOUR_MS;
const LISTED = 10;
/** Labels have few values. The bound is for a saved text that is not ours. */
const KINDS = 500;
/** Of one kind in one part of a day, on the fastest machine. */
const MOST_COUNTED = 1_000_000_000;
const COUNT = /^outbound\{(.*)\}$/;

type Judged = JudgedDestination['judged'];

interface Waiting {
  readonly at: number;
  /** Many are judged within a millisecond. */
  readonly turn: number;
  readonly reason: NonNullable<Judged[StricterLevel]>;
}

/** What is known of one level. */
interface Level {
  /** When it was last judged, for any destination. */
  judgedAt: number;
  /** The destinations whose mail it would make wait, the oldest first. */
  readonly waiting: Map<string, Waiting>;
}

interface Saved {
  /** By the beginning of the part of a day, then by the labels. */
  readonly parts: readonly [number, readonly [string, number][]][];
  /** The oldest first. Earlier relays have also those that would wait nowhere. */
  readonly destinations: readonly [string, { readonly at: number; readonly judged: Judged }][];
  /** By level. Earlier relays have none. */
  readonly judgedAt: Readonly<Partial<Record<StricterLevel, number>>>;
}

export class OutboundPosture {
  readonly #clock: () => number;
  readonly #parts: Map<number, Map<string, number>>;
  readonly #levels: Readonly<Record<StricterLevel, Level>>;
  #turns = 0;
  #isNew = false;

  constructor(clock: () => number, text?: string) {
    this.#clock = clock;
    const { parts, destinations, judgedAt } = read(text);
    this.#parts = new Map(parts.map(([at, counts]) => [at, new Map(counts)]));
    const makeLevel = (level: StricterLevel): Level => ({
      judgedAt: judgedAt[level] ?? Number.NEGATIVE_INFINITY,
      waiting: new Map(),
    });
    this.#levels = { Encrypt: makeLevel('Encrypt'), Verify: makeLevel('Verify'), Dane: makeLevel('Dane') };
    for (const [destination, { at, judged }] of destinations) this.#judge(destination, judged, at);
  }

  add({ counts, judged = [] }: Counted): void {
    const now = this.#clock();
    for (const [key, count] of Object.entries(counts)) {
      const [, labels] = COUNT.exec(key) ?? [];
      if (labels === undefined) continue;
      this.#count(findBegin(now), labels, count);
      this.#isNew = true;
    }
    for (const one of judged) this.#judge(one.destination, one.judged, now);
    this.#isNew ||= judged.length > 0;
  }

  /** All data as text, if it changed since the last call. */
  news(): string | undefined {
    if (!this.#isNew) return undefined;
    this.#isNew = false;
    this.#forget();
    const judgedAt = STRICTER_LEVELS.map((level) => [level, this.#levels[level].judgedAt] as const);
    const saved: Saved = {
      parts: [...this.#parts].map(([at, counts]) => [at, [...counts]]),
      destinations: this.#listDestinations(),
      judgedAt: Object.fromEntries(judgedAt.filter(([, at]) => Number.isFinite(at))),
    };
    return JSON.stringify(saved);
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

  /** Nothing where the level was not judged. */
  #wouldWait(level: StricterLevel): Described['wouldWait'] {
    const { judgedAt, waiting } = this.#levels[level];
    if (judgedAt <= this.#clock() - WEEK_MS) return [];
    const latest = [...waiting].slice(-LISTED).toReversed();
    const list = latest.map(([destination, { at, reason }]) => ({
      destination,
      ...reason,
      lastSeen: wholeHour(at),
    }));
    return [{ level, destinations: waiting.size, list }];
  }

  #listDestinations(): Saved['destinations'] {
    const found = new Map<string, { at: number; turn: number; judged: Judged }>();
    for (const level of STRICTER_LEVELS)
      for (const [destination, { at, turn, reason }] of this.#levels[level].waiting) {
        const judged = { ...found.get(destination)?.judged, [level]: reason };
        found.set(destination, { at, turn, judged });
      }
    return [...found]
      .toSorted(([, one], [, other]) => one.turn - other.turn)
      .map(([destination, { at, judged }]) => [destination, { at, judged }]);
  }

  #count(begin: number, labels: string, count: number): void {
    const part = this.#parts.get(begin) ?? new Map<string, number>();
    if (part.size >= KINDS && !part.has(labels)) return;
    part.set(labels, (part.get(labels) ?? 0) + count);
    this.#parts.set(begin, part);
  }

  /** The last judgement of a destination counts. */
  #judge(destination: string, judged: Judged, at: number): void {
    const turn = this.#turns++;
    for (const name of STRICTER_LEVELS) {
      const level = this.#levels[name];
      const { waiting } = level;
      const reason = judged[name];
      waiting.delete(destination);
      if (reason === undefined) continue;
      level.judgedAt = Math.max(level.judgedAt, at);
      if (reason === null) continue;
      waiting.set(destination, { at, turn, reason });
      const [oldest] = waiting.size > MOST_DESTINATIONS ? waiting.keys() : [];
      if (oldest !== undefined) waiting.delete(oldest);
    }
  }

  #forget(): void {
    const now = this.#clock();
    for (const [begin, counts] of [...this.#parts]) {
      if (begin + PART_MS > now - WEEK_MS && begin <= now) continue;
      this.#parts.delete(begin);
      if (begin > now) for (const [labels, count] of counts) this.#count(findBegin(now), labels, count);
    }
    for (const level of Object.values(this.#levels)) {
      level.judgedAt = Math.min(level.judgedAt, now);
      for (const [destination, waiting] of level.waiting) {
        if (waiting.at > now) level.waiting.set(destination, { ...waiting, at: now });
        else if (waiting.at <= now - WEEK_MS) level.waiting.delete(destination);
      }
    }
  }
}

function findBegin(at: number): number {
  return at - (at % PART_MS);
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
    const { parts, destinations, judgedAt } = JSON.parse(text ?? '') as Partial<Saved>;
    const times = Object.entries(judgedAt ?? {}).filter(([, at]) => typeof at === 'number');
    return {
      parts: (parts ?? []).filter(([at, counts]) => typeof at === 'number' && counts.every(isCount)),
      destinations: (destinations ?? []).filter(
        ([name, { at, judged }]) =>
          typeof name === 'string' && typeof at === 'number' && Object.values(judged).every(isReason),
      ),
      judgedAt: Object.fromEntries(times),
    };
  } catch {
    return { parts: [], destinations: [], judgedAt: {} };
  }
}

function isCount([labels, count]: readonly [string, number]): boolean {
  return typeof labels === 'string' && Number.isInteger(count) && count >= 0 && count <= MOST_COUNTED;
}

function isReason(reason: unknown): boolean {
  return reason === null || typeof (reason as Waiting['reason']).message === 'string';
}

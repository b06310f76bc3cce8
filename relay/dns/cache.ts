/** Keeps answers for their TTL, within bounds. Failures are not kept. Has no clock of its own. */
import { dropOldest } from '../task/oldest.ts';
import type { DnsAnswer, RecordType } from './answer.ts';

/** The oldest ones go first. */
const ENTRIES = 5_000;
/** A changed record is seen after an hour at the latest, and a new one after five minutes. */
const LONGEST_SECONDS = 3_600;
const LONGEST_ABSENCE_SECONDS = 300;

interface Kept {
  /** The answer as a text, which takes a fourth of the memory: most names are asked for once. */
  readonly text: string;
  readonly until: number;
  /** The answer, after it was asked for again. */
  answer?: DnsAnswer<RecordType>;
}

export class AnswerCache {
  readonly #clock: () => number;
  readonly #kept = new Map<string, Kept>();

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  get(key: string): DnsAnswer<RecordType> | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    if (this.#clock() < kept.until) {
      kept.answer ??= JSON.parse(kept.text) as DnsAnswer<RecordType>;
      return kept.answer;
    }
    this.#kept.delete(key);
    return undefined;
  }

  /** Gives the answer, with the end of its time if it is kept. */
  keep(key: string, answer: DnsAnswer<RecordType>, ttlSeconds: number): DnsAnswer<RecordType> {
    if (answer.kind === 'failed') return answer;
    const longest = answer.kind === 'absent' ? LONGEST_ABSENCE_SECONDS : LONGEST_SECONDS;
    const seconds = Math.min(ttlSeconds, longest);
    // A number that is none, too, keeps nothing.
    if (!(seconds > 0)) return answer;
    const until = this.#clock() + seconds * 1000;
    const kept = { ...answer, until };
    this.#kept.delete(key);
    this.#kept.set(key, { text: JSON.stringify(kept), until });
    dropOldest(this.#kept, ENTRIES);
    return kept;
  }
}

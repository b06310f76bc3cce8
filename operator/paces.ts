/**
 * Paces the writes that the API server refuses or fails at, each object by itself: the pause after a refusal grows, and
 * until it is over the same write is not sent again, however often the relay is looked at. Another content, another live
 * object, or another generation of the MailRelay is tried at once; but what something takes away again has its pause whatever
 * becomes of the object, which such a webhook may change each time. A time is no content: what notes the present time is
 * the same write at each look. So an object that a webhook refuses costs a write a minute. What no attempt of a whole look
 * named is forgotten: the object is gone, or as wanted.
 */
import { hashContent } from '#crds/policyfile.ts';
import { isKubeError, KubeError } from './kube/errors.ts';

const FIRST_MS = 250;
const LAST_MS = 60_000;
/** In place of a hash: the pause is for every basis. */
const ANY = 'any';
/** The name of the step that reads an object, which has a pause of its own beside that of its write. */
export const nameReading = (object: string): string => `the reading of ${object}`;
const TIMES = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g;

interface Refusal {
  /** The hash of what the write was about. */
  readonly basis: string;
  readonly count: number;
  /** On the monotonic clock. */
  readonly until: number;
  readonly error: KubeError;
}

interface Answer {
  readonly basis: string;
  /** Undefined if there was no such object. */
  readonly found: unknown;
}

interface Refusals {
  readonly generation: number | undefined;
  /** The last answers to readings by name. */
  readonly answers: Map<string, Answer>;
  /** By what the write is, such as an object. */
  readonly known: Map<string, Refusal>;
}

/** The refused writes of one relay. */
export class Paces {
  readonly #known: Map<string, Refusal>;
  readonly #answers: Map<string, Answer>;
  readonly #named = new Set<string>();
  readonly #monotonic: () => number;

  constructor(
    known: Map<string, Refusal>,
    monotonic: () => number,
    answers: Map<string, Answer> = new Map(),
  ) {
    this.#known = known;
    this.#monotonic = monotonic;
    this.#answers = answers;
  }

  /** Makes the write. Throws the last refusal of the same write while its pause goes on. */
  async pace<T>(what: string, basis: unknown, write: () => Promise<T>): Promise<T> {
    const answer = await this.step(what, basis, write);
    this.#known.delete(what);
    this.#answers.delete(what);
    return answer;
  }

  /**
   * Reads an object that no watch shows. What was not there is not read again with the same basis. What was there is not read
   * again while its own pause goes on: nothing is written to it meanwhile. A reading that fails has its own pause.
   */
  async recall<T>(what: string, basis: unknown, read: () => Promise<T | undefined>): Promise<T | undefined> {
    const before = this.#answers.get(what);
    const isSame = before?.basis === hashBasis(basis);
    if (isSame && (before.found === undefined || this.#isPaused(what))) return before.found as T | undefined;
    this.#answers.delete(what);
    const found = await this.pace(nameReading(what), basis, read);
    this.#answers.set(what, { basis: hashBasis(basis), found });
    return found;
  }

  /** The object is known otherwise, and may be hidden later. */
  unlearn(what: string): void {
    this.#answers.delete(what);
  }

  #isPaused(what: string): boolean {
    return (this.#known.get(what)?.until ?? 0) > this.#monotonic();
  }

  /** The same for a step before the write, such as the read of the live object. Its success ends no pause. */
  async step<T>(what: string, basis: unknown, act: () => Promise<T>): Promise<T> {
    this.#named.add(what);
    const held = this.#held(what, basis);
    if (held) throw held;
    try {
      return await act();
    } catch (error) {
      if (isKubeError(error, 'undone')) this.#refused(what, ANY, error);
      if (isKubeError(error, 'forbidden', 'invalid', 'failed')) this.#refused(what, hashBasis(basis), error);
      throw error;
    }
  }

  /** Call it when the look has made all its attempts, but for `later`. */
  forgetOthers(later: string): void {
    for (const what of this.#known.keys())
      if (what !== later && !this.#named.has(what)) this.#known.delete(what);
    this.#named.clear();
  }

  /** The refusal, which asks for the rest of the pause. */
  #held(what: string, basis: unknown): KubeError | undefined {
    const refusal = this.#known.get(what);
    const pauseMs = (refusal?.until ?? 0) - this.#monotonic();
    if (!refusal || pauseMs <= 0) return undefined;
    if (refusal.basis !== ANY && refusal.basis !== hashBasis(basis)) return undefined;
    const { kind, message, status } = refusal.error;
    return new KubeError(kind, message, status, pauseMs / 1_000, refusal.error);
  }

  #refused(what: string, basis: string, error: KubeError): void {
    const before = this.#known.get(what);
    const count = before?.basis === basis ? before.count + 1 : 1;
    const pauseMs = Math.max(Math.min(FIRST_MS * 2 ** count, LAST_MS), (error.retryAfter ?? 0) * 1_000);
    this.#known.set(what, { basis, count, until: this.#monotonic() + pauseMs, error });
  }
}

const hashBasis = (basis: unknown) => hashContent(JSON.parse(JSON.stringify([basis]).replaceAll(TIMES, '')));

/** The refused writes of all relays. */
export class AllPaces {
  readonly #monotonic: () => number;
  readonly #relays = new Map<string, Refusals>();

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** Those of the relay with this key. What was refused of another generation is forgotten. */
  of(key: string, generation: number | undefined): Paces {
    const before = this.#relays.get(key);
    const isSame = before !== undefined && before.generation === generation;
    const refusals: Refusals = isSame ? before : { generation, known: new Map(), answers: new Map() };
    this.#relays.set(key, refusals);
    return new Paces(refusals.known, this.#monotonic, refusals.answers);
  }

  forget(key: string): void {
    this.#relays.delete(key);
  }

  /** The cause of all refusals may be over. */
  clear(): void {
    this.#relays.clear();
  }
}

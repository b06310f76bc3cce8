/**
 * Which wrong guesses a client and a user have had within ten minutes. Time alone forgets them, and no good login does. A
 * wrong guess that comes again counts once, so an application with an old password is one failure. A wrong token
 * counts as one too, at the user that it claims. A failed proof (SCRAM) cannot come again: of those at one user five count for
 * the client, whatever their number. So an application with an old password does not keep out its neighbours.
 *
 * A client that has had twenty, answered or on their way, is deaf: it is refused without a check. So is a client for a user at
 * whom it has had twenty. The users that it has logged in as within ten minutes are proven: for these the client is deaf only
 * by guesses at that very user. So of those behind one address, nobody keeps out another one who is known there, but by
 * guesses at that user. To a wrong guess at a proven user the client shows that it is deaf, so nobody learns who is proven. For
 * a user over all clients, wrong answers only get slower.
 *
 * Clients, users and guesses are names that have no blank. Memory is bounded: the oldest entries are dropped. The clock comes
 * from outside. Pure.
 */
import { dropOldest } from '../task/oldest.ts';
import { Recent } from '../task/recent.ts';
import { Counts } from './opencounts.ts';

const WINDOW_MS = 10 * 60_000;
const MOST_WRONG = 20;
/** Of a client, at one user. */
const PROOFS_COUNTED = 5;
/** Clients, users, users of clients, proven ones, and refused guesses: so many of each. Full, all take 65 MiB. */
const ENTRIES = 10_000;
/** Of a client or user. An eighth is dropped at once, which must leave it as many as make it deaf. */
const KEPT_GUESSES = 24;
const FIRST_MS = 500;
const LONGEST_MS = 10_000;

export interface Who {
  readonly client: string;
  readonly user: string;
}

/** `isDeaf`: the client has had too many before. It is told so in place of the wrong answer. */
interface Answer {
  readonly delayMs: number;
  readonly isDeaf: boolean;
}

export class LoginThrottle {
  readonly #ofClients: WrongGuesses;
  /** Of a client at a user. */
  readonly #ofPairs: WrongGuesses;
  readonly #ofUsers: WrongGuesses;
  readonly #proven: Recent;
  readonly #refused: Recent;
  /** Of clients, and of clients at a user. */
  readonly #underWay = new Counts();

  constructor(clock: () => number) {
    this.#ofClients = new WrongGuesses(clock);
    this.#ofPairs = new WrongGuesses(clock);
    this.#ofUsers = new WrongGuesses(clock);
    this.#proven = new Recent(clock, WINDOW_MS, ENTRIES);
    this.#refused = new Recent(clock, WINDOW_MS, ENTRIES);
  }

  /** It is refused without a check. */
  isDeaf(who: Who): boolean {
    return this.#most(who, () => 0) >= MOST_WRONG;
  }

  /** False: those on their way could turn out to be the last. */
  mayGuess(who: Who): boolean {
    return this.#most(who, (name) => this.#underWay.of(name)) < MOST_WRONG;
  }

  /** A guess is on its way, until the returned function is called. */
  begin(who: Who): () => void {
    const both = [who.client, namePair(who)];
    for (const name of both) this.#underWay.add(name, 1);
    return () => {
      for (const name of both) this.#underWay.add(name, -1);
    };
  }

  right(who: Who): void {
    this.#proven.add(namePair(who));
  }

  /** By the guesses before it. */
  wrong(who: Who, guess: string, isProof = false): Answer {
    const { client, user } = who;
    const ofClient = this.#ofClients.add(client, ...(isProof ? nameProofs(user) : [guess]));
    const ofPair = this.#ofPairs.add(namePair(who), guess);
    const ofUser = this.#ofUsers.add(user, guess);
    const before = Math.max(ofClient, ofPair, ofUser);
    const delayMs = before === 0 ? 0 : Math.min(LONGEST_MS, FIRST_MS * 2 ** (before - 1));
    return { delayMs, isDeaf: ofClient >= MOST_WRONG };
  }

  /** Whether the guess of this client was refused for what is still stored of the user. */
  wasRefused({ client }: Who, guess: string, stored: string): boolean {
    return this.#refused.has(`${client} ${guess} ${stored}`);
  }

  refused({ client }: Who, guess: string, stored: string): void {
    this.#refused.add(`${client} ${guess} ${stored}`);
  }

  /** Of the guesses that count for this client at this user, those on their way included. */
  #most(who: Who, underWay: (name: string) => number): number {
    const pair = namePair(who);
    const ofPair = this.#ofPairs.count(pair) + underWay(pair);
    if (this.#proven.has(pair)) return ofPair;
    return Math.max(ofPair, this.#ofClients.count(who.client) + underWay(who.client));
  }
}

/** All proofs of a user go by these names. */
function nameProofs(user: string): string[] {
  return Array.from({ length: PROOFS_COUNTED }, (_, n) => `${user} ${n}`);
}

function namePair({ client, user }: Who): string {
  return `${client} ${user}`;
}

class WrongGuesses {
  readonly #clock: () => number;
  readonly #guesses = new Map<string, Recent>();

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  count(name: string): number {
    return this.#guesses.get(name)?.size ?? 0;
  }

  /** Of several names of a guess it takes the place of the oldest one. Returns how many guesses there were before. */
  add(name: string, ...guesses: readonly string[]): number {
    const known = this.#guesses.get(name) ?? new Recent(this.#clock, WINDOW_MS, KEPT_GUESSES);
    const before = known.size;
    known.add(known.oldestOf(guesses) ?? '');
    this.#guesses.delete(name);
    this.#guesses.set(name, known);
    dropOldest(this.#guesses, ENTRIES);
    return before;
  }
}

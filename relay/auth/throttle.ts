/**
 * Which wrong guesses a client and a user have had within ten minutes. Time alone forgets them, and no good login does. A
 * wrong guess that comes again counts once, so an application with an old password is one failure. A wrong token
 * counts as one too, at the user that it claims.
 *
 * A client that has had twenty, answered or on their way, is deaf: it is refused without a check. The users that it has logged
 * in as within ten minutes are proven. Guesses at these count apart, twenty for each. So of those behind one address, nobody
 * keeps out another one who is known there, but by guesses at that very user. For a user over all clients, wrong answers only
 * get slower.
 *
 * Clients, users and guesses are names that have no blank. Memory is bounded: the oldest entries are dropped. The clock comes
 * from outside. Pure.
 */
import { dropOldest } from '../task/oldest.ts';
import { Counts, Recent } from './recent.ts';

const WINDOW_MS = 10 * 60_000;
const MOST_WRONG = 20;
/** Clients, users, proven users of clients, and refused guesses: so many of each. Full, all take 50 MiB. */
const ENTRIES = 10_000;
/** Of a client or user. An eighth is dropped at once, which must leave it as many as make it deaf. */
const KEPT_GUESSES = 24;
const FIRST_MS = 500;
const LONGEST_MS = 10_000;

export interface Who {
  readonly client: string;
  readonly user: string;
}

export class LoginThrottle {
  /** Of a client alone, and of a client and a proven user. */
  readonly #ofClients: WrongGuesses;
  readonly #ofUsers: WrongGuesses;
  readonly #proven: Recent;
  readonly #refused: Recent;
  readonly #underWay = new Counts();

  constructor(clock: () => number) {
    this.#ofClients = new WrongGuesses(clock);
    this.#ofUsers = new WrongGuesses(clock);
    this.#proven = new Recent(clock, WINDOW_MS, ENTRIES);
    this.#refused = new Recent(clock, WINDOW_MS, ENTRIES);
  }

  /** It is refused without a check. */
  isDeaf(who: Who): boolean {
    return this.#ofClients.count(this.#counted(who)) >= MOST_WRONG;
  }

  /** False: those on their way could turn out to be the last. */
  mayGuess(who: Who): boolean {
    const counted = this.#counted(who);
    return this.#ofClients.count(counted) + this.#underWay.of(counted) < MOST_WRONG;
  }

  /** A guess is on its way, until the returned function is called. */
  begin(who: Who): () => void {
    const counted = this.#counted(who);
    this.#underWay.add(counted, 1);
    return () => this.#underWay.add(counted, -1);
  }

  right({ client, user }: Who): void {
    this.#proven.add(`${client} ${user}`);
  }

  /** How long the answer waits, by the guesses before it. */
  wrong(who: Who, guess: string): number {
    const ofClient = this.#ofClients.add(this.#counted(who), guess);
    const ofUser = this.#ofUsers.add(who.user, guess);
    const before = Math.max(ofClient, ofUser);
    return before === 0 ? 0 : Math.min(LONGEST_MS, FIRST_MS * 2 ** (before - 1));
  }

  /** Whether the guess was refused for what is still stored of the user. */
  wasRefused(guess: string, stored: string): boolean {
    return this.#refused.has(`${guess} ${stored}`);
  }

  refused(guess: string, stored: string): void {
    this.#refused.add(`${guess} ${stored}`);
  }

  #counted({ client, user }: Who): string {
    const pair = `${client} ${user}`;
    return this.#proven.has(pair) ? pair : client;
  }
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

  /** Returns how many there were before. */
  add(name: string, guess: string): number {
    const known = this.#guesses.get(name) ?? new Recent(this.#clock, WINDOW_MS, KEPT_GUESSES);
    const before = known.size;
    known.add(guess);
    this.#guesses.delete(name);
    this.#guesses.set(name, known);
    dropOldest(this.#guesses, ENTRIES);
    return before;
  }
}

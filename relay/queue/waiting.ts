/**
 * Waiting deliveries. Due ones are sorted by arrival, deferred ones by the time when they become due, with the reason. Where
 * both may go they take turns: deferred ones that come back faster than a limit lets them go would keep all new mail back.
 * Each id is stored once, and each one needs little memory. This file has no clock of its own.
 */
import type { Failure } from '#crds/failure.ts';
import { compareDue, DueHeap } from './dueheap.ts';
import { IdTable } from './idtable.ts';
import type { Share } from './slots.ts';

export interface Waiting {
  readonly id: string;
  readonly share: Share;
  /** The message may be tried from this time on. */
  readonly due: number;
  /** The destination gave it no session, so an answer of the destination ends its wait. */
  readonly isAway?: boolean;
  /** An earlier process has tried it. */
  readonly wasTried?: boolean;
  /** Why it was last deferred, if that was since this process began. */
  readonly failure?: Failure;
  /** The results of the present round for its recipients. */
  readonly round?: Round;
}

/** What is to be tried now: these ids, or what the answer is true for. */
export type Wanted = ReadonlySet<string> | ((id: string, failure?: Failure) => boolean);

/**
 * The order of recipients where next hops end a session after so many refusals: without it the others would never have their
 * turn.
 */
export interface Order {
  /** They were refused once. They go after the others. */
  readonly late?: readonly string[];
  /** They were refused again. They go after all. */
  readonly last?: readonly string[];
}

export interface Round extends Order {
  /** Deferred recipients. The other recipients go first. */
  readonly deferred: readonly string[];
  /** The reason. */
  readonly failure?: Failure;
  /** Recipients that were refused because of the others. Each goes in a transaction of its own. */
  readonly alone: readonly string[];
  /** The hop accepts so many recipients in a transaction. Absent: nobody knows of a limit. */
  readonly atOnce?: number | undefined;
}

/** Up to this number a search needs no index and no table. */
const FEW = 8;
/** An empty list that is never changed. */
const NONE: Waiting[] = [];

export class WaitingMessages {
  readonly #share: Share;
  /** What a person wants tried now, the next one last. */
  #hurried = NONE;
  #later: DueHeap<Waiting> | undefined;
  /** Those two by id, if they are more than a few. */
  #byId: Map<string, Waiting> | undefined;
  /** The due deliveries, with the time since when they are due. */
  #ready: IdTable | undefined;
  /** One that was put off was taken last. */
  #isReadysTurn = false;
  /** False: none waits only for the destination. It saves a look at all that wait for each answer. */
  #mayBeAway = false;

  constructor(share: Share) {
    this.#share = share;
  }

  get size(): number {
    return (this.#ready?.size ?? 0) + this.#others;
  }

  /** The waiting delivery, if it is the only one. */
  get only(): Waiting | undefined {
    if (this.size !== 1) return undefined;
    const id = this.#ready?.next();
    return id === undefined ? (this.#hurried[0] ?? this.#later?.first) : this.get(id);
  }

  /** Adds a delivery. A second call with the same id changes nothing. */
  add(waiting: Waiting, now: number): void {
    const { id, due } = waiting;
    if (this.has(id)) return;
    const isReady = !isPutOff(waiting) && due <= now;
    if (isReady && (this.#hasReady || this.#others >= FEW)) this.#addReady(id, due);
    else this.#insert(waiting);
  }

  has(id: string): boolean {
    return this.#find(id) !== undefined || this.#ready?.has(id) === true;
  }

  /** Takes the next delivery that is due at `now`. Undefined if there is none. */
  next(now: number): Waiting | undefined {
    const first = this.#hurried.at(-1) ?? this.#later?.first;
    const isFirsts = first !== undefined && first.due <= now && !(this.#isReadysTurn && this.#hasReady);
    // Only what was put off costs a turn: a new one here is older than the others, and a hurried one goes before them.
    this.#isReadysTurn = isFirsts && first.due > 0 && isPutOff(first);
    return isFirsts ? this.#takeFirst(first) : this.#nextReady(now);
  }

  /** When the next delivery is due: `now` if one is due already, undefined if none waits. */
  nextDue(now: number): number | undefined {
    if (this.#hasReady || this.#hurried.length > 0) return now;
    return this.#later?.first && Math.max(this.#later.first.due, now);
  }

  /** The waiting delivery with this id. */
  get(id: string): Waiting | undefined {
    const due = this.#ready?.get(id);
    return due === undefined ? this.#find(id) : { id, due, share: this.#share };
  }

  /**
   * Makes what is wanted due now, before all others. True if any of it waits here. `reason`: why the destination takes
   * nothing, for which what was not tried itself waits.
   */
  hurry(wanted: Wanted, reason?: Failure): boolean {
    const isWanted = ({ id, failure = reason }: Pick<Waiting, 'id' | 'failure'>) =>
      typeof wanted === 'function' ? wanted(id, failure) : wanted.has(id);
    const ready = this.#findReady(wanted, isWanted);
    const hurried = [
      ...this.#hurried.filter(isWanted).toReversed(),
      ...this.#laterOnes.filter(isWanted).toSorted(compareDue),
    ];
    if (hurried.length + ready.length === 0) return false;
    // Where all new ones are wanted they stay where they are.
    const areAll = ready.length === (this.#ready?.size ?? 0);
    this.#isReadysTurn = areAll && hurried.length === 0;
    const first = [
      ...hurried.map((waiting) => ({ ...waiting, due: 0 })),
      ...(areAll ? [] : this.#pickReady(ready)),
    ];
    const isLeft = (waiting: Waiting) => !isWanted(waiting);
    this.#hurried = [...this.#hurried.filter(isLeft), ...first.toReversed()];
    if (hurried.length > 0) this.#setLater(this.#laterOnes.filter(isLeft));
    this.#index(first);
    return true;
  }

  /** The destination answers: what waits for that alone is due at `at`. */
  reached(at: number): void {
    if (!this.#mayBeAway) return;
    this.#mayBeAway = false;
    const reached = this.#laterOnes
      .filter(({ isAway }) => isAway)
      .map(({ isAway: _, ...waiting }) => ({ ...waiting, due: Math.min(waiting.due, at) }));
    if (reached.length === 0) return;
    this.#setLater([...this.#laterOnes.filter(({ isAway }) => !isAway), ...reached]);
    this.#index(reached);
  }

  get #hasReady(): boolean {
    return this.#ready !== undefined && this.#ready.size > 0;
  }

  /** The number of those that are not in the table. */
  get #others(): number {
    return this.#hurried.length + (this.#later?.size ?? 0);
  }

  get #laterOnes(): readonly Waiting[] {
    return this.#later?.entries ?? NONE;
  }

  #addReady(id: string, since: number): void {
    this.#ready ??= new IdTable();
    this.#ready.set(id, since);
  }

  #find(id: string): Waiting | undefined {
    if (this.#byId) return this.#byId.get(id);
    const isIt = (waiting: Waiting) => waiting.id === id;
    return this.#hurried.find(isIt) ?? this.#laterOnes.find(isIt);
  }

  #insert(waiting: Waiting): void {
    this.#mayBeAway ||= waiting.isAway === true;
    // A growing array reserves room for sixteen more items, so the first one gets an array of its own.
    if (this.#later) this.#later.add(waiting);
    else this.#setLater([waiting]);
    this.#index([waiting]);
  }

  #setLater(waiting: Waiting[]): void {
    this.#later = waiting.length > 0 ? new DueHeap(waiting) : undefined;
  }

  /** These are new, or changed. */
  #index(changed: readonly Waiting[]): void {
    if (this.#byId) for (const one of changed) this.#byId.set(one.id, one);
    else if (this.#others > FEW)
      this.#byId = new Map([...this.#hurried, ...this.#laterOnes].map((one) => [one.id, one]));
  }

  /** The new ones that are wanted, oldest first. */
  #findReady(wanted: Wanted, isWanted: (waiting: Pick<Waiting, 'id'>) => boolean): string[] {
    const table = this.#ready;
    if (!table) return [];
    // A person may want few of very many.
    if (typeof wanted !== 'function' && wanted.size < table.size)
      return [...wanted].filter((id) => table.has(id)).toSorted();
    return [...table.ids().filter((id) => isWanted({ id }))];
  }

  /** Takes some of the new ones out of the table. */
  #pickReady(ids: readonly string[]): Waiting[] {
    for (const id of ids) this.#ready?.take(id);
    return ids.map((id) => ({ id, share: this.#share, due: 0 }));
  }

  #takeFirst(first: Waiting): Waiting {
    if (this.#hurried.length > 0) this.#hurried.pop();
    else this.#later?.takeFirst();
    this.#byId?.delete(first.id);
    if (this.#others === 0) {
      this.#hurried = NONE;
      this.#later = undefined;
      this.#byId = undefined;
    }
    return first;
  }

  #nextReady(now: number): Waiting | undefined {
    const id = this.#ready?.next();
    if (id === undefined) return undefined;
    return { id, due: this.#ready?.take(id) ?? now, share: this.#share };
  }
}

function isPutOff({ failure, round, wasTried = false }: Waiting): boolean {
  return wasTried || failure !== undefined || round !== undefined;
}

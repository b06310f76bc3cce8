/**
 * A queue of keys. Each key waits at most once, and two workers never work on the same key. A key that is added while a
 * worker has it is worked on again afterwards. Keys with a change go before routine looks, such as a start or a retry.
 * After each failure a key waits longer, with jitter, and at least as long as the server asked. A change begins these
 * pauses anew: of many changes in a row each work may fail, and the last failure must not wait for minutes. A caller can
 * also ask for a time. No namespace keeps the workers from others: the namespace with the fewest workers goes first, and none
 * gets more than half of them. A key that is added without end is worked on at a pace. Work that keeps the process busy
 * for long makes all others wait, so a namespace with such work gets one worker, and then a part of the time. Work
 * for which the API server needs long holds a worker for long: its namespace gets one worker, and all such namespaces together
 * leave one to the others.
 */
import { Allowance } from './allowance.ts';
import { isKubeError } from './errors.ts';
import { readNamespace, WaitingKeys } from './waitingkeys.ts';

const RETRY_FIRST_MS = 20;
const RETRY_LAST_MS = 120_000;
/** How often a key is worked on. */
const RUNS = { perSecond: 4, burst: 20 };
/** For how many milliseconds a namespace may keep the process busy. */
const BUSY_MS = { perSecond: 200, burst: 500 };
/** For how many milliseconds the API server may answer a namespace that has several workers. */
const ANSWER_MS = { perSecond: 500, burst: 10_000 };
/** These milliseconds of each work cost nothing. Work is usually shorter. */
const FREE_MS = 20;
/** A timer with more ends at once. A key whose time is later is looked at once in between. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** `fresh`: an object of the key changed. `routine`: the key is looked at again without a change. */
export type Priority = 'fresh' | 'routine';

/** `queuedMs` is how long the key has waited. */
export type Work = (key: string, queuedMs: number) => Promise<void>;

/** What a piece of work cost, in milliseconds: CPU time of this process, and waits for the API server. */
export interface Cost {
  readonly busyMs: number;
  readonly waitedMs: number;
}

/** A key that is added later. `at` is on the monotonic clock. */
interface Alarm {
  readonly at: number;
  readonly timer: NodeJS.Timeout;
  priority: Priority;
}

const fresher = (one: Priority, other: Priority): Priority => (one === 'fresh' ? one : other);

export class WorkQueue {
  readonly #work: Work;
  readonly #workers: number;
  readonly #random: () => number;
  readonly #waiting: Readonly<Record<Priority, WaitingKeys>> = {
    fresh: new WaitingKeys(),
    routine: new WaitingKeys(),
  };
  readonly #active = new Set<string>();
  /** The number of active keys of each namespace. */
  readonly #shares = new Map<string, number>();
  /** By key. */
  readonly #runs = new Allowance(RUNS);
  /** By namespace. */
  readonly #busy = new Allowance(BUSY_MS);
  /** By namespace. */
  readonly #answered = new Allowance(ANSWER_MS);
  readonly #again = new Map<string, Priority>();
  readonly #timers = new Map<string, Alarm>();
  readonly #failures = new Map<string, number>();
  #stopped = false;

  constructor(work: Work, workers: number, random: () => number) {
    this.#work = work;
    this.#workers = workers;
    this.#random = random;
  }

  get depth(): number {
    return this.#waiting.fresh.size + this.#waiting.routine.size;
  }

  /** How long the first key has waited, in milliseconds; 0 if no key waits. */
  get oldestMs(): number {
    const now = performance.now();
    return now - Math.min(...Object.values(this.#waiting).map(({ oldest = now }) => oldest));
  }

  add(key: string, priority: Priority = 'fresh'): void {
    if (this.#stopped) return;
    // The cause of the failures may have gone with the change.
    if (priority === 'fresh') this.#failures.delete(key);
    if (this.#active.has(key)) this.#again.set(key, fresher(this.#again.get(key) ?? priority, priority));
    else if (this.#pauseMs(key) > 0) this.#after(key, this.#pauseMs(key), priority);
    else this.#wait(key, priority);
    this.#pump();
  }

  charge(key: string, { busyMs, waitedMs }: Cost): void {
    const [namespace, now] = [readNamespace(key), performance.now()];
    if (busyMs > FREE_MS) this.#busy.spend(namespace, busyMs - FREE_MS, now);
    this.#answered.spend(namespace, waitedMs, now);
  }

  /** Adds the key after `ms` milliseconds, unless an earlier time is already set. */
  addAfter(key: string, ms: number): void {
    this.#after(key, ms, 'routine');
  }

  /** A key has one timer, with the earliest time and the highest priority that were asked for. */
  #after(key: string, ms: number, priority: Priority): void {
    if (this.#stopped) return;
    const at = performance.now() + ms;
    const wished = this.#timers.get(key);
    const highest = fresher(priority, wished?.priority ?? priority);
    if (wished && wished.at <= at) {
      wished.priority = highest;
      return;
    }
    clearTimeout(wished?.timer);
    const ring = () => {
      const due = this.#timers.get(key);
      this.#timers.delete(key);
      this.add(key, due?.priority ?? priority);
    };
    const timer = setTimeout(ring, Math.min(ms, LONGEST_TIMER_MS));
    this.#timers.set(key, { at, timer, priority: highest });
  }

  /** Takes all failed keys again now, because the cause of their failures is over. */
  retryNow(): void {
    const failed = [...this.#failures.keys()];
    this.#failures.clear();
    for (const key of failed) this.add(key, 'routine');
  }

  /** Takes no more keys. Resolves when the running work has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const keys of Object.values(this.#waiting)) keys.clear();
    for (const { timer } of this.#timers.values()) clearTimeout(timer);
    while (this.#active.size > 0) await new Promise((tick) => setTimeout(tick, 10));
  }

  #wait(key: string, priority: Priority): void {
    const { fresh, routine } = this.#waiting;
    if (fresh.has(key)) return;
    if (priority === 'fresh') routine.take(key);
    this.#waiting[priority].add(key, performance.now());
  }

  #pump(): void {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const { key, priority } = next;
      const since = this.#waiting[priority].take(key) ?? 0;
      const pauseMs = this.#pauseMs(key);
      if (pauseMs > 0) this.#after(key, pauseMs, priority);
      else void this.#run(key, performance.now() - since);
    }
  }

  #pauseMs(key: string): number {
    const now = performance.now();
    return Math.max(this.#runs.pauseMs(key, now), this.#busy.pauseMs(readNamespace(key), now));
  }

  /** The most workers that a namespace gets. */
  #mostWorkers(namespace: string): number {
    const now = performance.now();
    if (this.#isSlow(namespace, now)) return this.#countSlow(now) < Math.max(1, this.#workers - 1) ? 1 : 0;
    return this.#busy.isWhole(namespace, now) ? Math.ceil(this.#workers / 2) : 1;
  }

  /** True for a namespace for which the API server works long, as where a webhook is slow. */
  #isSlow(namespace: string, now: number): boolean {
    return this.#answered.pauseMs(namespace, now) > 0;
  }

  /** The workers that such namespaces have. */
  #countSlow(now: number): number {
    const shares = [...this.#shares].filter(([namespace]) => this.#isSlow(namespace, now));
    return shares.reduce((sum, [, share]) => sum + share, 0);
  }

  /** The next key: fresh before routine, then of the namespace with the fewest workers, then of that whose turn it is. */
  #next(): { key: string; priority: Priority } | undefined {
    if (this.#active.size >= this.#workers) return undefined;
    for (const priority of ['fresh', 'routine'] as const) {
      let [next, fewest] = [undefined as string | undefined, this.#workers];
      for (const [namespace, key] of this.#waiting[priority].firsts()) {
        const share = this.#shares.get(namespace) ?? 0;
        if (share < Math.min(fewest, this.#mostWorkers(namespace))) [next, fewest] = [key, share];
        if (fewest === 0) break;
      }
      if (next !== undefined) return { key: next, priority };
    }
    return undefined;
  }

  /** Takes a worker for the key (1), or gives it back (-1). */
  #share(key: string, change: 1 | -1): void {
    const namespace = readNamespace(key);
    const share = (this.#shares.get(namespace) ?? 0) + change;
    if (share === 0) this.#shares.delete(namespace);
    else this.#shares.set(namespace, share);
    if (change === 1) this.#active.add(key);
    else this.#active.delete(key);
  }

  async #run(key: string, queuedMs: number): Promise<void> {
    this.#share(key, 1);
    this.#runs.spend(key, 1, performance.now());
    try {
      await this.#work(key, queuedMs);
      this.#failures.delete(key);
    } catch (error) {
      // The work has already reported its failure. The queue only tries the key again later.
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      const pause = Math.min(RETRY_FIRST_MS * 2 ** failures, RETRY_LAST_MS) * (0.5 + this.#random());
      const asked = isKubeError(error) ? (error.retryAfter ?? 0) * 1000 : 0;
      this.addAfter(key, Math.max(pause, asked));
    }
    this.#share(key, -1);
    const again = this.#again.get(key);
    this.#again.delete(key);
    if (again) this.add(key, again);
    this.#pump();
  }
}

/**
 * Keys that wait to be worked on: each at most once, never two workers on one key, a key that changes while it is
 * worked on is taken again afterwards. Failures wait longer each time, with jitter; a time can be asked for.
 */
const RETRY_FIRST_MS = 20;
const RETRY_LAST_MS = 120_000;

export type Work = (key: string) => Promise<void>;

export class WorkQueue {
  readonly #work: Work;
  readonly #workers: number;
  readonly #random: () => number;
  readonly #waiting = new Set<string>();
  readonly #active = new Set<string>();
  readonly #again = new Set<string>();
  readonly #timers = new Map<string, { timer: NodeJS.Timeout; at: number }>();
  readonly #failures = new Map<string, number>();
  #stopped = false;

  constructor(work: Work, workers: number, random: () => number) {
    this.#work = work;
    this.#workers = workers;
    this.#random = random;
  }

  get depth(): number {
    return this.#waiting.size;
  }

  add(key: string): void {
    if (this.#stopped) return;
    if (this.#active.has(key)) this.#again.add(key);
    else this.#waiting.add(key);
    this.#pump();
  }

  /** At the latest after `ms`; an earlier wish stays. */
  addAfter(key: string, ms: number): void {
    const at = Date.now() + ms;
    const wished = this.#timers.get(key);
    if (this.#stopped || (wished && wished.at <= at)) return;
    clearTimeout(wished?.timer);
    const timer = setTimeout(() => {
      this.#timers.delete(key);
      this.add(key);
    }, ms);
    this.#timers.set(key, { timer, at });
  }

  /** Takes nothing more; resolves when what is under way has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#waiting.clear();
    for (const { timer } of this.#timers.values()) clearTimeout(timer);
    while (this.#active.size > 0) await new Promise((tick) => setTimeout(tick, 10));
  }

  #pump(): void {
    for (const key of this.#waiting) {
      if (this.#active.size >= this.#workers) return;
      this.#waiting.delete(key);
      this.#active.add(key);
      void this.#run(key);
    }
  }

  async #run(key: string): Promise<void> {
    try {
      await this.#work(key);
      this.#failures.delete(key);
    } catch {
      // The worker has reported it; here it only means "again, later".
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      this.addAfter(key, Math.min(RETRY_FIRST_MS * 2 ** failures, RETRY_LAST_MS) * (0.5 + this.#random()));
    }
    this.#active.delete(key);
    if (this.#again.delete(key)) this.add(key);
    this.#pump();
  }
}

/**
 * Decides when a new status revision is published: at once for facts, at most once a minute for figures that change
 * with the traffic. Holds the long polls that wait for the next revision.
 */
import { randomBytes } from 'node:crypto';
import type { PodStatus } from '#crds/podstatus.ts';

const FIGURES_EVERY_MS = 60_000;

export class Revisions {
  /** Unique across restarts, so a poller never mistakes a new process for the old one. */
  readonly #instance = randomBytes(6).toString('hex');
  readonly #clock: () => number;
  #count = 0;
  #facts = '';
  #figures = '';
  #figuresAt = Number.NEGATIVE_INFINITY;
  #waiting: (() => void)[] = [];

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  get current(): string {
    return `${this.#instance}.${this.#count}`;
  }

  /** Compares with the status of the last revision. Wakes the pollers if there is a change to publish. */
  consider(status: Omit<PodStatus, 'revision'>): void {
    const { sessions, queue, outbound, ...rest } = status;
    const facts = JSON.stringify([rest, sessions.ofOldPolicy > 0]);
    const figures = JSON.stringify([sessions, queue, outbound]);
    const due = this.#clock() - this.#figuresAt >= FIGURES_EVERY_MS;
    if (facts === this.#facts && (figures === this.#figures || !due)) return;
    this.#facts = facts;
    this.#figures = figures;
    this.#figuresAt = this.#clock();
    this.#count += 1;
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Resolves when the revision differs from `since`, or after `waitMs`. */
  async differsFrom(since: string, waitMs: number): Promise<void> {
    if (since !== this.current) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(wake, waitMs);
      // A waiting poller must not keep a stopped relay alive.
      timer.unref();
      const waiting = this.#waiting;
      function wake() {
        clearTimeout(timer);
        resolve();
      }
      waiting.push(wake);
    });
  }
}

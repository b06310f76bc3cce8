/**
 * The router process, and its replacement: the next one comes up beside it, the old one lets go of the queue, and only
 * then the next begins, so that no message is in two hands. A router that dies is replaced; the queue is on disk.
 */
import type { Policy } from '#crds/policyfile.ts';
import type { FromRouter, ToRouter } from '../messages.ts';
import { Task } from './task.ts';

const SCRIPT = new URL('../router/main.ts', import.meta.url);
const RESTART_FIRST_MS = 200;
const RESTART_LAST_MS = 30_000;
const DRAIN_MS = 30_000;

export interface RouterOptions {
  readonly stateDir: string;
  readonly logFd: number;
  readonly hear: (process: string, message: FromRouter) => void;
  readonly onStart: () => void;
  readonly onCrash: () => void;
}

interface Running {
  readonly task: Task<ToRouter, FromRouter>;
  readonly policy: Policy;
  trust: string | null;
  told: boolean;
}

let processCount = 0;

export class RouterTask {
  readonly #options: RouterOptions;
  #running: Running | undefined;
  #failures = 0;
  #stopped = false;

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  get ready(): boolean {
    return this.#running?.task.alive ?? false;
  }

  /** Rejects when the new router does not come up; the old one goes on then. */
  async replace(policy: Policy, trust: string | null): Promise<void> {
    const next = await this.#bringUp(policy, trust);
    const old = this.#running;
    this.#running = next;
    if (old) await this.#letGo(old);
    next.task.send({ kind: 'start' });
    this.#options.onStart();
  }

  useTrust(trust: string | null): void {
    if (!this.#running || this.#running.trust === trust) return;
    this.#running.trust = trust;
    this.#running.task.send({ kind: 'trust', trust });
  }

  entered(ids: string[]): void {
    this.#running?.task.send({ kind: 'entered', ids });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#running) await this.#letGo(this.#running);
  }

  async #bringUp(policy: Policy, trust: string | null): Promise<Running> {
    const process = `router-${++processCount}`;
    const task: Task<ToRouter, FromRouter> = new Task<ToRouter, FromRouter>(
      SCRIPT,
      this.#options.logFd,
      (message) => this.#options.hear(process, message),
      () => this.#ended(task),
    );
    const { stateDir, logFd } = this.#options;
    await task.configure({ kind: 'configure', policy, trust, stateDir, logFd });
    return { task, policy, trust, told: false };
  }

  async #letGo(old: Running): Promise<void> {
    old.told = true;
    old.task.send({ kind: 'drain', deadlineMs: DRAIN_MS });
    // A delivery that hangs beyond the deadline is cut: its message is still in the queue.
    const cut = setTimeout(() => old.task.kill(), DRAIN_MS + 5_000);
    await old.task.ended;
    clearTimeout(cut);
  }

  #ended(task: Task<ToRouter, FromRouter>): void {
    const dead = this.#running;
    if (dead?.task !== task || dead.told || this.#stopped) return;
    this.#options.onCrash();
    this.#revive(dead);
  }

  #revive(dead: Running): void {
    const pause = Math.min(RESTART_FIRST_MS * 2 ** this.#failures, RESTART_LAST_MS);
    this.#failures += 1;
    setTimeout(async () => {
      if (this.#stopped || this.#running !== dead) return;
      try {
        const next = await this.#bringUp(dead.policy, dead.trust);
        if (this.#stopped || this.#running !== dead) {
          next.task.kill();
          return;
        }
        this.#running = next;
        next.task.send({ kind: 'start' });
        this.#options.onStart();
        setTimeout(() => {
          this.#failures = 0;
        }, RESTART_LAST_MS).unref();
      } catch {
        this.#revive(dead);
      }
    }, pause);
  }
}

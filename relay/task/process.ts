/**
 * One task process: forked with the pinned Node, configured, ready or failed, drained, gone. It ends when its channel
 * to the supervisor does. Sending to a process that is gone is not an error: its exit is told once, by `exited`.
 */
import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';

export type Raised = { kind: 'ready' } | { kind: 'failed'; message: string };

/** What every task says; the rest is the business of its owner. */
type Said = { kind: string; message?: string };

const READY_WITHIN_MS = 30_000;
const AFTER_DEADLINE_MS = 10_000;
/**
 * In MiB. V8 lets twice its nursery of dead buffers lie: by its default a 100 MiB message leaves 90 MiB behind at its
 * peak, so 45 MiB, for 1 to 2 % more CPU time per message.
 */
const SMALL_NURSERY = '--max-semi-space-size=2';
/** Half of these look names up, and one that nobody answers for keeps its thread for ten seconds or more. */
const THREADS = '16';

export class TaskProcess<To extends { kind: string }, From extends Said> {
  readonly #child: ChildProcess;
  readonly #raised = Promise.withResolvers<Raised>();
  readonly exited: Promise<void>;
  #killTimer: NodeJS.Timeout | undefined;

  /** `logFd` becomes the standard output of the task, where it writes its log; `flags` are for its V8. */
  constructor(
    entry: string,
    logFd: number,
    onMessage: (message: From) => void,
    flags: readonly string[] = [],
  ) {
    // No flags of this process (a test runner's, a debugger's) may reach a task.
    this.#child = fork(entry, {
      execArgv: [SMALL_NURSERY, ...flags],
      env: { ...process.env, UV_THREADPOOL_SIZE: THREADS },
      stdio: ['ignore', logFd, 'inherit', 'ipc'],
    });
    this.#child.on('message', (message) => this.#heard(message as From, onMessage));
    this.#child.on('error', (error) => this.#raised.resolve({ kind: 'failed', message: error.message }));
    this.exited = new Promise((resolve) => this.#child.once('exit', () => resolve()));
    this.exited.then(() => {
      clearTimeout(this.#killTimer);
      this.#raised.resolve({ kind: 'failed', message: 'the process ended before it was ready' });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Resolves when the process says ready, fails, ends, or takes too long (and is then ended). */
  async raise(configure: To): Promise<Raised> {
    this.send(configure);
    const timer = setTimeout(() => {
      this.#raised.resolve({ kind: 'failed', message: `not ready within ${READY_WITHIN_MS / 1000} s` });
    }, READY_WITHIN_MS);
    const raised = await this.#raised.promise;
    clearTimeout(timer);
    if (raised.kind === 'failed') this.kill();
    return raised;
  }

  send(message: To, socket?: Socket): void {
    if (!this.#child.connected) {
      socket?.destroy();
      return;
    }
    this.#child.send(message, socket, (error) => {
      if (error) socket?.destroy();
    });
  }

  /** Asks the process to end by itself, and ends it when it does not. */
  drain(message: To, deadlineMs: number): void {
    this.send(message);
    clearTimeout(this.#killTimer);
    this.#killTimer = setTimeout(() => this.kill(), deadlineMs + AFTER_DEADLINE_MS);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #heard(message: From, onMessage: (message: From) => void): void {
    if (message.kind === 'ready') this.#raised.resolve({ kind: 'ready' });
    else if (message.kind === 'failed')
      this.#raised.resolve({ kind: 'failed', message: message.message ?? '' });
    else onMessage(message);
  }
}

/**
 * One task process: forked with the pinned Node, configured, ready or failed, watched, drained, gone. It ends when its
 * channel to the supervisor does. Sending to a process that is gone is not an error: its end is told once, by `exited`.
 */
import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';
import { monotonic } from './clock.ts';
import { Heart, LOOK_MS, OwnTime } from './heartbeat.ts';
import type { FromTask } from './messages.ts';

export type Raised = { kind: 'ready' } | { kind: 'failed'; message: string };

const READY_WITHIN_MS = 30_000;
const AFTER_DEADLINE_MS = 10_000;
/** A process that was killed runs no line any more, even where the kernel cannot end it yet because its disk hangs. */
const KILLED_WITHIN_MS = 2_000;
/**
 * In MiB. V8 lets twice its nursery of dead buffers lie: by its default a 100 MiB message leaves 90 MiB behind at its
 * peak, so 45 MiB, for 1 to 2 % more CPU time per message.
 */
const SMALL_NURSERY = '--max-semi-space-size=2';
/** Half of these look names up, and one that nobody answers for keeps its thread for ten seconds or more. */
const THREADS = '16';

export interface TaskTerms<From> {
  readonly entry: string;
  /** Becomes the standard output of the task, where it writes its log. */
  readonly logFd: number;
  /** For its V8. */
  readonly flags?: readonly string[];
  readonly onMessage: (message: From) => void;
  /** It is late, and will be killed unless it comes round; or it has come round. */
  readonly onPulse: () => void;
}

export class TaskProcess<To extends { kind: string }, From extends { kind: string }> {
  readonly #child: ChildProcess;
  readonly #onPulse: () => void;
  readonly #raised = Promise.withResolvers<Raised>();
  readonly #exited = Promise.withResolvers<void>();
  readonly #heart = new Heart();
  #late: string | undefined;
  #looking: NodeJS.Timeout | undefined;
  #killTimer: NodeJS.Timeout | undefined;

  constructor({ entry, logFd, flags = [], onMessage, onPulse }: TaskTerms<From>) {
    this.#onPulse = onPulse;
    // No flags of this process (a test runner's, a debugger's) may reach a task.
    this.#child = fork(entry, {
      execArgv: [SMALL_NURSERY, ...flags],
      env: { ...process.env, UV_THREADPOOL_SIZE: THREADS },
      stdio: ['ignore', logFd, 'inherit', 'ipc'],
    });
    this.#child.on('message', (message) => this.#heard(message as From | FromTask, onMessage));
    this.#child.on('error', (error) => this.#raised.resolve({ kind: 'failed', message: error.message }));
    this.#child.once('exit', () => this.#exited.resolve());
    this.exited.then(() => {
      clearTimeout(this.#killTimer);
      clearInterval(this.#looking);
      this.#raised.resolve({ kind: 'failed', message: 'the process ended before it was ready' });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Why it may have to be replaced, for people; undefined while it is well. */
  get late(): string | undefined {
    return this.#late;
  }

  /** Resolves when it runs no more. */
  get exited(): Promise<void> {
    return this.#exited.promise;
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
    else this.#watch();
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
    clearInterval(this.#looking);
    this.#child.kill('SIGKILL');
    setTimeout(() => this.#exited.resolve(), KILLED_WITHIN_MS).unref();
  }

  #watch(): void {
    const time = new OwnTime(monotonic, LOOK_MS);
    this.#looking = setInterval(() => {
      const pulse = this.#heart.after(time.passed());
      const late = pulse.kind === 'well' ? undefined : pulse.why;
      const isNews = (late === undefined) !== (this.#late === undefined);
      this.#late = late;
      if (isNews) this.#onPulse();
      if (pulse.kind === 'lost') this.kill();
    }, LOOK_MS);
  }

  #heard(message: From | FromTask, onMessage: (message: From) => void): void {
    // The types of a message that only a task of this kind says are its owner's business.
    const said = message as FromTask;
    if (said.kind === 'ready') this.#raised.resolve({ kind: 'ready' });
    else if (said.kind === 'failed') this.#raised.resolve({ kind: 'failed', message: said.message });
    else if (said.kind === 'beat') this.#heart.beat(said.diskWaitMs);
    else onMessage(message as From);
  }
}

/** A sentence for people, or none. */
export function describeLate(task: string, process: { pid: number; late: string | undefined } | undefined) {
  if (process?.late === undefined) return [];
  return [`the ${task} process ${process.pid} ${process.late}: it is replaced unless that ends soon`];
}

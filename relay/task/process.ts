/**
 * One task process: it is forked with the pinned Node, configured, ready or failed, watched, drained and ended. It ends
 * when its channel to the supervisor closes. Sending to an ended process is no error: `exited` reports the end once.
 */
import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';
import type { SessionsOfProcess } from '#crds/sessions.ts';
import type { Patience } from './backoff.ts';
import { monotonic } from './clock.ts';
import { Heart, LOOK_MS, OwnTime } from './heartbeat.ts';
import type { FromTask, ToTask } from './messages.ts';

export type Started = { kind: 'ready' } | { kind: 'failed'; message: string };

const READY_WITHIN_MS = 30_000;
const AFTER_DEADLINE_MS = 10_000;
/** A killed process runs no code any more, even if the kernel cannot end it yet because its disk hangs. */
const KILLED_WITHIN_MS = 2_000;
/** A process that is busy for longer is told as silent. */
const SESSIONS_WITHIN_MS = 2_000;
/**
 * In MiB. V8 lets dead buffers pile up to a multiple of this size. With the default, a 100 MiB message leaves 90 MiB
 * behind at its peak. With this value it leaves 45 MiB, for 1 to 2 % more CPU time per message.
 */
const SMALL_NURSERY = '--max-semi-space-size=2';
/** Half of the threads resolve names, and a look-up without an answer blocks its thread for ten seconds or more. */
const THREADS = '16';

export interface TaskTerms<From> {
  readonly entry: string;
  /** The standard output of the task, where it writes its log. */
  readonly logFd: number;
  /** Flags for V8. */
  readonly flags?: readonly string[];
  readonly onMessage: (message: From) => void;
  /** The process became late, or it recovered. A process that stays late is killed. */
  readonly onPulse: () => void;
  /** Of this task, for all its processes one after the other. */
  readonly patience: Patience;
}

export class TaskProcess<To extends { kind: string }, From extends { kind: string }> {
  /** Undefined if the system made none. */
  readonly #child: ChildProcess | undefined;
  readonly #onPulse: () => void;
  readonly #patience: Patience;
  readonly #started = Promise.withResolvers<Started>();
  readonly #exited = Promise.withResolvers<void>();
  readonly #heart = new Heart();
  /** Node sends a socket when the process has confirmed the one before. */
  readonly #leaving = new Set<Socket>();
  readonly #asking = new Map<number, (sessions: SessionsOfProcess | undefined) => void>();
  #asked = 0;
  #late: string | undefined;
  #looking: NodeJS.Timeout | undefined;
  #readyTimer: NodeJS.Timeout | undefined;
  #killAt = Number.POSITIVE_INFINITY;
  #killTimer: NodeJS.Timeout | undefined;

  constructor({ entry, logFd, flags = [], onMessage, onPulse, patience }: TaskTerms<From>) {
    this.#onPulse = onPulse;
    this.#patience = patience;
    this.#child = this.#fork({ entry, logFd, flags });
    this.#child?.on('message', (message) => this.#onMessage(message as From | FromTask, onMessage));
    this.#child?.on('error', (error) => this.#started.resolve({ kind: 'failed', message: error.message }));
    this.#child?.once('exit', () => this.#exited.resolve());
    this.exited.then(() => {
      clearTimeout(this.#killTimer);
      clearInterval(this.#looking);
      for (const socket of this.#leaving) socket.destroy();
      this.#started.resolve({ kind: 'failed', message: 'the process ended before it was ready' });
    });
  }

  /** Node throws some errors of the system, such as a lack of memory, and tells others by an event. */
  #fork({
    entry,
    logFd,
    flags,
  }: Required<Pick<TaskTerms<From>, 'entry' | 'logFd' | 'flags'>>): ChildProcess | undefined {
    try {
      // No flag of this process (of a test runner or debugger) may reach a task.
      return fork(entry, {
        execArgv: [SMALL_NURSERY, ...flags],
        env: { ...process.env, UV_THREADPOOL_SIZE: THREADS },
        // A log file has the last words of a task too: there is a view on the terminal.
        stdio: ['ignore', logFd, logFd > 2 ? logFd : 'inherit', 'ipc'],
      });
    } catch (error) {
      this.#started.resolve({ kind: 'failed', message: (error as Error).message });
      this.#exited.resolve();
      return undefined;
    }
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Why the process may have to be replaced, for people. Undefined while it is healthy. */
  get late(): string | undefined {
    return this.#late;
  }

  /** Resolves when the process has ended. */
  get exited(): Promise<void> {
    return this.#exited.promise;
  }

  /**
   * Resolves when the process is ready, fails, ends, or takes too long. In the last case it is ended. A process that
   * beats before it is ready recovers the store, and may take its time.
   */
  async start(configure: To): Promise<Started> {
    this.send(configure);
    const withinMs = READY_WITHIN_MS * this.#patience.timesAfter(0);
    this.#readyTimer = setTimeout(() => {
      this.#patience.afterSilence(0);
      this.#started.resolve({ kind: 'failed', message: `not ready within ${withinMs / 1000} s` });
    }, withinMs);
    const started = await this.#started.promise;
    clearTimeout(this.#readyTimer);
    this.#readyTimer = undefined;
    if (started.kind === 'failed') this.kill();
    else this.#watch();
    return started;
  }

  /**
   * A socket belongs to the process from then on. Node would keep a copy until the process confirms it, and for ever if
   * it ends before: the client of such a connection would wait in silence. This process closes its copy itself.
   */
  send(message: To | ToTask, socket?: Socket): void {
    if (!this.#child?.connected || this.#hasEnded) {
      socket?.destroy();
      return;
    }
    if (socket) this.#leaving.add(socket);
    this.#child.send(message, socket, { keepOpen: true }, () => {
      if (socket) this.#leaving.delete(socket);
      socket?.destroy();
    });
  }

  /** The channel may stay open for a moment after the end. What waits in it then is never sent. */
  get #hasEnded(): boolean {
    return this.#child?.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Its open sessions. Undefined: it does not answer in time, or has ended. */
  async sessions(): Promise<SessionsOfProcess | undefined> {
    const ask = ++this.#asked;
    const { promise, resolve } = Promise.withResolvers<SessionsOfProcess | undefined>();
    this.#asking.set(ask, resolve);
    const timer = setTimeout(resolve, SESSIONS_WITHIN_MS, undefined);
    this.send({ kind: 'sessions', ask } satisfies ToTask);
    return promise.finally(() => {
      clearTimeout(timer);
      this.#asking.delete(ask);
    });
  }

  /** Asks the process to end. Ends it by force after the earliest deadline of all calls. */
  drain(message: To, deadlineMs: number): void {
    this.send(message);
    const now = monotonic();
    this.#killAt = Math.min(this.#killAt, now + deadlineMs + AFTER_DEADLINE_MS);
    clearTimeout(this.#killTimer);
    this.#killTimer = setTimeout(() => this.kill(), this.#killAt - now);
  }

  kill(): void {
    clearInterval(this.#looking);
    this.#child?.kill('SIGKILL');
    setTimeout(() => this.#exited.resolve(), KILLED_WITHIN_MS).unref();
  }

  #watch(): void {
    const time = new OwnTime(monotonic, LOOK_MS);
    let readyMs = 0;
    this.#looking = setInterval(() => {
      const passedMs = time.passed();
      readyMs += passedMs;
      const pulse = this.#heart.after(passedMs, this.#patience.timesAfter(readyMs));
      const late = pulse.kind === 'well' ? undefined : pulse.why;
      const isNews = (late === undefined) !== (this.#late === undefined);
      this.#late = late;
      if (isNews) this.#onPulse();
      if (pulse.kind === 'lost') this.#endSilent(readyMs);
    }, LOOK_MS);
  }

  #endSilent(readyMs: number): void {
    this.#patience.afterSilence(readyMs);
    this.kill();
  }

  #beat(diskWaitMs: number): void {
    this.#heart.beat(diskWaitMs);
    this.#readyTimer?.refresh();
  }

  #onMessage(message: From | FromTask, onMessage: (message: From) => void): void {
    // The owner of the process handles the other message types of this task.
    const said = message as FromTask;
    if (said.kind === 'ready') this.#started.resolve({ kind: 'ready' });
    else if (said.kind === 'failed') this.#started.resolve({ kind: 'failed', message: said.message });
    else if (said.kind === 'beat') this.#beat(said.diskWaitMs);
    else if (said.kind === 'sessions') this.#asking.get(said.ask)?.(said.sessions);
    else onMessage(message as From);
  }
}

/** A sentence for people, or none. */
export function describeLate(task: string, process: { pid: number; late: string | undefined } | undefined) {
  if (process?.late === undefined) return [];
  return [`the ${task} process ${process.pid} ${process.late}: it is replaced unless that ends soon`];
}

/**
 * A task process that starts with the first connection and ends by itself when it is idle, so it costs nothing at rest.
 * The owner has the listening socket and passes the accepted connections on. A connection that no process can take is
 * cut off, and the next one starts a new process.
 */
import type { Socket } from 'node:net';
import type { Log } from '../observe/log.ts';
import { Patience } from '../task/backoff.ts';
import type { ToTaskOnDemand } from '../task/messages.ts';
import { describeLate, type Started, TaskProcess } from '../task/process.ts';

const DRAIN_MS = 30_000;
/** Connections that wait for the start of a process. A start takes a fraction of a second. */
const MOST_WAITING = 64;

interface Message {
  readonly kind: string;
}

interface Running<Own extends Message, From extends Message> {
  readonly process: TaskProcess<Own | ToTaskOnDemand, From>;
  readonly isReady: Promise<boolean>;
}

export interface OnDemandTerms<Own extends Message, From extends Message> {
  /** For the log and for people. */
  readonly name: string;
  readonly entry: string;
  readonly logFd: number;
  readonly log: Log;
  /** The first message to a process. Undefined: nothing can be served now. */
  readonly configure: () => Own | undefined;
  readonly onMessage: (message: From) => void;
  readonly onTaskEnd?: () => void;
  /** A process became late, recovered or ended. */
  readonly onChange: () => void;
}

export class TaskOnDemand<Own extends Message, From extends Message> {
  readonly #terms: OnDemandTerms<Own, From>;
  readonly #patience = new Patience();
  #running: Running<Own, From> | undefined;
  /** Processes that have not ended, including the one in service. */
  #living = 0;
  #waiting = 0;

  constructor(terms: OnDemandTerms<Own, From>) {
    this.#terms = terms;
  }

  /** True if no process is left. */
  get isEnded(): boolean {
    return this.#living === 0;
  }

  /** Why the process in service may have to be replaced. */
  get late(): string[] {
    return describeLate(this.#terms.name, this.#running?.process);
  }

  /** Tells the process in service, if there is one. */
  tell(message: Own): void {
    this.#running?.process.send(message);
  }

  async accept(socket: Socket): Promise<void> {
    // A reset while the supervisor holds the socket must not end the relay.
    socket.on('error', () => socket.destroy());
    const running = this.#waiting < MOST_WAITING ? (this.#running ?? this.#begin()) : undefined;
    this.#waiting += 1;
    const isReady = await running?.isReady;
    this.#waiting -= 1;
    if (running && isReady) running.process.send({ kind: 'connection' }, socket);
    else socket.destroy();
  }

  /** Connections under way end by themselves. */
  drain(): void {
    this.#running?.process.drain({ kind: 'drain' }, DRAIN_MS);
    this.#running = undefined;
  }

  async stop(): Promise<void> {
    const last = this.#running?.process;
    this.drain();
    await last?.exited;
  }

  #begin(): Running<Own, From> | undefined {
    const { entry, logFd, configure, onMessage } = this.#terms;
    const first = configure();
    if (!first) return undefined;
    const process = new TaskProcess<Own | ToTaskOnDemand, From>({
      entry,
      logFd,
      onMessage,
      onPulse: () => this.#onPulse(process),
      patience: this.#patience,
    });
    const running = { process, isReady: process.start(first).then((started) => this.#judgeStart(started)) };
    this.#running = running;
    this.#living += 1;
    process.exited.then(() => this.#onExit(running));
    return running;
  }

  #judgeStart(started: Started): boolean {
    const { log, name } = this.#terms;
    if (started.kind === 'failed') log('task_not_started', { started: name, message: started.message });
    return started.kind === 'ready';
  }

  #onPulse({ pid, late }: Running<Own, From>['process']): void {
    const { log, name, onChange } = this.#terms;
    log(late ? 'task_late' : 'task_recovered', { of: name, pid, reason: late });
    onChange();
  }

  #onExit(running: Running<Own, From>): void {
    const { onTaskEnd, onChange } = this.#terms;
    if (this.#running === running) this.#running = undefined;
    this.#living -= 1;
    onTaskEnd?.();
    onChange();
  }
}

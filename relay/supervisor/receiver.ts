/**
 * The port at which siblings in evacuation hand over their queues. It has a process of its own, which starts with the
 * first connection and ends when it is idle. The port is open only while this pod stays and has a certificate. If the
 * port cannot be opened, this is logged and siblings use other pods. Mail flows without this port.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Policy } from '#crds/policyfile.ts';
import type { Log } from '../observe/log.ts';
import { bind } from '../task/bind.ts';
import type { Counted, FromReceiver, PairText, ToReceiver } from '../task/messages.ts';
import { describeLate, type Raised, TaskProcess } from '../task/process.ts';

const ENTRY = fileURLToPath(new URL('../receiver/main.ts', import.meta.url));
const DRAIN_MS = 30_000;

interface Task {
  readonly process: TaskProcess<ToReceiver, FromReceiver>;
  readonly isReady: Promise<boolean>;
}

export interface ReceiverDeps {
  readonly stateDir: string;
  readonly address: string;
  readonly port: number;
  readonly logFd: number;
  readonly log: Log;
  readonly onEntered: (ids: readonly string[]) => void;
  readonly onCounts: (counted: Counted) => void;
  /** A process has ended. It may not have reported all messages that it entered. */
  readonly onTaskEnd: () => void;
  readonly onChange: () => void;
}

export class ReceiverPort {
  readonly #deps: ReceiverDeps;
  #pair: PairText | null = null;
  #logging: Policy['logging'] | undefined;
  #server: Server | undefined;
  #task: Task | undefined;
  /** Processes that have not ended, including the one in service. */
  #living = 0;

  constructor(deps: ReceiverDeps) {
    this.#deps = deps;
  }

  /** True if nothing can come in any more. */
  get isClosed(): boolean {
    return this.#server === undefined && this.#living === 0;
  }

  /** Why the process in service may have to be replaced. */
  get late(): string[] {
    return describeLate('receiver', this.#task?.process);
  }

  async open(pair: PairText, logging: Policy['logging']): Promise<void> {
    this.#logging = logging;
    this.usePair(pair);
    if (this.#server) return;
    const { port, address, log } = this.#deps;
    const server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => this.#accept(socket));
    this.#server = server;
    try {
      await bind(server, port, address);
      server.on('error', (error) => log('handover_port', { message: error.message }));
    } catch (error) {
      this.#server = undefined;
      log('handover_port_not_open', { port, message: (error as Error).message });
    }
  }

  /** Sets the pair for the next connections. */
  usePair(pair: PairText): void {
    if (this.#pair?.cert === pair.cert && this.#pair.key === pair.key) return;
    this.#pair = pair;
    this.#task?.process.send({ kind: 'pair', pair });
  }

  /** Accepts nothing new. Transfers under way end by themselves, and then `onChange` is called. */
  close(): void {
    this.#server?.close();
    this.#server = undefined;
    this.#task?.process.drain({ kind: 'drain' }, DRAIN_MS);
    this.#task = undefined;
  }

  async stop(): Promise<void> {
    const last = this.#task?.process;
    this.close();
    await last?.exited;
  }

  async #accept(socket: Socket): Promise<void> {
    // A reset while the supervisor holds the socket must not end the relay.
    socket.on('error', () => socket.destroy());
    const task = this.#pair && this.#logging && (this.#task ?? this.#begin(this.#pair, this.#logging));
    if (task && (await task.isReady)) task.process.send({ kind: 'connection' }, socket);
    else socket.destroy();
  }

  #begin(pair: PairText, logging: Policy['logging']): Task {
    const { stateDir, logFd, onEntered, onCounts } = this.#deps;
    const process = new TaskProcess<ToReceiver, FromReceiver>({
      entry: ENTRY,
      logFd,
      onMessage: ({ ids }) => {
        onEntered(ids);
        onCounts({ counts: { 'handed_over{in}': ids.length }, observations: {} });
      },
      onPulse: () => this.#felt(process),
    });
    const raised = process.raise({ kind: 'configure', stateDir, pair, logging });
    const task = { process, isReady: raised.then((one) => this.#raised(one)) };
    this.#task = task;
    this.#living += 1;
    process.exited.then(() => this.#gone(task));
    return task;
  }

  #raised(raised: Raised): boolean {
    if (raised.kind === 'failed') this.#deps.log('handover_not_taken', { message: raised.message });
    return raised.kind === 'ready';
  }

  #felt({ pid, late }: Task['process']): void {
    const { log, onChange } = this.#deps;
    log(late ? 'task_late' : 'task_recovered', { of: 'receiver', pid, reason: late });
    onChange();
  }

  #gone(task: Task): void {
    const { onTaskEnd, onChange } = this.#deps;
    if (this.#task === task) this.#task = undefined;
    this.#living -= 1;
    onTaskEnd();
    onChange();
  }
}

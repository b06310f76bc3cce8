/**
 * The port at which siblings in evacuation hand over their queues. The port is open only while this pod stays and has a
 * certificate. If the port cannot be opened, this is logged, siblings use other pods, and it is tried again. Mail flows
 * without this port.
 */
import { createServer, type Server } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Policy } from '#crds/policyfile.ts';
import type { Log } from '../observe/log.ts';
import { bind } from '../task/bind.ts';
import type { Counted, FromReceiver, PairText, ToReceiver } from '../task/messages.ts';
import { TaskOnDemand } from './ondemand.ts';

const ENTRY = fileURLToPath(new URL('../receiver/main.ts', import.meta.url));

export interface ReceiverDeps {
  readonly stateDir: string;
  readonly address: string;
  readonly port: number;
  readonly logFd: number;
  readonly log: Log;
  readonly onEntered: (message: FromReceiver) => void;
  readonly onCounts: (counted: Counted) => void;
  /** A process has ended. It may not have reported all messages that it entered. */
  readonly onTaskEnd: () => void;
  readonly onChange: () => void;
}

export class ReceiverPort {
  readonly #deps: ReceiverDeps;
  readonly #task: TaskOnDemand<ToReceiver, FromReceiver>;
  #pair: PairText | null = null;
  #logging: Policy['logging'] | undefined;
  #server: Server | undefined;
  /** Why the port could not be opened the last time. */
  #fault: string | undefined;

  constructor(deps: ReceiverDeps) {
    this.#deps = deps;
    const { stateDir, onEntered, onCounts } = deps;
    this.#task = new TaskOnDemand<ToReceiver, FromReceiver>({
      ...deps,
      name: 'receiver',
      entry: ENTRY,
      configure: () =>
        this.#pair && this.#logging
          ? { kind: 'configure', stateDir, pair: this.#pair, logging: this.#logging }
          : undefined,
      onMessage: (message) => {
        onEntered(message);
        onCounts({ counts: { 'handed_over{in}': message.ids.length }, observations: {} });
      },
    });
  }

  /** True if nothing can come in any more. */
  get isClosed(): boolean {
    return this.#server === undefined && this.#task.isEnded;
  }

  /** Why the process in service may have to be replaced. */
  get late(): string[] {
    return this.#task.late;
  }

  /** Is called again and again while the port should be open. The log names each reason once. */
  async open(pair: PairText, logging: Policy['logging']): Promise<void> {
    this.#logging = logging;
    this.usePair(pair);
    if (this.#server) return;
    const { port, address, log } = this.#deps;
    const server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) =>
      this.#task.accept(socket),
    );
    this.#server = server;
    try {
      await bind(server, port, address);
      server.on('error', (error) => log('handover_port', { message: error.message }));
      this.#fault = undefined;
    } catch (error) {
      this.#server = undefined;
      this.#failed((error as Error).message);
    }
  }

  #failed(message: string): void {
    const { port, log } = this.#deps;
    if (message !== this.#fault) log('handover_port_not_open', { port, message });
    this.#fault = message;
  }

  /** Sets the pair for the next connections. */
  usePair(pair: PairText): void {
    if (this.#pair?.cert === pair.cert && this.#pair.key === pair.key) return;
    this.#pair = pair;
    this.#task.tell({ kind: 'pair', pair });
  }

  /** Accepts nothing new. Transfers under way end by themselves, and then `onChange` is called. */
  close(): void {
    this.#server?.close();
    this.#server = undefined;
    this.#fault = undefined;
    this.#task.drain();
  }

  async stop(): Promise<void> {
    const ended = this.#task.stop();
    this.close();
    await ended;
  }
}

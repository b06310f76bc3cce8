/**
 * A server that stays in the foreground: it is started, listens, and is ended by its pid. A failure has the output of
 * the server.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { endWithFile, waitForEnd } from './child.ts';
import { isListening } from './ports.ts';
import { until } from './wait.ts';

const START_MS = 120_000;

export interface ForegroundOptions {
  readonly name: string;
  readonly command: readonly string[];
  readonly port: number;
  /** Where it listens. Default: the loopback. */
  readonly host?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The signal that ends the server. */
  readonly signal?: 'SIGTERM' | 'SIGKILL';
}

export class Foreground {
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #isListening: () => Promise<boolean>;
  readonly #signal: 'SIGTERM' | 'SIGKILL';
  /** Another server listens at every address, as the DNS of the test cluster does: the port tells nothing of this one. */
  #isPortShared = false;
  #output = '';

  private constructor({ name, command, env, port, host, signal = 'SIGTERM' }: ForegroundOptions) {
    const [program = '', ...args] = command;
    const child = endWithFile(
      spawn(program, args, {
        env: { ...process.env, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
    this.#child = child;
    this.#signal = signal;
    this.#name = name;
    this.#isListening = () => isListening(port, host);
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        this.#output += chunk;
      });
    }
  }

  static async start(options: ForegroundOptions): Promise<Foreground> {
    const isPortShared = await isListening(options.port, options.host);
    const server = new Foreground(options);
    server.#isPortShared = isPortShared;
    try {
      const listens = () => {
        if (server.#ended) throw new Error(`it ended: ${server.#output}`);
        return server.#isListening();
      };
      await until(`${options.name} to listen`, listens, START_MS);
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** A worker of the server may listen a little longer, and would be taken for the next server at the port. */
  async stop(): Promise<void> {
    if (this.#ended) return;
    this.#child.kill(this.#signal);
    await waitForEnd(this.#child, this.#name);
    if (this.#isPortShared) return;
    await until(`the port of ${this.#name} to be free`, async () => !(await this.#isListening()));
  }

  get #ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }
}

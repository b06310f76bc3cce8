/**
 * A server that stays in the foreground: it is started, listens, and is ended by its pid. A failure has the output of
 * the server.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { endWithFile } from './child.ts';
import { isListening } from './ports.ts';
import { until } from './wait.ts';

const START_MS = 30_000;

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
  readonly #exited: Promise<void>;
  readonly #signal: 'SIGTERM' | 'SIGKILL';
  #output = '';

  private constructor({ command: [program = '', ...args], env, signal = 'SIGTERM' }: ForegroundOptions) {
    const child = endWithFile(
      spawn(program, args, {
        env: { ...process.env, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
    this.#child = child;
    this.#signal = signal;
    this.#exited = new Promise((resolve) => child.once('exit', () => resolve()));
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        this.#output += chunk;
      });
    }
  }

  static async start(options: ForegroundOptions): Promise<Foreground> {
    const server = new Foreground(options);
    try {
      const listens = () => {
        if (server.#ended) throw new Error(`it ended: ${server.#output}`);
        return isListening(options.port, options.host);
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

  async stop(): Promise<void> {
    if (this.#ended) return;
    this.#child.kill(this.#signal);
    await this.#exited;
  }

  get #ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }
}

/** `mailrelay console`, or that of kubectl, as a process, as a person starts it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { until } from './wait.ts';

const LAUNCHER = new URL('../../bin/mailrelay', import.meta.url).pathname;

interface Launch {
  readonly program: string;
  readonly env: NodeJS.ProcessEnv;
}

const OWN: Launch = { program: LAUNCHER, env: process.env };

export class ConsoleProcess {
  readonly #child: ChildProcess;
  #output = '';

  private constructor(words: readonly string[], { program, env }: Launch) {
    this.#child = spawn(program, words, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (chunk) => {
        this.#output += chunk;
      });
  }

  /** Resolves when it has printed its address. */
  static async start(words: readonly string[], launch = OWN): Promise<ConsoleProcess> {
    const started = new ConsoleProcess(words, launch);
    try {
      await until('the address of the console', () => started.url !== '' || started.#hasEnded, 120_000);
    } catch (error) {
      await started.stop();
      throw error;
    }
    if (started.url === '') throw new Error(`the console ended: ${started.output}`);
    return started;
  }

  get output(): string {
    return this.#output;
  }

  /** With the token. */
  get url(): string {
    return /http:\S+/.exec(this.#output)?.[0] ?? '';
  }

  /** Resolves with the exit status. */
  async stop(): Promise<number | null> {
    if (!this.#hasEnded) {
      const ended = once(this.#child, 'exit');
      this.#child.kill('SIGINT');
      await ended;
    }
    return this.#child.exitCode;
  }

  get #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }
}

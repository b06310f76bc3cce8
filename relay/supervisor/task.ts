/**
 * One task process: started, told its configuration, awaited until it is ready, and heard. A process that does not
 * become ready in time is ended and counts as failed. Knows nothing of what the task does.
 */
import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';

const READY_MS = 20_000;

interface Heard {
  readonly kind: string;
  readonly message?: string;
}

export class Task<To extends object, From extends Heard> {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #alive = true;

  /** `stdoutFd`: where the task's log lines go. */
  constructor(script: URL, stdoutFd: number, hear: (message: From) => void, onEnd: () => void) {
    this.#child = fork(script, [], { stdio: ['ignore', stdoutFd, 2, 'ipc'] });
    this.#child.on('message', (message) => hear(message as From));
    // A channel that breaks ends the task; the end is what is acted upon.
    this.#child.on('error', () => undefined);
    this.#ended = new Promise((resolve) => {
      this.#child.once('exit', () => {
        this.#alive = false;
        onEnd();
        resolve();
      });
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Resolves when the process has ended. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  send(message: To, socket?: Socket): void {
    if (!this.#alive || !this.#child.connected) {
      socket?.destroy();
      return;
    }
    this.#child.send(message, socket, (error) => {
      if (error) socket?.destroy();
    });
  }

  /** Sends the configuration; rejects with what the task says, or when it says nothing in time. */
  configure(message: To): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => settle(new Error('the task was not ready in time')), READY_MS);
      const settle = (error?: Error) => {
        clearTimeout(timer);
        this.#child.off('message', onMessage);
        if (error) {
          this.kill();
          reject(error);
        } else {
          resolve();
        }
      };
      const onMessage = (raw: unknown) => {
        const heard = raw as Heard;
        if (heard.kind === 'ready') settle();
        else if (heard.kind === 'failed') settle(new Error(heard.message));
      };
      this.#child.on('message', onMessage);
      this.#ended.then(() => settle(new Error('the task ended at once')));
      this.send(message);
    });
  }

  kill(): void {
    if (this.#alive) this.#child.kill('SIGKILL');
  }
}

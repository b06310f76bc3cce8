/**
 * What every task process does: it hears its supervisor and nobody else, is configured once, says ready or why not,
 * tells together what gathers in one turn of its loop, beats, and ends with its supervisor.
 */
import type { Socket } from 'node:net';
import { monotonic } from './clock.ts';
import { BEAT_MS, DiskWait, OwnTime } from './heartbeat.ts';
import type { FromTask } from './messages.ts';
import { shareOwnership } from './owner.ts';

interface Message {
  readonly kind: string;
}

/** What to do with each message. `configure` comes first and once; what it throws is told as the reason of a failure. */
type Handlers<To extends Message> = {
  readonly [Kind in To['kind']]: (
    message: Extract<To, { kind: Kind }>,
    socket: Socket | undefined,
  ) => unknown;
};

export class Task<To extends Message, From extends Message> {
  readonly #oldestWrite: () => number | undefined;
  readonly #flushes: (() => void)[] = [];
  #leaving = false;

  /** `oldestWrite`: when the oldest write began that the disk has not answered, by the monotonic clock. */
  constructor(oldestWrite: () => number | undefined) {
    this.#oldestWrite = oldestWrite;
  }

  serve(handlers: Handlers<To>): void {
    process.on('message', (message: To, socket?: Socket) => {
      const kind = message.kind as To['kind'];
      if (kind === 'configure') this.#configure(message, () => handlers[kind](message as never, socket));
      else handlers[kind](message as never, socket);
    });
    process.on('disconnect', () => process.exit(0));
    // The supervisor decides when to stop; a signal to the whole group must not cut sessions short.
    process.on('SIGTERM', () => undefined);
    process.on('SIGINT', () => undefined);
  }

  tell(message: From | FromTask): void {
    // Where the channel is gone the process is about to be.
    if (process.connected) process.send?.(message);
  }

  /** Takes one thing after the other; those of one turn travel in one message. */
  gather<Thing>(messageOf: (things: readonly Thing[]) => From): (thing: Thing) => void {
    let things: Thing[] = [];
    const flush = () => {
      if (things.length > 0) this.tell(messageOf(things));
      things = [];
    };
    this.#flushes.push(flush);
    return (thing) => {
      if (things.push(thing) === 1) setImmediate(flush);
    };
  }

  /** Ends this process once `end` has, at the first call. What was told and gathered arrives. */
  async leave(end: () => Promise<unknown>): Promise<void> {
    if (this.#leaving) return;
    this.#leaving = true;
    await end();
    for (const flush of this.#flushes) flush();
    // Disconnecting flushes what was sent, and ends the process.
    process.disconnect?.();
  }

  #configure(message: Message, configure: () => unknown): void {
    try {
      shareOwnership((message as Message & { stateDir: string }).stateDir);
      configure();
      this.tell({ kind: 'ready' });
      this.#beat();
    } catch (error) {
      this.tell({ kind: 'failed', message: (error as Error).message });
    }
  }

  #beat(): void {
    const time = new OwnTime(monotonic, BEAT_MS);
    const wait = new DiskWait();
    setInterval(() => {
      this.tell({ kind: 'beat', diskWaitMs: wait.after(time.passed(), this.#oldestWrite()) });
    }, BEAT_MS);
  }
}

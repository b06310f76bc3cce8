/**
 * The frame of every task process. It listens only to its supervisor, is configured once, and answers ready or failed.
 * It joins the values of one turn of the event loop into one message, sends heartbeats, and ends with its supervisor.
 */
import type { Socket } from 'node:net';
import { NO_SESSIONS, type SessionsOfProcess } from '#crds/sessions.ts';
import { monotonic } from './clock.ts';
import { BEAT_MS, DiskWait, OwnTime } from './heartbeat.ts';
import type { FromTask, ToTask } from './messages.ts';
import { shareOwnership } from './owner.ts';

interface Message {
  readonly kind: string;
}

/**
 * A handler for each kind of message. `configure` comes first and once. If its handler throws, the error is the reason
 * of `failed`.
 */
type Handlers<To extends Message> = {
  readonly [Kind in To['kind']]: (
    message: Extract<To, { kind: Kind }>,
    socket: Socket | undefined,
  ) => unknown;
};

/** What the beats tell of the disk. */
interface DiskPulse {
  /** When the oldest unanswered write began (monotonic clock). */
  oldestUnanswered(): number | undefined;
  /** Calls the listener while work goes on that blocks the event loop. */
  whenProgress(listener: () => void): void;
}

export class Task<To extends Message, From extends Message> {
  readonly #disk: DiskPulse;
  readonly #flushes: (() => void)[] = [];
  #leaving = false;

  constructor(disk: DiskPulse) {
    this.#disk = disk;
  }

  /** `listSessions` is called when somebody asks for the open sessions. */
  serve(handlers: Handlers<To>, listSessions: () => SessionsOfProcess = () => NO_SESSIONS): void {
    process.on('message', (message: To | ToTask, socket?: Socket) => {
      const kind = message.kind as To['kind'];
      if (isSessionsAsked(message))
        this.tell({ kind: 'sessions', ask: message.ask, sessions: listSessions() });
      else if (kind === 'configure') this.#configure(message, () => handlers[kind](message as never, socket));
      else handlers[kind](message as never, socket);
    });
    this.#beatWithProgress();
    process.on('disconnect', () => process.exit(0));
    // The supervisor decides when to stop. A signal to the whole process group must not cut sessions.
    process.on('SIGTERM', () => undefined);
    process.on('SIGINT', () => undefined);
  }

  tell(message: From | FromTask): void {
    // Without a channel this process is about to end.
    if (process.connected) process.send?.(message);
  }

  /** Collects values. All values of one turn of the event loop travel in one message. */
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

  /**
   * Ends this process after `end` has resolved. Only the first call counts. Everything that was told or gathered is
   * sent first.
   */
  async leave(end: () => Promise<unknown>): Promise<void> {
    if (this.#leaving) return;
    this.#leaving = true;
    await end();
    for (const flush of this.#flushes) flush();
    // Disconnecting sends all pending messages and ends the process.
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

  /** The event loop is blocked, so no timer runs. A message of a task leaves at once all the same. */
  #beatWithProgress(): void {
    let next = monotonic() + BEAT_MS;
    this.#disk.whenProgress(() => {
      const now = monotonic();
      if (now < next) return;
      next = now + BEAT_MS;
      this.tell({ kind: 'beat', diskWaitMs: 0 });
    });
  }

  #beat(): void {
    const time = new OwnTime(monotonic, BEAT_MS);
    const wait = new DiskWait();
    setInterval(() => {
      this.tell({ kind: 'beat', diskWaitMs: wait.after(time.passed(), this.#disk.oldestUnanswered()) });
    }, BEAT_MS);
  }
}

function isSessionsAsked(message: Message): message is ToTask {
  return message.kind === 'sessions';
}

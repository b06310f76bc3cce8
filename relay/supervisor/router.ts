/**
 * The router task: one process that delivers the queue, or hands it over if the pod is evacuated. A new policy starts a
 * second router beside the first. The old one takes no new messages and finishes its deliveries. The new one begins
 * only after the old one has ended, so two routers never have the same message. A router that dies is replaced. The
 * queue is in the spool.
 */
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import type { Policy } from '#crds/policyfile.ts';
import type { Log } from '../observe/log.ts';
import { Backoff, Patience } from '../task/backoff.ts';
import { type KeptSecrets, type Materials, NO_MATERIALS, type RefusedLogins } from '../task/materials.ts';
import type { Counted, ForRouter, FromRouter, Handover, QueueFigures, ToRouter } from '../task/messages.ts';
import { describeLate, TaskProcess } from '../task/process.ts';

const ROUTER = fileURLToPath(new URL('../router/main.ts', import.meta.url));
/** The drain before a hand-over may take this long, because a reply to DATA may too (RFC 5321 section 4.5.3.2.6). */
const PATIENT_DRAIN_MS = 10 * 60_000;
const GIVER = fileURLToPath(new URL('../giver/main.ts', import.meta.url));

export interface RouterDeps {
  readonly stateDir: string;
  readonly logFd: number;
  readonly drainMs: number;
  readonly clock: () => number;
  readonly log: Log;
  readonly onQueue: (figures: QueueFigures) => void;
  readonly onCounts: (counted: Counted) => void;
  /** A process has ended. Its replacement may have read the spool too early. */
  readonly onTaskEnd: () => void;
  readonly onChange: () => void;
}

export interface StartedRouter {
  readonly policy: Policy;
  readonly handover: Handover | null;
  readonly process: TaskProcess<ToRouter, FromRouter>;
  readonly since: number;
  /** The contents of the router in service, if this one starts beside it with others. */
  readonly before: Materials | undefined;
}

export class RouterTask {
  readonly #deps: RouterDeps;
  readonly #backoff = new Backoff();
  readonly #patience = new Patience();
  #current: StartedRouter | undefined;
  /** Resolves when the router before the current one has ended. Only then the current one begins. */
  #released: Promise<unknown> = Promise.resolve();
  readonly #draining = new Set<StartedRouter>();
  #materials = NO_MATERIALS;
  /** Of the router in service, while the next one starts. */
  #before: Materials | undefined;
  #kept: KeptSecrets = {};
  #refused: RefusedLogins = {};
  #starts = 0;
  #stopping = false;

  constructor(deps: RouterDeps) {
    this.#deps = deps;
  }

  get starts(): number {
    return this.#starts;
  }

  get isReady(): boolean {
    return this.#current !== undefined;
  }

  /** Why the process in service may have to be replaced. */
  get late(): string[] {
    const { process, handover } = this.#current ?? {};
    return describeLate(handover ? 'giver' : 'router', process);
  }

  /** Also those that finish their deliveries. */
  get processes() {
    return [...(this.#current ? [this.#current] : []), ...this.#draining].map(({ process }) => process);
  }

  /** Gives changed contents to the router for the next connection, login and signature. */
  useMaterials(materials: Materials): void {
    if (isDeepStrictEqual(materials, this.#materials)) return;
    this.#materials = materials;
    this.#current?.process.send({ kind: 'materials', materials });
  }

  /** Sets the contents for the next router. It tries logins that differ from those of the router before it. */
  useMaterialsForNext(materials: Materials): void {
    this.#before = this.#current && this.#materials;
    this.#materials = materials;
  }

  /** What a router before its start, or none, does not hear: the spool has it, or it goes lost to the history. */
  entered(message: ForRouter): void {
    this.#current?.process.send(message);
  }

  /** A task has ended that may not have reported all messages it entered, so the router reads the spool again. */
  look(): void {
    this.#current?.process.send({ kind: 'look' });
  }

  /** Starts a router beside the one in service. It does nothing yet. */
  async start(
    policy: Policy,
    handover: Handover | null,
  ): Promise<StartedRouter | { kind: 'failed'; message: string }> {
    const { stateDir, logFd, clock } = this.#deps;
    const process = new TaskProcess<ToRouter, FromRouter>({
      entry: handover ? GIVER : ROUTER,
      logFd,
      onMessage: (message) => this.heard(process, message),
      onPulse: () => this.#onPulse(process),
      patience: this.#patience,
    });
    const [before, kept] = [this.#before, this.#kept];
    const materials = before ?? this.#materials;
    this.#before = undefined;
    const started = await process.start({ kind: 'configure', policy, materials, kept, stateDir, handover });
    if (started.kind === 'failed') {
      this.#keep(before);
      return started;
    }
    if (this.#materials !== materials) process.send({ kind: 'materials', materials: this.#materials });
    return { policy, handover, process, since: clock(), before };
  }

  putInService(next: StartedRouter): void {
    const { drainMs, log, onChange, onCounts } = this.#deps;
    const old = this.#current;
    this.#current = next;
    const cause = old ? 'policy' : this.#starts === 0 ? 'start' : 'died';
    this.#starts += 1;
    onCounts({ counts: { [`task_starts{router,${cause}}`]: 1 }, observations: {} });
    log('task_started', { started: 'router', pid: next.process.pid });
    next.process.exited.then(() => this.#onExit(next));
    if (old) {
      // A giver has no delivery under way that a next hop could keep for so long.
      drain(old, next.handover && !old.handover ? PATIENT_DRAIN_MS : drainMs);
      // The patience was for a hand-over. A pod that stays after all has new mail, which waits for their end.
      if (!next.handover) for (const router of this.#draining) drain(router, drainMs);
      this.#draining.add(old);
      old.process.exited.then(() => this.#draining.delete(old));
      this.#released = Promise.all([this.#released, old.process.exited]);
    }
    // The new router loads all messages of the spool.
    this.#released.then(() => next.process.send({ kind: 'start', refused: this.#refused }));
    onChange();
  }

  abandon({ process, before }: StartedRouter): void {
    this.#keep(before);
    process.kill();
  }

  /** The next router did not come. The one in service still has the contents before, and is owed the new ones. */
  #keep(before: Materials | undefined): void {
    this.#materials = before ?? this.#materials;
  }

  async stop(deadlineMs: number): Promise<void> {
    this.#stopping = true;
    const last = this.#current;
    for (const router of [...this.#draining, ...(last ? [last] : [])]) drain(router, deadlineMs);
    await Promise.all([this.#released, last?.process.exited]);
  }

  /** A message of a router, in service or not. */
  heard(from: TaskProcess<ToRouter, FromRouter>, message: FromRouter): void {
    if (message.kind === 'counts') this.#deps.onCounts(message);
    // Also of a draining router: the next one has tried nothing yet.
    if (message.kind === 'refused') this.#refused = message.refused;
    // A draining router knows only a part of the queue, and old contents.
    if (from !== this.#current?.process) return;
    if (message.kind === 'queue') this.#deps.onQueue(message.figures);
    if (message.kind === 'kept') this.#kept = message.kept;
  }

  #onPulse({ pid, late }: TaskProcess<ToRouter, FromRouter>): void {
    const { log, onChange } = this.#deps;
    log(late ? 'task_late' : 'task_recovered', { of: 'router', pid, reason: late });
    onChange();
  }

  #onExit(router: StartedRouter): void {
    const { clock, log, onChange, onTaskEnd } = this.#deps;
    const { pid } = router.process;
    onTaskEnd();
    if (this.#stopping || router !== this.#current) {
      log('task_drained', { drained: 'router', pid });
      return;
    }
    const restartMs = this.#backoff.afterDeath(clock() - router.since);
    log('task_died', { died: 'router', pid, restartMs });
    this.#current = undefined;
    onChange();
    setTimeout(() => this.#replace(router), restartMs);
  }

  async #replace(router: StartedRouter): Promise<void> {
    if (this.#stopping || this.#current) return;
    const started = await this.start(router.policy, router.handover);
    if ('kind' in started) setTimeout(() => this.#replace(router), this.#backoff.afterDeath(0));
    else if (this.#stopping || this.#current) this.abandon(started);
    else this.putInService(started);
  }
}

function drain({ process }: StartedRouter, deadlineMs: number): void {
  process.drain({ kind: 'drain', deadlineMs }, deadlineMs);
}

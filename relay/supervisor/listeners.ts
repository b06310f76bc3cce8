/**
 * The listener tasks. A generation is the set of processes that serve one policy. A new generation starts beside the
 * one in service. New connections go to it only after all its processes are ready, and then the old one drains. An
 * accepted socket goes to the least busy process (admission.ts). A process that ends is replaced, and the listening
 * sockets stay open.
 */
import type { Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { Policy } from '#crds/policyfile.ts';
import type { Log } from '../observe/log.ts';
import { Backoff, Patience } from '../task/backoff.ts';
import { wall } from '../task/clock.ts';
import { listenerMaterials, type Materials } from '../task/materials.ts';
import {
  type Counted,
  type ForRouter,
  type FromListener,
  type ListenerReports,
  NO_REPORTS,
  type Pairs,
  type QueueFigures,
  type ToListener,
} from '../task/messages.ts';
import { describeLate } from '../task/process.ts';
import { Admission } from './admission.ts';
import { ClientCounts } from './clientcounts.ts';
import { collectReports, countSessions, describePorts, type Generation, type Member } from './generation.ts';
import { forkListener } from './listenerprocess.ts';
import { Reception } from './reception.ts';
import { TicketKeys } from './ticketkeys.ts';

export interface ListenerDeps {
  readonly stateDir: string;
  readonly processes: number;
  readonly logFd: number;
  readonly drainMs: number;
  readonly ticketKeyMs?: number;
  readonly clock: () => number;
  readonly log: Log;
  readonly onEntered: (message: ForRouter) => void;
  readonly onPlaintext: (client: string, helo: string, isRefused: boolean) => void;
  readonly onCounts: (counted: Counted) => void;
  /** A process has ended. It may not have reported all messages that it entered. */
  readonly onTaskEnd: () => void;
  /** Sessions began or ended, or a process started or ended. */
  readonly onChange: () => void;
}

export class ListenerTasks {
  readonly #deps: ListenerDeps;
  readonly #reception: Reception;
  readonly #admission: Admission;
  #generation: Generation | undefined;
  readonly #draining = new Set<Generation>();
  readonly #patience = new Patience();
  readonly #ticketKeys: TicketKeys;
  #pairs: Pairs = { host: null, bySecret: {} };
  #queue = { depth: 0, bytes: 0 };
  #starts = 0;

  constructor(deps: ListenerDeps) {
    this.#deps = deps;
    const admission = new Admission({ ...deps, openSessions: () => this.openSessions });
    this.#admission = admission;
    this.#reception = new Reception({
      ...deps,
      ports: () => this.#generation?.ports,
      admit: (accepted) => admission.admit(accepted, this.#generation),
      countRefusal: (reason) => admission.countRefusal(reason),
    });
    this.#ticketKeys = new TicketKeys(deps.ticketKeyMs, (keys) =>
      this.#tellAll({ kind: 'ticketKeys', keys }),
    );
  }

  get starts(): number {
    return this.#starts;
  }

  get isReady(): boolean {
    const { policy, members = [] } = this.#generation ?? {};
    return policy?.inbound.listeners.length === 0 || members.some(({ ready }) => ready);
  }

  /** True if no process is left that can accept mail. */
  get isIdle(): boolean {
    return (this.#generation?.members.length ?? 0) === 0 && this.#draining.size === 0;
  }

  get openSessions(): number {
    return countSessions(this.#generation) + this.oldSessions;
  }

  get oldSessions(): number {
    return [...this.#draining].reduce((sum, generation) => sum + countSessions(generation), 0);
  }

  /** When the last session of an earlier policy must end, in milliseconds since the epoch. */
  get oldSessionsEnd(): number | null {
    const ends = [...this.#draining].filter((old) => countSessions(old) > 0).map(({ endsAt = 0 }) => endsAt);
    return ends.length > 0 ? wall() + Math.max(...ends) - this.#deps.clock() : null;
  }

  /** Processes in service that may have to be replaced, and why. */
  get late(): string[] {
    return (this.#generation?.members ?? []).flatMap(({ process }) => describeLate('listener', process));
  }

  get reports(): ListenerReports {
    return collectReports(this.#generation);
  }

  /** Also those of earlier policies. */
  get processes() {
    return this.#all().flatMap(({ members }) => members.map(({ process }) => process));
  }

  /** Gives checked pairs to every process for the next handshakes. No process restarts. */
  usePairs(pairs: Pairs): void {
    this.#pairs = pairs;
    this.#tellAll({ kind: 'pairs', pairs });
  }

  /** Gives changed contents to every process, also of old policies, for the next logins and handshakes. */
  useMaterials(all: Materials): void {
    for (const generation of this.#all()) {
      const materials = listenerMaterials(generation.policy, all);
      if (isDeepStrictEqual(materials, generation.materials)) continue;
      generation.materials = materials;
      for (const { process } of generation.members) process.send({ kind: 'materials', materials });
    }
  }

  /**
   * Starts a generation beside the one in service. Returns it when all its processes are ready, or says why it failed.
   */
  async start(policy: Policy, all: Materials): Promise<Generation | { kind: 'failed'; message: string }> {
    const materials = listenerMaterials(policy, all);
    const [ports, backoff] = [describePorts(policy), new Backoff()];
    const none = { members: [], lostEarly: [], endsAt: undefined };
    const generation: Generation = { policy, materials, ports, backoff, ...none };
    const count = policy.inbound.listeners.length > 0 ? this.#deps.processes : 0;
    const started = await Promise.all(Array.from({ length: count }, () => this.#addMember(generation)));
    const failed = started.find(({ kind }) => kind === 'failed');
    if (!failed || failed.kind === 'ready') return generation;
    this.abandon(generation);
    return failed;
  }

  /**
   * Sends new connections to `generation` from now on, and drains the one before. The router may have needed minutes
   * since the processes were ready, so some of them may be gone. Those are replaced now.
   */
  putInService(generation: Generation): void {
    const old = this.#generation;
    this.#generation = generation;
    for (const { process } of generation.members)
      this.#deps.log('task_started', { started: 'listener', pid: process.pid });
    this.#countStart(old ? 'policy' : 'start');
    if (old) this.#drain(old, this.#deps.drainMs);
    for (const member of generation.lostEarly.splice(0)) this.#restart(generation, member);
    this.#reception.admitWaiting();
  }

  #countStart(cause: 'start' | 'policy' | 'died'): void {
    this.#starts += 1;
    this.#deps.onCounts({ counts: { [`task_starts{listener,${cause}}`]: 1 }, observations: {} });
  }

  /** Ends a generation that was never in service. */
  abandon(generation: Generation): void {
    generation.endsAt = this.#deps.clock();
    for (const { process } of generation.members) process.kill();
  }

  /** Tells the size of the queue to the listeners whose policy limits it. */
  learnQueue({ depth, bytes }: Pick<QueueFigures, 'depth' | 'bytes'>): void {
    this.#queue = { depth, bytes };
    for (const generation of this.#all()) {
      const { maxMessages, maxBytes } = generation.policy.queue;
      if (maxMessages === null && maxBytes === null) continue;
      for (const { process } of generation.members) process.send({ kind: 'queue', depth, bytes });
    }
  }

  /** Passes an accepted socket on, lets it wait, or refuses it. */
  accept(socket: Socket, port: number): void {
    this.#reception.accept(socket, port);
  }

  /** Drains all generations. Resolves when the last process has ended. */
  async stop(deadlineMs: number): Promise<void> {
    this.#reception.endWaiting();
    const [all, processes] = [this.#all(), this.processes];
    this.#generation = undefined;
    for (const generation of all) this.#drain(generation, deadlineMs);
    await Promise.all(processes.map(({ exited }) => exited));
  }

  #tellAll(message: ToListener): void {
    for (const process of this.processes) process.send(message);
  }

  #all(): Generation[] {
    return [...(this.#generation ? [this.#generation] : []), ...this.#draining];
  }

  async #addMember(generation: Generation) {
    const { stateDir, logFd, clock } = this.#deps;
    const process = forkListener({
      logFd,
      onMessage: (message) => this.#onMessage(generation, member, message),
      onPulse: () => this.#onPulse(generation, member),
      patience: this.#patience,
    });
    const open = new ClientCounts();
    const member = { process, open, since: clock(), ready: false, lost: false, reports: NO_REPORTS };
    generation.members.push(member);
    process.exited.then(() => this.#onExit(generation, member));
    const { policy, materials } = generation;
    const [pairs, ticketKeys] = [this.#pairs, this.#ticketKeys.current];
    const first: ToListener = { kind: 'configure', policy, pairs, ticketKeys, stateDir, materials };
    const started = await process.start(first);
    member.ready = started.kind === 'ready';
    process.send({ kind: 'queue', ...this.#queue });
    // Each of these may have changed while the process was starting.
    if (this.#pairs !== pairs) process.send({ kind: 'pairs', pairs: this.#pairs });
    process.send({ kind: 'ticketKeys', keys: this.#ticketKeys.current });
    if (generation.materials !== materials)
      process.send({ kind: 'materials', materials: generation.materials });
    return started;
  }

  #onMessage(generation: Generation, member: Member, message: FromListener): void {
    const { onEntered, onPlaintext, onCounts, onChange } = this.#deps;
    if (message.kind === 'entered' || message.kind === 'nowhere') onEntered(message);
    if (message.kind === 'plaintext') onPlaintext(message.client, message.helo, message.isRefused);
    if (message.kind === 'counts') onCounts(message);
    if (message.kind === 'count') member.process.send(this.#admission.countMessage(message));
    if (message.kind === 'broken') this.#lose(generation, member);
    if (message.kind === 'ended') this.#admission.ended(member, message.clients);
    if (message.kind === 'reports') member.reports = message.reports;
    if (message.kind === 'ended' || message.kind === 'reports') onChange();
  }

  /** A late process gets no new connections. When it is killed, another process replaces it. */
  #onPulse(generation: Generation, member: Member): void {
    const { log, onChange } = this.#deps;
    const { pid, late } = member.process;
    log(late ? 'task_late' : 'task_recovered', { of: 'listener', pid, reason: late });
    member.ready = late === undefined && !member.lost;
    if (generation === this.#generation) this.#reception.admitWaiting();
    onChange();
  }

  #onExit(generation: Generation, member: Member): void {
    this.#admission.gone(member);
    generation.members = generation.members.filter((one) => one !== member);
    if (generation.endsAt === undefined) this.#lose(generation, member);
    else if (member.ready) this.#deps.log('task_drained', { drained: 'listener', pid: member.process.pid });
    if (generation.members.length === 0) this.#draining.delete(generation);
    this.#deps.onTaskEnd();
    this.#deps.onChange();
  }

  /** A process cannot be used any more, dead or not. Another process replaces it, once, in the generation in service. */
  #lose(generation: Generation, member: Member): void {
    if (member.lost || generation.endsAt !== undefined) return;
    member.lost = true;
    member.ready = false;
    if (generation === this.#generation) this.#restart(generation, member);
    else generation.lostEarly.push(member);
  }

  #restart(generation: Generation, { process, since }: Member): void {
    const { clock, log } = this.#deps;
    const restartMs = generation.backoff.afterDeath(clock() - since);
    log('task_died', { died: 'listener', pid: process.pid, restartMs });
    setTimeout(() => this.#replace(generation), restartMs);
  }

  async #replace(generation: Generation): Promise<void> {
    if (generation !== this.#generation) return;
    const started = await this.#addMember(generation);
    // A failed process ends, and then `#onExit` tries again.
    if (started.kind !== 'ready') return;
    this.#countStart('died');
    this.#reception.admitWaiting();
    this.#deps.onChange();
  }

  #drain(generation: Generation, deadlineMs: number): void {
    generation.endsAt = Math.min(
      generation.endsAt ?? Number.POSITIVE_INFINITY,
      this.#deps.clock() + deadlineMs,
    );
    if (generation.members.length > 0) this.#draining.add(generation);
    for (const { process } of generation.members) process.drain({ kind: 'drain', deadlineMs }, deadlineMs);
  }
}

/**
 * The listener tasks. A generation is the set of processes that serve one policy; a new one comes up beside the one in
 * service, and only when all of it is ready do new connections go there, while the old one drains. Accepted sockets
 * are passed by hand to the least busy process; while none is ready they wait, paused. Connections are counted per
 * client here, over all generations. A process that dies is replaced; the sockets stay open.
 */

import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Listener, Policy } from '#crds/policyfile.ts';
import { relayingOf } from '../listener/relaying.ts';
import { REPLIES, type Reply } from '../listener/reply.ts';
import type { Log } from '../log.ts';
import type { Counts, FromListener, PairText, ToListener } from '../messages.ts';
import { Backoff } from './backoff.ts';
import { ClientCounts } from './clientcounts.ts';
import { chooseMember, type Generation, type Member, sessionsOf } from './generation.ts';
import { TaskProcess } from './process.ts';

const ENTRY = fileURLToPath(new URL('../listener/main.ts', import.meta.url));
/** Connections that wait while no process is ready. */
const MOST_WAITING = 1_024;
/** For clients outside the trusted networks, unless the policy says otherwise. */
const STRANGER_CONNECTIONS = 50;

export interface ListenerSurroundings {
  readonly stateDir: string;
  readonly processes: number;
  readonly logFd: number;
  readonly drainMs: number;
  readonly clock: () => number;
  readonly log: Log;
  readonly onEntered: (ids: readonly string[]) => void;
  readonly onPlaintext: (client: string) => void;
  readonly onCounts: (counts: Counts) => void;
  /** Sessions came or went, a process came or died. */
  readonly onChange: () => void;
}

export class ListenerTasks {
  readonly #around: ListenerSurroundings;
  readonly #clients = new ClientCounts();
  #generation: Generation | undefined;
  readonly #draining = new Set<Generation>();
  #waiting: { socket: Socket; port: number }[] = [];
  readonly #ticketKeys = randomBytes(48).toString('base64');
  #pair: PairText | null = null;
  #starts = 0;

  constructor(around: ListenerSurroundings) {
    this.#around = around;
  }

  get starts(): number {
    return this.#starts;
  }

  get isReady(): boolean {
    const { policy, members = [] } = this.#generation ?? {};
    return policy?.inbound.listeners.length === 0 || members.some(({ ready }) => ready);
  }

  get openSessions(): number {
    return sessionsOf(this.#generation) + this.oldSessions;
  }

  get oldSessions(): number {
    return [...this.#draining].reduce((sum, generation) => sum + sessionsOf(generation), 0);
  }

  /** When the last session of an earlier policy is ended at the latest. */
  get oldSessionsEnd(): number | null {
    const ends = [...this.#draining].filter((old) => sessionsOf(old) > 0).map(({ endsAt = 0 }) => endsAt);
    return ends.length > 0 ? Math.max(...ends) : null;
  }

  /** Takes a checked pair: for the next handshakes, in every process, without restarting any. */
  usePair(pair: PairText): void {
    this.#pair = pair;
    for (const generation of [this.#generation, ...this.#draining]) {
      for (const { process } of generation?.members ?? []) process.send({ kind: 'pair', pair });
    }
  }

  /** Brings up a generation beside the one in service. Gives it once all of it is ready, or says why it is not. */
  async raise(policy: Policy): Promise<Generation | { kind: 'failed'; message: string }> {
    const trusts = relayingOf(policy).trusts;
    const generation: Generation = { policy, trusts, backoff: new Backoff(), members: [], endsAt: undefined };
    const count = policy.inbound.listeners.length > 0 ? this.#around.processes : 0;
    const raised = await Promise.all(Array.from({ length: count }, () => this.#addMember(generation)));
    const failed = raised.find(({ kind }) => kind === 'failed');
    if (!failed || failed.kind === 'ready') return generation;
    this.abandon(generation);
    return failed;
  }

  /** Sends new connections to `generation` from now on, and drains the one before. */
  putInService(generation: Generation): void {
    const old = this.#generation;
    this.#generation = generation;
    this.#starts += 1;
    for (const { process } of generation.members)
      this.#around.log('task_started', { started: 'listener', pid: process.pid });
    if (old) this.#drain(old, this.#around.drainMs);
    this.#passWaiting();
  }

  /** Ends a generation that was never in service. */
  abandon(generation: Generation): void {
    generation.endsAt = this.#around.clock();
    for (const { process } of generation.members) process.kill();
  }

  /** Passes an accepted socket on, or keeps it waiting, or refuses it. */
  accept(socket: Socket, port: number): void {
    // A reset while the socket is in our hands must not end the relay.
    socket.on('error', () => socket.destroy());
    const client = clientOf(socket);
    const generation = this.#generation;
    const listener = generation?.policy.inbound.listeners.find((one) => one.port === port);
    const member = generation && chooseMember(generation, client);
    if (client === '' || (generation && !listener)) socket.destroy();
    else if (!generation || !listener || !member) this.#wait(socket, port);
    else if (this.#isOverLimit(generation, client)) refuse(socket, listener, REPLIES.tooManyConnections);
    else this.#pass(member, socket, listener.name, client);
  }

  /** Drains everything; resolves when the last process is gone. */
  async stop(deadlineMs: number): Promise<void> {
    for (const { socket } of this.#waiting.splice(0)) socket.destroy();
    const all = [this.#generation, ...this.#draining].filter((one) => one !== undefined);
    this.#generation = undefined;
    for (const generation of all) this.#drain(generation, deadlineMs);
    await Promise.all(all.flatMap(({ members }) => members.map(({ process }) => process.exited)));
  }

  async #addMember(generation: Generation) {
    const { stateDir, logFd, clock } = this.#around;
    const process = new TaskProcess<ToListener, FromListener>(ENTRY, logFd, (message) =>
      this.#heard(generation, member, message),
    );
    const member: Member = { process, open: new ClientCounts(), since: clock(), ready: false, lost: false };
    generation.members.push(member);
    process.exited.then(() => this.#gone(generation, member));
    const pair = this.#pair;
    const { policy } = generation;
    const ticketKeys = this.#ticketKeys;
    const raised = await process.raise({ kind: 'configure', policy, pair, ticketKeys, stateDir });
    member.ready = raised.kind === 'ready';
    // The pair may have changed while the process was starting.
    if (this.#pair !== null && this.#pair !== pair) process.send({ kind: 'pair', pair: this.#pair });
    return raised;
  }

  #heard(generation: Generation, member: Member, message: FromListener): void {
    switch (message.kind) {
      case 'ended':
        for (const client of message.clients) if (member.open.remove(client)) this.#clients.remove(client);
        this.#around.onChange();
        break;
      case 'entered':
        this.#around.onEntered(message.ids);
        break;
      case 'plaintext':
        this.#around.onPlaintext(message.client);
        break;
      case 'counts':
        this.#around.onCounts(message.counts);
        break;
      case 'broken':
        this.#lose(generation, member);
        break;
      default:
        break;
    }
  }

  #gone(generation: Generation, member: Member): void {
    this.#clients.subtract(member.open);
    generation.members = generation.members.filter((one) => one !== member);
    if (generation.endsAt === undefined) this.#lose(generation, member);
    else if (member.ready) this.#around.log('task_drained', { drained: 'listener', pid: member.process.pid });
    if (generation.members.length === 0) this.#draining.delete(generation);
    this.#around.onChange();
  }

  /** A process of the generation in service is of no more use, dead or not: another one takes its place, once. */
  #lose(generation: Generation, member: Member): void {
    if (member.lost || generation !== this.#generation) return;
    member.lost = true;
    member.ready = false;
    const { clock, log } = this.#around;
    const restartMs = generation.backoff.afterDeath(clock() - member.since);
    log('task_died', { died: 'listener', pid: member.process.pid, restartMs });
    setTimeout(() => this.#replace(generation), restartMs);
  }

  async #replace(generation: Generation): Promise<void> {
    if (generation !== this.#generation) return;
    const raised = await this.#addMember(generation);
    // One that fails ends, and `#gone` tries again.
    if (raised.kind !== 'ready') return;
    this.#starts += 1;
    this.#passWaiting();
    this.#around.onChange();
  }

  #drain(generation: Generation, deadlineMs: number): void {
    generation.endsAt = Math.min(
      generation.endsAt ?? Number.POSITIVE_INFINITY,
      this.#around.clock() + deadlineMs,
    );
    if (generation.members.length > 0) this.#draining.add(generation);
    for (const { process } of generation.members) process.drain({ kind: 'drain', deadlineMs }, deadlineMs);
  }

  #pass(member: Member, socket: Socket, listener: string, client: string): void {
    member.open.add(client);
    this.#clients.add(client);
    member.process.send({ kind: 'connection', listener, client }, socket);
    this.#around.onChange();
  }

  #isOverLimit({ policy, trusts }: Generation, client: string): boolean {
    const limit =
      policy.inbound.limits.connectionsPerClient ??
      (trusts(client) ? Number.POSITIVE_INFINITY : STRANGER_CONNECTIONS);
    return this.#clients.of(client) >= limit;
  }

  #wait(socket: Socket, port: number): void {
    if (this.#waiting.length >= MOST_WAITING) socket.destroy();
    else this.#waiting.push({ socket, port });
  }

  #passWaiting(): void {
    for (const { socket, port } of this.#waiting.splice(0)) this.accept(socket, port);
  }
}

/** Says why, where a plain text is understood, and closes. */
function refuse(socket: Socket, { implicitTLS }: Listener, { code, text }: Reply): void {
  if (implicitTLS) socket.destroy();
  else socket.end(`${code} ${text}\r\n`, () => socket.destroy());
}

/** Empty when the client has already gone. */
function clientOf(socket: Socket): string {
  return (socket.remoteAddress ?? '').replace(/^::ffff:(?=[0-9.]+$)/i, '');
}

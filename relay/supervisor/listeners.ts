/**
 * The listener tasks. A generation is the set of processes that serve one policy; a new one comes up beside the one in
 * service, and only when all of it is ready do new connections go there, while the old one drains. Accepted sockets
 * are passed by hand to the least busy process; while none is ready they wait, paused. Connections are counted per
 * client here, over all generations. A process that dies is replaced; the sockets stay open.
 */

import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import type { Policy } from '#crds/policyfile.ts';
import { REPLIES, type Reply } from '../listener/reply.ts';
import type { Log } from '../log.ts';
import { type Materials, NO_MATERIALS } from '../materials.ts';
import type { Counted, FromListener, Pairs, QueueFigures, ToListener } from '../messages.ts';
import { Backoff } from './backoff.ts';
import { ClientCounts } from './clientcounts.ts';
import { chooseMember, type Door, doorsOf, type Generation, type Member, sessionsOf } from './generation.ts';
import { TaskProcess } from './process.ts';
import { clientBehind, clientOf } from './proxy.ts';
import { MessageRate } from './rate.ts';

const ENTRY = fileURLToPath(new URL('../listener/main.ts', import.meta.url));
/** Connections that wait while no process is ready. */
const MOST_WAITING = 1_024;

interface Accepted {
  readonly socket: Socket;
  readonly port: number;
  /** Behind a proxy: whom it names. */
  readonly client: string;
  /** What came behind the PROXY header. */
  readonly early?: Buffer;
}

export interface ListenerSurroundings {
  readonly stateDir: string;
  readonly processes: number;
  readonly logFd: number;
  readonly drainMs: number;
  readonly clock: () => number;
  readonly log: Log;
  readonly onEntered: (ids: readonly string[]) => void;
  readonly onPlaintext: (client: string, helo: string) => void;
  readonly onCounts: (counted: Counted) => void;
  /** Sessions came or went, a process came or died. */
  readonly onChange: () => void;
}

export class ListenerTasks {
  readonly #around: ListenerSurroundings;
  readonly #clients = new ClientCounts();
  #generation: Generation | undefined;
  readonly #draining = new Set<Generation>();
  #waiting: Accepted[] = [];
  readonly #ticketKeys = randomBytes(48).toString('base64');
  #pairs: Pairs = { host: null, internal: null };
  #materials = NO_MATERIALS;
  readonly #rates = { client: new MessageRate(), login: new MessageRate() };
  #queue = { depth: 0, bytes: 0 };
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

  /** True when no process is left that could take mail. */
  get isIdle(): boolean {
    return (this.#generation?.members.length ?? 0) === 0 && this.#draining.size === 0;
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

  /** Takes checked pairs: for the next handshakes, in every process, without restarting any. */
  usePairs(pairs: Pairs): void {
    this.#pairs = pairs;
    for (const generation of [this.#generation, ...this.#draining]) {
      for (const { process } of generation?.members ?? []) process.send({ kind: 'pairs', pairs });
    }
  }

  /** Contents that changed: for the next login and handshake, in every process. */
  useMaterials(materials: Materials): void {
    if (isDeepStrictEqual(materials, this.#materials)) return;
    this.#materials = materials;
    for (const { process } of this.#generation?.members ?? []) process.send({ kind: 'materials', materials });
  }

  /** What the next generation begins with. */
  useMaterialsForNext(materials: Materials): void {
    this.#materials = materials;
  }

  /** Brings up a generation beside the one in service. Gives it once all of it is ready, or says why it is not. */
  async raise(policy: Policy): Promise<Generation | { kind: 'failed'; message: string }> {
    const doors = doorsOf(policy);
    const generation: Generation = { policy, doors, backoff: new Backoff(), members: [], endsAt: undefined };
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
    for (const { process } of generation.members)
      this.#around.log('task_started', { started: 'listener', pid: process.pid });
    this.#started(old ? 'policy' : 'start');
    if (old) this.#drain(old, this.#around.drainMs);
    this.#passWaiting();
  }

  #started(cause: 'start' | 'policy' | 'died'): void {
    this.#starts += 1;
    this.#around.onCounts({ counts: { [`task_starts{listener,${cause}}`]: 1 }, observations: {} });
  }

  /** Ends a generation that was never in service. */
  abandon(generation: Generation): void {
    generation.endsAt = this.#around.clock();
    for (const { process } of generation.members) process.kill();
  }

  /** How full the queue is: those listeners need to know that limit it. */
  learnQueue({ depth, bytes }: Pick<QueueFigures, 'depth' | 'bytes'>): void {
    this.#queue = { depth, bytes };
    const { policy, members = [] } = this.#generation ?? {};
    if (policy?.queue.maxMessages === null && policy.queue.maxBytes === null) return;
    for (const { process } of members) process.send({ kind: 'queue', depth, bytes });
  }

  /** Passes an accepted socket on, or keeps it waiting, or refuses it. */
  accept(socket: Socket, port: number): void {
    // A reset while the socket is in our hands must not end the relay.
    socket.on('error', () => socket.destroy());
    const address = clientOf(socket);
    const door = this.#generation?.doors.get(port);
    if (address === '' || (this.#generation && !door)) socket.destroy();
    else if (door?.isProxy(address)) this.#acceptBehind(socket, port, address);
    else this.#admit({ socket, port, client: address });
  }

  /** The proxy says who the client is. */
  async #acceptBehind(socket: Socket, port: number, proxy: string): Promise<void> {
    const behind = await clientBehind(socket);
    if (behind.kind === 'client') {
      const { address, early } = behind;
      this.#admit({ socket, port, client: address ?? proxy, ...(early ? { early } : {}) });
      return;
    }
    socket.destroy();
    // Health checks of a load balancer would fill the log.
    if (this.#rates.client.count(`PROXY ${proxy}`, this.#around.clock()) > 1) return;
    const { reason, cure } = behind;
    this.#around.log('proxy_header_missing', { proxy, port, reason, cure });
  }

  #admit(accepted: Accepted): void {
    const { socket, port, client } = accepted;
    const generation = this.#generation;
    const door = generation?.doors.get(port);
    const member = generation && chooseMember(generation);
    if (generation && !door) socket.destroy();
    else if (!generation || !door || !member) this.#wait(accepted);
    else if (this.openSessions >= generation.policy.inbound.limits.connections)
      this.#refuse(accepted, door, REPLIES.tooManySessions);
    else if (this.#clients.of(client) >= door.mostConnectionsOf(client))
      this.#refuse(accepted, door, REPLIES.tooManyConnections);
    else this.#pass(member, accepted, door.listener.name);
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
    const { policy } = generation;
    const [pairs, materials, ticketKeys] = [this.#pairs, this.#materials, this.#ticketKeys];
    const raised = await process.raise({ kind: 'configure', policy, pairs, ticketKeys, stateDir, materials });
    member.ready = raised.kind === 'ready';
    process.send({ kind: 'queue', ...this.#queue });
    // Either may have changed while the process was starting.
    if (this.#pairs !== pairs) process.send({ kind: 'pairs', pairs: this.#pairs });
    if (this.#materials !== materials) process.send({ kind: 'materials', materials: this.#materials });
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
        this.#around.onPlaintext(message.client, message.helo);
        break;
      case 'counts':
        this.#around.onCounts(message);
        break;
      case 'count':
        this.#count(member, message);
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
    this.#started('died');
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

  #pass(member: Member, { socket, client, early }: Accepted, listener: string): void {
    member.open.add(client);
    this.#clients.add(client);
    const rest = early ? { early: early.toString('base64') } : {};
    member.process.send({ kind: 'connection', listener, client, ...rest }, socket);
    this.#around.onChange();
  }

  /** Says why, where a plain text is understood, and closes. */
  #refuse({ socket }: Accepted, { listener }: Door, { code, text, reason }: Reply): void {
    this.#around.onCounts({ counts: { [`refused{${reason}}`]: 1 }, observations: {} });
    if (listener.implicitTLS) socket.destroy();
    else socket.end(`${code} ${text}\r\n`, () => socket.destroy());
  }

  #count({ process }: Member, { ask, of, who }: Extract<FromListener, { kind: 'count' }>): void {
    const count = this.#rates[of].count(who, this.#around.clock());
    process.send({ kind: 'counted', ask, count });
  }

  #wait(accepted: Accepted): void {
    if (this.#waiting.length >= MOST_WAITING) accepted.socket.destroy();
    else this.#waiting.push(accepted);
  }

  #passWaiting(): void {
    for (const accepted of this.#waiting.splice(0)) this.#admit(accepted);
  }
}

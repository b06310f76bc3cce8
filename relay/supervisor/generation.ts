/**
 * The listener processes of one policy. A new generation is brought up beside the old one; from `retire` on the old
 * one gets no further connection, lets its sessions end, and ends them itself at the deadline. A process that dies is
 * replaced, ever more slowly when it keeps dying; connections wait meanwhile.
 */
import type { Socket } from 'node:net';
import { crc32 } from 'node:zlib';
import type { Policy } from '#crds/policyfile.ts';
import type { FromListener, PairText, ToListener } from '../messages.ts';
import { Task } from './task.ts';

const SCRIPT = new URL('../listener/main.ts', import.meta.url);
const RESTART_FIRST_MS = 200;
const RESTART_LAST_MS = 30_000;
/** A process that lived this long may be restarted at once again. */
const STEADY_MS = 60_000;
const WAITING_CONNECTIONS = 1024;

type ListenerTask = Task<ToListener, FromListener>;

export interface GenerationOptions {
  readonly policy: Policy;
  readonly processes: number;
  readonly stateDir: string;
  readonly logFd: number;
  readonly pair: () => PairText | null;
  /** `process` tells the processes apart, over generations too. */
  readonly hear: (process: string, message: FromListener) => void;
  /** A process ended and was not told to. */
  readonly onCrash: () => void;
  readonly onEmpty: () => void;
}

interface Member {
  task: ListenerTask;
  ready: boolean;
  open: number;
  startedAt: number;
  failures: number;
}

let processCount = 0;

export class Generation {
  readonly policy: Policy;
  readonly #options: GenerationOptions;
  readonly #members: Member[] = [];
  #waiting: { listener: string; socket: Socket }[] = [];
  #turn = 0;
  #retired = false;

  constructor(options: GenerationOptions) {
    this.#options = options;
    this.policy = options.policy;
  }

  /** Rejects when a process does not come up; nothing of this generation is left then. */
  async bringUp(): Promise<void> {
    for (let index = 0; index < this.#options.processes; index++) this.#members.push(this.#start(0));
    try {
      await Promise.all(this.#members.map((member) => this.#configure(member)));
    } catch (error) {
      this.#retired = true;
      for (const { task } of this.#members) task.kill();
      throw error;
    }
  }

  get ready(): boolean {
    return this.#members.some(({ ready }) => ready);
  }

  get openSessions(): number {
    return this.#members.reduce((sum, { open }) => sum + open, 0);
  }

  /** Hands a connection to the next ready process; with a rate limit, to the one that counts this client. */
  dispatch(listener: string, socket: Socket): void {
    const ready = this.#members.filter((member) => member.ready);
    const counted = this.policy.inbound.limits.messagesPerClientPerMinute !== null;
    const turn = counted ? crc32(socket.remoteAddress ?? '') : this.#turn++;
    const member = ready[turn % ready.length];
    if (member) member.task.send({ kind: 'connection', listener }, socket);
    else if (this.#waiting.length < WAITING_CONNECTIONS) this.#waiting.push({ listener, socket });
    else socket.destroy();
  }

  usePair(pair: PairText): void {
    for (const { task } of this.#members) task.send({ kind: 'pair', pair });
  }

  /** Resolves when every process has ended. */
  async retire(deadlineMs: number): Promise<void> {
    this.#retired = true;
    for (const { task } of this.#members) task.send({ kind: 'drain', deadlineMs });
    await Promise.all(this.#members.map(({ task }) => task.ended));
    this.#options.onEmpty();
  }

  #start(failures: number): Member {
    const process = `listener-${++processCount}`;
    const member: Member = {
      task: new Task<ToListener, FromListener>(
        SCRIPT,
        this.#options.logFd,
        (message) => {
          if (message.kind === 'sessions') member.open = message.open;
          this.#options.hear(process, message);
        },
        () => this.#ended(member),
      ),
      ready: false,
      open: 0,
      startedAt: Date.now(),
      failures,
    };
    return member;
  }

  async #configure(member: Member): Promise<void> {
    const { policy, processes, stateDir, logFd, pair } = this.#options;
    await member.task.configure({ kind: 'configure', policy, processes, stateDir, logFd, pair: pair() });
    member.ready = true;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { listener, socket } of waiting) this.dispatch(listener, socket);
  }

  #ended(member: Member): void {
    const wasReady = member.ready;
    member.ready = false;
    member.open = 0;
    if (this.#retired || !wasReady) return;
    this.#options.onCrash();
    this.#replace(member);
  }

  #replace(member: Member): void {
    const failures = Date.now() - member.startedAt > STEADY_MS ? 0 : member.failures + 1;
    const pause = Math.min(RESTART_FIRST_MS * 2 ** failures, RESTART_LAST_MS);
    setTimeout(() => {
      if (this.#retired) return;
      const next = this.#start(failures);
      this.#members.splice(this.#members.indexOf(member), 1, next);
      this.#configure(next).catch(() => this.#replace(next));
    }, pause);
  }
}

/**
 * The door of the relay: a supervisor that owns the listening sockets, reads the mounted files, and keeps a listener
 * and a router task running by them. A new policy is brought up beside the old one; one that is invalid or does not
 * come up is refused and the old one stays. Starting fails with one sentence; after that nothing throws.
 */
import { accessSync, constants, mkdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { listenerNeedsKeyPair, needsKeyPair } from '#crds/effective.ts';
import { fieldsNotInForce } from '#crds/notinforce.ts';
import type { PodStatus } from '#crds/podstatus.ts';
import { hashOf, type Policy, parsePolicy, printPolicy } from '#crds/policyfile.ts';
import type { Log } from '../log.ts';
import type { FromListener, FromRouter, QueueFigures } from '../messages.ts';
import { type AdminServer, startAdmin } from '../serve/admin.ts';
import { Metrics } from '../serve/metrics.ts';
import { Spool } from '../spool/spool.ts';
import { CertificateInService } from './certificate.ts';
import { Generation } from './generation.ts';
import { digestOf, type InputDirs, type Inputs, readInputs, watchInputs } from './inputs.ts';
import { readLastGood, writeLastGood } from './lastgood.ts';
import { type Ownership, takeOwnership } from './owner.ts';
import { PlaintextClients } from './plaintext.ts';
import { planRestart, unservable } from './plan.ts';
import { Revisions } from './revision.ts';
import { RouterTask } from './routertask.ts';
import { Sockets } from './sockets.ts';

export interface RelayOptions extends InputDirs {
  readonly stateDir: string;
  /** Where listeners bind, and where health and status are served. */
  readonly address: string;
  readonly adminAddress: string;
  readonly adminPort: number;
  readonly processes: number;
  readonly version: string;
  readonly log: Log;
  /** File descriptor for the log lines of the tasks. */
  readonly logFd: number;
  /** How long connections are still answered after `stop`, until nobody sends new ones. */
  readonly graceMs: number;
  /** How long open sessions may go on after a change or a stop. */
  readonly drainMs: number;
}

export interface Relay {
  status(): PodStatus;
  /** Looks at the files now; resolves when what they say is in force or refused. */
  reload(): Promise<void>;
  /** Drains and ends everything; resolves when nothing is left. */
  stop(): Promise<void>;
}

const QUEUE_EMPTY: QueueFigures = { depth: 0, held: 0, oldest: null, deferrals: [] };

/** Rejects with one sentence when the relay cannot start at all. */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  prepareStateDir(options.stateDir);
  const ownership = await takeOwnership(options.stateDir);
  try {
    await sweepSpool(options.stateDir);
    const supervisor = new Supervisor(options, ownership);
    await supervisor.start();
    return supervisor;
  } catch (error) {
    ownership.release();
    throw error;
  }
}

function prepareStateDir(stateDir: string): void {
  try {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    accessSync(stateDir, constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(
      `Cannot write to the state folder "${stateDir}" (${code}): make it writable, or choose another`,
    );
  }
}

async function sweepSpool(stateDir: string): Promise<void> {
  const spool = new Spool(stateDir);
  spool.sweep();
  await spool.close();
}

class Supervisor implements Relay {
  readonly #options: RelayOptions;
  readonly #ownership: Ownership;
  readonly #sockets: Sockets;
  readonly #router: RouterTask;
  readonly #certificate = new CertificateInService();
  readonly #metrics = new Metrics();
  readonly #plaintext = new PlaintextClients(Date.now);
  readonly #revisions = new Revisions(Date.now);
  /** Newest last; the last one is in force, the others drain. */
  #generations: Generation[] = [];
  #retiredUntil = 0;
  #policy: Policy | undefined;
  #refused: PodStatus['policy']['refused'] = null;
  #queue = QUEUE_EMPTY;
  #starts = { listener: 0, router: 0 };
  #stopping = false;
  #seen = '';
  #work: Promise<void> = Promise.resolve();
  #admin: AdminServer | undefined;
  #unwatch: () => void = () => undefined;
  #ticker: NodeJS.Timeout | undefined;

  constructor(options: RelayOptions, ownership: Ownership) {
    this.#options = options;
    this.#ownership = ownership;
    this.#sockets = new Sockets(options.address, (listener, socket) => this.#dispatch(listener, socket));
    this.#router = new RouterTask({
      stateDir: options.stateDir,
      logFd: options.logFd,
      hear: (process, message) => this.#hearRouter(process, message),
      onStart: () => {
        this.#starts.router += 1;
        this.#changed();
      },
      onCrash: () => this.#crashed('router'),
    });
  }

  async start(): Promise<void> {
    const inputs = readInputs(this.#options);
    this.#seen = digestOf(inputs);
    const first = this.#firstPolicy(inputs);
    this.#certificate.look(inputs, first.hostname, new Date());
    try {
      await this.#apply(first, inputs);
      this.#admin = await startAdmin(this.#options.adminAddress, this.#options.adminPort, {
        status: () => this.status(),
        metrics: () => this.#metrics.render(this.status()),
        differsFrom: (since, waitMs) => this.#revisions.differsFrom(since, waitMs),
      });
    } catch (error) {
      await this.#endTasks(0);
      throw error;
    }
    this.#unwatch = watchInputs(this.#options, () => void this.reload());
    // Dates pass without any event, and figures are told once a minute.
    this.#ticker = setInterval(() => this.#changed(), 5_000);
    this.#changed();
  }

  reload(): Promise<void> {
    this.#work = this.#work.then(() => this.#look());
    return this.#work;
  }

  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#unwatch();
    this.#changed();
    this.#options.log('stopping', { sessions: this.#openSessions() });
    await this.#work;
    await new Promise((resolve) => setTimeout(resolve, this.#options.graceMs));
    this.#sockets.closeAll();
    await this.#endTasks(this.#options.drainMs);
    clearInterval(this.#ticker);
    await this.#admin?.close();
    this.#ownership.release();
    this.#options.log('stopped');
  }

  status(): PodStatus {
    return { ...this.#facts(), revision: this.#revisions.current };
  }

  #facts(): Omit<PodStatus, 'revision'> {
    const policy = this.#policy;
    const notReady = this.#notReady();
    const now = new Date();
    const wanted = policy !== undefined && needsKeyPair(policy);
    const old = this.#generations.slice(0, -1).reduce((sum, { openSessions }) => sum + openSessions, 0);
    return {
      format: 1,
      version: this.#options.version,
      ready: notReady.length === 0,
      notReady,
      policy: { hash: policy ? hashOf(policy) : null, refused: this.#refused },
      notInForce: policy ? fieldsNotInForce(policy) : [],
      certificate: policy ? this.#certificate.facts(policy.hostname, now) : null,
      certificateProblem: policy && wanted ? this.#certificate.problem(policy.hostname, now) : null,
      tasks: { listenerStarts: this.#starts.listener, routerStarts: this.#starts.router },
      sessions: {
        open: this.#openSessions(),
        ofOldPolicy: old,
        oldPolicyEnds: old > 0 ? new Date(this.#retiredUntil).toISOString().replace(/\.\d+Z$/, 'Z') : null,
        plaintextClients: this.#plaintext.count,
      },
      queue: {
        depth: this.#queue.depth,
        held: this.#queue.held,
        oldestSeconds:
          this.#queue.oldest === null ? null : Math.max(0, (now.getTime() - this.#queue.oldest) / 1000),
        deferrals: [...this.#queue.deferrals],
      },
    };
  }

  #notReady(): string[] {
    if (this.#stopping) return ['the relay is stopping'];
    const reasons: string[] = [];
    const current = this.#generations.at(-1);
    if (!current?.ready) reasons.push('the listener task is starting');
    if (!this.#router.ready) reasons.push('the router task is starting');
    if (this.#policy?.inbound.listeners.some(listenerNeedsKeyPair) && !this.#certificate.pair) {
      reasons.push(
        `no usable certificate: ${this.#certificate.problem(this.#policy.hostname, new Date())?.message}`,
      );
    }
    return reasons;
  }

  #firstPolicy(inputs: Inputs): Policy {
    const mounted = judged(inputs.policy);
    if (mounted.kind === 'policy') return mounted.policy;
    const lastGood = judged(readLastGood(this.#options.stateDir));
    if (lastGood.kind !== 'policy') throw new Error(`Cannot read the policy: ${mounted.message}`);
    this.#refuse(inputs.policy, mounted.message);
    return lastGood.policy;
  }

  async #look(): Promise<void> {
    const inputs = readInputs(this.#options);
    const digest = digestOf(inputs);
    if (digest === this.#seen || this.#stopping) return;
    this.#seen = digest;
    const mounted = judged(inputs.policy);
    const policy = mounted.kind === 'policy' ? mounted.policy : this.#policy;
    if (!policy) return;
    this.#lookAtPair(inputs, policy);
    if (mounted.kind === 'invalid') this.#refuse(inputs.policy, mounted.message);
    else await this.#take(mounted.policy, inputs);
    this.#router.useTrust(trustOf(this.#policy ?? policy, inputs));
    this.#changed();
  }

  #lookAtPair(inputs: Inputs, policy: Policy): void {
    const { pair: before } = this.#certificate;
    const replaced = this.#certificate.look(inputs, policy.hostname, new Date());
    const { pair } = this.#certificate;
    if (!replaced || !pair) {
      const problem = this.#certificate.problem(policy.hostname, new Date());
      if (problem && needsKeyPair(policy)) this.#options.log('certificate_not_taken', { ...problem });
      return;
    }
    for (const generation of this.#generations) generation.usePair(pair);
    const facts = this.#certificate.facts(policy.hostname, new Date());
    this.#options.log(before ? 'certificate_replaced' : 'certificate_loaded', {
      serial: facts?.serial,
      notAfter: facts?.notAfter,
      names: facts?.names,
    });
  }

  async #take(policy: Policy, inputs: Inputs): Promise<void> {
    if (this.#policy && hashOf(this.#policy) === hashOf(policy)) {
      this.#refused = null;
      return;
    }
    try {
      await this.#apply(policy, inputs);
    } catch (error) {
      this.#refuse(printPolicy(policy), (error as Error).message);
    }
  }

  /** Brings the policy into force; throws, with the old one still in force, when it cannot be. */
  async #apply(policy: Policy, inputs: Inputs): Promise<void> {
    const plan = planRestart(this.#policy, policy);
    const first = this.#policy === undefined;
    if (plan.listener) await this.#sockets.open(policy.inbound.listeners);
    try {
      const next = plan.listener ? await this.#bringUp(policy) : undefined;
      if (plan.router) await this.#router.replace(policy, trustOf(policy, inputs));
      this.#sockets.keep(policy.inbound.listeners);
      if (next) this.#switchTo(next);
    } catch (error) {
      this.#sockets.keep(this.#policy?.inbound.listeners ?? []);
      throw error;
    }
    this.#policy = policy;
    this.#refused = null;
    this.#remember(policy);
    this.#options.log(first ? 'policy_in_force' : 'policy_changed', {
      hash: hashOf(policy),
      listener: plan.listener ? 'restarted' : 'kept',
      router: plan.router ? 'restarted' : 'kept',
    });
    this.#changed();
  }

  async #bringUp(policy: Policy): Promise<Generation> {
    const generation: Generation = new Generation({
      policy,
      processes: policy.inbound.listeners.length === 0 ? 1 : this.#options.processes,
      stateDir: this.#options.stateDir,
      logFd: this.#options.logFd,
      pair: () => this.#certificate.pair,
      hear: (process, message) => this.#hearListener(process, message),
      onCrash: () => this.#crashed('listener'),
      onEmpty: () => {
        this.#generations = this.#generations.filter((other) => other !== generation);
        this.#changed();
      },
    });
    await generation.bringUp();
    this.#starts.listener += 1;
    return generation;
  }

  #switchTo(next: Generation): void {
    const old = this.#generations.at(-1);
    this.#generations.push(next);
    if (!old) return;
    this.#retiredUntil = Date.now() + this.#options.drainMs;
    void old.retire(this.#options.drainMs);
  }

  #dispatch(listener: string, socket: Socket): void {
    const current = this.#generations.at(-1);
    if (current) current.dispatch(listener, socket);
    // Only between opening the first port and the first task being ready.
    else socket.destroy();
  }

  #refuse(text: string | undefined, message: string): void {
    const hash = judgedHash(text);
    if (this.#refused?.hash === hash && this.#refused?.message === message) return;
    this.#refused = { hash, message };
    this.#options.log('policy_refused', { hash, message });
  }

  #remember(policy: Policy): void {
    try {
      writeLastGood(this.#options.stateDir, printPolicy(policy));
    } catch (error) {
      this.#options.log('last_good_not_written', { message: (error as Error).message });
    }
  }

  #hearListener(process: string, message: FromListener): void {
    if (message.kind === 'entered') this.#router.entered(message.ids);
    else if (message.kind === 'counts') this.#metrics.take(process, message.counts);
    else if (message.kind === 'plaintext') this.#plaintext.saw(message.client);
    else if (message.kind === 'sessions') this.#changed();
  }

  #hearRouter(process: string, message: FromRouter): void {
    if (message.kind === 'counts') this.#metrics.take(process, message.counts);
    if (message.kind !== 'queue') return;
    this.#queue = message.figures;
    this.#changed();
  }

  #crashed(task: 'listener' | 'router'): void {
    this.#options.log('task_died', { died: task });
    if (task === 'listener') this.#starts.listener += 1;
    this.#changed();
  }

  #openSessions(): number {
    return this.#generations.reduce((sum, { openSessions }) => sum + openSessions, 0);
  }

  #changed(): void {
    this.#revisions.consider(this.#facts());
  }

  async #endTasks(drainMs: number): Promise<void> {
    await Promise.all(this.#generations.map((generation) => generation.retire(drainMs)));
    this.#sockets.closeAll();
    await this.#router.stop();
  }
}

function judged(text: string | undefined): ReturnType<typeof parsePolicy> {
  if (text === undefined) return { kind: 'invalid', message: 'the policy file is missing' };
  const parsed = parsePolicy(text);
  const problem = parsed.kind === 'policy' ? unservable(parsed.policy) : undefined;
  return problem === undefined ? parsed : { kind: 'invalid', message: problem };
}

function judgedHash(text: string | undefined): string | null {
  const parsed = text === undefined ? undefined : parsePolicy(text);
  return parsed?.kind === 'policy' ? hashOf(parsed.policy) : null;
}

function trustOf({ outbound }: Policy, inputs: Inputs): string | null {
  return outbound.usesTrustBundle ? (inputs.trust ?? '') : null;
}

/**
 * What holds a relay together: it reads the mounted files, brings a new policy up beside the old one, hands a new pair
 * to the tasks, and says what is in force. One change at a time; a policy that is invalid or whose tasks do not come up
 * is refused and the old one stays. Nothing here throws once `start` has resolved.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { PodStatus } from '#crds/podstatus.ts';
import { hashOf, type Policy, printPolicy } from '#crds/policyfile.ts';
import type { Log } from '../log.ts';
import { listenerMaterials, NO_MATERIALS, routerMaterials } from '../materials.ts';
import { type Counted, NO_FIGURES } from '../messages.ts';
import { type AdminServer, startAdmin } from '../serve/admin.ts';
import { Metrics } from '../serve/metrics.ts';
import { Certificates } from './certificates.ts';
import { listenerProcesses } from './cpus.ts';
import type { Generation } from './generation.ts';
import { digestOf, type Inputs, readInputs, watchInputs } from './inputs.ts';
import { hashOfText, judgeText } from './judge.ts';
import { readLastGood, writeLastGood } from './lastgood.ts';
import { ListenerTasks } from './listeners.ts';
import { awaitsMount, missingOf } from './missing.ts';
import { PlaintextClients } from './plaintext.ts';
import { planRestart, type RestartPlan } from './plan.ts';
import type { BoundAddress, Relay, RelayOptions } from './relay.ts';
import { Revisions } from './revision.ts';
import { type RaisedRouter, RouterTask } from './router.ts';
import { ListeningSockets } from './sockets.ts';
import { podStatusOf } from './status.ts';

const DRAIN_MS = 5 * 60_000;
/** Deliveries under way at a change of policy end within this, or return to the queue. */
const ROUTER_DRAIN_MS = 30_000;
const POLL_MS = 2_000;
/** Dates pass without any event, and figures are told once a minute. */
const TICK_MS = 5_000;
const TELL_WITHIN_MS = 50;

type Applied = { kind: 'applied' } | { kind: 'failed'; message: string };

export class Supervisor implements Relay {
  readonly #options: RelayOptions;
  readonly #release: () => void;
  readonly #log: Log;
  readonly #sockets: ListeningSockets;
  readonly #listeners: ListenerTasks;
  readonly #router: RouterTask;
  readonly #certificates: Certificates;
  readonly #metrics = new Metrics();
  readonly #plaintext = new PlaintextClients(Date.now);
  readonly #revisions = new Revisions(Date.now);
  #policy: Policy | undefined;
  #materials = NO_MATERIALS;
  #refused: PodStatus['policy']['refused'] = null;
  #queue = NO_FIGURES;
  #stopping = false;
  #seen = '';
  #work: Promise<void> = Promise.resolve();
  #admin: AdminServer | undefined;
  #unwatch: () => void = () => undefined;
  #ticker: NodeJS.Timeout | undefined;
  #telling: NodeJS.Timeout | undefined;

  constructor(options: RelayOptions, release: () => void) {
    this.#options = options;
    this.#release = release;
    this.#log = options.log;
    this.#certificates = new Certificates(options.log);
    this.#sockets = new ListeningSockets(options.address, (socket, port) =>
      this.#listeners.accept(socket, port),
    );
    const around = {
      stateDir: options.stateDir,
      logFd: options.logFd,
      clock: Date.now,
      log: options.log,
      onCounts: (counted: Counted) => this.#metrics.add(counted),
      onChange: () => this.#changed(),
    };
    this.#listeners = new ListenerTasks({
      ...around,
      processes: options.processes ?? listenerProcesses(),
      drainMs: options.drainMs ?? DRAIN_MS,
      onEntered: (ids) => this.#router.entered(ids),
      onPlaintext: (client, helo) => this.#plaintext.saw(client, helo),
    });
    this.#router = new RouterTask({
      ...around,
      drainMs: ROUTER_DRAIN_MS,
      onQueue: (figures) => {
        this.#queue = figures;
        this.#listeners.learnQueue(figures);
        this.#changed();
      },
    });
  }

  /** Rejects with one sentence, and leaves nothing running, when the relay cannot serve at all. */
  async start(): Promise<void> {
    const { adminAddress, adminPort, pollMs = POLL_MS } = this.#options;
    try {
      this.#admin = await startAdmin(adminAddress, adminPort, {
        status: () => this.status(),
        metrics: () => this.#metrics.render(this.status()),
        differsFrom: (since, waitMs) => this.#revisions.differsFrom(since, waitMs),
      });
      await this.#firstPolicy();
    } catch (error) {
      await this.#end(0);
      throw error;
    }
    this.#unwatch = watchInputs(this.#options, () => void this.reload(), pollMs);
    this.#ticker = setInterval(() => this.#changed(), TICK_MS);
    this.#revisions.consider(this.#facts());
  }

  ready(): boolean {
    return this.status().ready;
  }

  status(): PodStatus {
    return { ...this.#facts(), revision: this.#revisions.current };
  }

  addresses(): BoundAddress[] {
    const listeners = this.#policy?.inbound.listeners ?? [];
    return listeners.flatMap(({ name, port }) => {
      const bound = this.#sockets.addressOf(port);
      return bound ? [{ name, ...bound }] : [];
    });
  }

  admin(): { address: string; port: number } {
    if (!this.#admin) throw new Error('The relay was not started');
    return this.#admin.bound;
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
    this.#log('stopping', { sessions: this.#listeners.openSessions });
    await this.#work;
    await sleep(this.#options.graceMs ?? 0);
    await this.#end(this.#options.drainMs ?? DRAIN_MS);
    this.#log('stopped');
    this.#release();
  }

  async #firstPolicy(): Promise<void> {
    const inputs = readInputs(this.#options);
    this.#seen = digestOf(inputs);
    const mounted = judgeText(inputs.policy);
    const first = mounted.kind === 'policy' ? mounted : judgeText(readLastGood(this.#options.stateDir));
    if (first.kind === 'invalid') {
      const reason = mounted.kind === 'invalid' ? mounted.message : first.message;
      throw new Error(
        `Cannot start without a policy: ${reason}, and there is no last good one in the state folder`,
      );
    }
    if (mounted.kind === 'invalid') this.#refuse(inputs.policy, mounted.message);
    this.#lookAtPairs(inputs, first.policy);
    const applied = await this.#apply(first.policy, inputs);
    if (applied.kind === 'failed') throw new Error(applied.message);
    this.#useMaterials(inputs);
  }

  /** Takes up what the files say now, where it differs from what they said. */
  async #look(): Promise<void> {
    const inputs = readInputs(this.#options);
    const digest = digestOf(inputs);
    if (digest === this.#seen || this.#stopping) return;
    this.#seen = digest;
    const mounted = judgeText(inputs.policy);
    const policy = mounted.kind === 'policy' ? mounted.policy : this.#policy;
    if (policy) this.#lookAtPairs(inputs, policy);
    if (mounted.kind === 'invalid') this.#refuse(inputs.policy, mounted.message);
    else await this.#take(mounted.policy, inputs);
    this.#useMaterials(inputs);
    this.#changed();
  }

  #lookAtPairs(inputs: Inputs, policy: Policy): void {
    if (this.#certificates.look(inputs, policy, new Date()))
      this.#listeners.usePairs(this.#certificates.pairs);
  }

  #useMaterials(inputs: Inputs): void {
    if (!this.#policy) return;
    this.#materials = inputs.materials;
    this.#listeners.useMaterials(listenerMaterials(this.#policy, inputs.materials));
    this.#router.useMaterials(routerMaterials(this.#policy, inputs.materials));
  }

  async #take(policy: Policy, inputs: Inputs): Promise<void> {
    if (this.#policy && hashOf(this.#policy) === hashOf(policy)) {
      this.#refused = null;
      return;
    }
    if (this.#policy && this.#policy.queue.mode !== policy.queue.mode) {
      this.#refuse(printPolicy(policy), 'queue.mode cannot change while the relay runs');
      return;
    }
    // The pod is about to be replaced by one that has the mount; until then the old policy is right.
    if (this.#policy && awaitsMount(policy, inputs.materials)) {
      this.#log('policy_awaits_mount', { hash: hashOf(policy) });
      return;
    }
    const applied = await this.#apply(policy, inputs);
    if (applied.kind === 'failed') this.#refuse(printPolicy(policy), applied.message);
    else this.#refused = null;
  }

  /** Brings a policy into force, or leaves everything as it was. */
  async #apply(policy: Policy, inputs: Inputs): Promise<Applied> {
    const plan = planRestart(this.#policy, policy);
    const bound = await this.#sockets.open(policy.inbound.listeners);
    if (bound.kind === 'failed') return bound;
    if (plan.listener) this.#listeners.useMaterialsForNext(listenerMaterials(policy, inputs.materials));
    if (plan.router) this.#router.useMaterialsForNext(routerMaterials(policy, inputs.materials));
    const raised = await this.#raise(policy, plan);
    if (raised.kind === 'failed') {
      this.#sockets.keepOnly(this.#policy?.inbound.listeners ?? []);
      return raised;
    }
    const first = this.#policy === undefined;
    this.#policy = policy;
    if (raised.listeners) this.#listeners.putInService(raised.listeners);
    if (raised.router) this.#router.putInService(raised.router);
    this.#sockets.keepOnly(policy.inbound.listeners);
    this.#remember(policy);
    this.#log(first ? 'policy_in_force' : 'policy_changed', {
      hash: hashOf(policy),
      listener: plan.listener ? 'restarted' : 'kept',
      router: plan.router ? 'restarted' : 'kept',
    });
    this.#changed();
    return { kind: 'applied' };
  }

  /** Brings up what the plan restarts: all of it, or nothing. */
  async #raise(policy: Policy, plan: RestartPlan): Promise<Raised> {
    const [listeners, router] = await Promise.all([
      plan.listener ? this.#listeners.raise(policy) : undefined,
      plan.router ? this.#router.raise(policy) : undefined,
    ]);
    const failed = [listeners, router].find((one) => one !== undefined && 'kind' in one);
    if (failed === undefined) return { kind: 'raised', listeners, router } as Raised;
    if (listeners && !('kind' in listeners)) this.#listeners.abandon(listeners);
    if (router && !('kind' in router)) this.#router.abandon(router);
    return failed as Extract<Raised, { kind: 'failed' }>;
  }

  #refuse(text: string | undefined, message: string): void {
    const hash = hashOfText(text);
    this.#refused = { hash, message };
    this.#log('policy_refused', { hash, message });
    this.#changed();
  }

  #remember(policy: Policy): void {
    try {
      writeLastGood(this.#options.stateDir, printPolicy(policy));
    } catch (error) {
      this.#log('last_good_not_written', { message: (error as Error).message });
    }
  }

  #facts(): Omit<PodStatus, 'revision'> {
    const now = new Date();
    return podStatusOf({
      version: this.#options.version,
      stopping: this.#stopping,
      policy: this.#policy,
      refused: this.#refused,
      certificates: this.#certificates.status(this.#policy, now),
      listeners: this.#listeners,
      router: this.#router,
      missing: this.#policy ? missingOf(this.#policy, this.#materials) : [],
      plaintext: this.#plaintext,
      queue: this.#queue,
      now,
    });
  }

  /** Many changes come together, and putting a status together is not free. */
  #changed(): void {
    this.#telling ??= setTimeout(() => {
      this.#telling = undefined;
      this.#revisions.consider(this.#facts());
    }, TELL_WITHIN_MS);
  }

  async #end(drainMs: number): Promise<void> {
    clearInterval(this.#ticker);
    this.#sockets.keepOnly([]);
    await this.#listeners.stop(drainMs);
    await this.#router.stop(Math.min(drainMs, ROUTER_DRAIN_MS));
    clearTimeout(this.#telling);
    await this.#admin?.close();
  }
}

type Raised =
  | { kind: 'raised'; listeners: Generation | undefined; router: RaisedRouter | undefined }
  | { kind: 'failed'; message: string };

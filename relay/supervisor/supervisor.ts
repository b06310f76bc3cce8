/**
 * The main loop of a relay: brings the mounted files into service beside the running tasks, and publishes the status.
 * It refuses a policy that is invalid or whose tasks do not start. After `start` has resolved nothing throws here.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { PodStatus } from '#crds/podstatus.ts';
import { hashContent, type Policy, printPolicy } from '#crds/policyfile.ts';
import { parseScale } from '#crds/scalefile.ts';
import { type AdminServer, startAdmin } from '../observe/admin.ts';
import type { Log } from '../observe/log.ts';
import { Metrics } from '../observe/metrics.ts';
import { monotonic, wall } from '../task/clock.ts';
import { NO_MATERIALS } from '../task/materials.ts';
import { type Counted, NO_FIGURES } from '../task/messages.ts';
import { BuiltTables } from './builttables.ts';
import { Certificates } from './certificates.ts';
import { listenerProcesses } from './cpus.ts';
import { DkimKeys } from './dkimkeys.ts';
import { describeEvacuation, type Evacuation, planEvacuation } from './evacuation.ts';
import { computeDigest, type Inputs, readInputs, watchInputs } from './inputs.ts';
import { hashOfText, judgeText } from './judge.ts';
import { keep, readKept } from './keptfile.ts';
import { KeptTraffic } from './kepttraffic.ts';
import { awaitsMount, listMissing } from './missing.ts';
import type { BoundAddress, Relay, RelayOptions } from './options.ts';
import type { RestartPlan } from './plan.ts';
import { Revisions } from './revision.ts';
import { Service } from './service.ts';
import { describePod } from './status.ts';

const DRAIN_MS = 5 * 60_000;
/** Dates pass without an event, and figures are published once a minute. */
const TICK_MS = 5_000;
const TELL_WITHIN_MS = 50;

export class Supervisor implements Relay {
  readonly #options: RelayOptions;
  readonly #release: () => void;
  readonly #log: Log;
  readonly #service: Service;
  readonly #certificates: Certificates;
  readonly #metrics = new Metrics();
  readonly #traffic: KeptTraffic;
  readonly #revisions = new Revisions(monotonic);
  readonly #dkimKeys = new DkimKeys();
  #materials = NO_MATERIALS;
  readonly #tables: BuiltTables;
  #refused: PodStatus['policy']['refused'] = null;
  #queue = NO_FIGURES;
  #stopping = false;
  /** Set from the announcement on: new clients should use other pods. */
  #evacuation: Evacuation | null = null;
  #scaleOrderInForce: string | undefined;
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
    this.#certificates = new Certificates(options.log, options.authorityMs);
    this.#tables = new BuiltTables(options.stateDir, options.log);
    this.#traffic = new KeptTraffic(options.stateDir, options.log);
    this.#service = new Service(options, {
      clock: monotonic,
      processes: options.processes ?? listenerProcesses(),
      drainMs: options.drainMs ?? DRAIN_MS,
      onCounts: (counted: Counted) => {
        this.#metrics.add(counted);
        this.#traffic.outbound.add(counted);
      },
      onChange: () => this.#changed(),
      onPlaintext: (client, helo, isRefused) => this.#traffic.plaintext.saw(client, helo, isRefused),
      onQueue: (figures) => {
        this.#queue = figures;
        this.#changed();
      },
    });
  }

  /** Rejects with one sentence if the relay cannot serve, and leaves nothing running. */
  async start(): Promise<void> {
    const { adminAddress, adminPort, pollMs } = this.#options;
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
    this.#traffic.start();
    this.#revisions.consider(this.#facts());
  }

  ready(): boolean {
    return this.status().ready;
  }

  status(): PodStatus {
    return { ...this.#facts(), revision: this.#revisions.current };
  }

  addresses(): BoundAddress[] {
    return this.#service.addresses;
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
    this.#log('stopping', { sessions: this.#service.listeners.openSessions });
    await this.#work;
    // A pod in evacuation has no clients any more.
    if (!this.#evacuation) await sleep(this.#options.graceMs ?? 0);
    await this.#end(this.#options.drainMs ?? DRAIN_MS);
    this.#log('stopped');
    this.#release();
  }

  async #firstPolicy(): Promise<void> {
    const read = readInputs(this.#options);
    this.#seen = computeDigest(read);
    const inputs = await this.#tables.addTo(read);
    const mounted = judgeText(inputs.policy);
    const first =
      mounted.kind === 'policy' ? mounted : judgeText(readKept(this.#options.stateDir, 'lastGood'));
    if (first.kind === 'invalid') {
      const reason = mounted.kind === 'invalid' ? mounted.message : first.message;
      throw new Error(
        `Cannot start without a policy: ${reason}, and there is no last good one in the state folder`,
      );
    }
    if (mounted.kind === 'invalid') this.#refuse(inputs.policy, mounted.message);
    this.#options.log.obey(first.policy.logging, this.#options.stateDir);
    this.#lookAtPairs(inputs, first.policy);
    this.#evacuation = this.#evacuationBy(inputs);
    const failure = await this.#apply(first.policy, inputs);
    if (failure !== undefined) throw new Error(failure);
    this.#scaleOrderInForce = parseScale(inputs.scale ?? '')?.order;
    this.#materials = inputs.materials;
    this.#service.useMaterials(this.#materials);
  }

  /** Reads the files and applies what changed. */
  async #look(): Promise<void> {
    const read = readInputs(this.#options, this.#service.policy);
    const digest = computeDigest(read);
    if (this.#stopping || (digest === this.#seen && !this.#certificates.isDue())) return;
    if (await this.#announce(read)) return this.#look();
    const inputs = await this.#tables.addTo(read);
    this.#seen = digest;
    const mounted = judgeText(inputs.policy);
    const policy = mounted.kind === 'policy' ? mounted.policy : this.#service.policy;
    if (policy) this.#lookAtPairs(inputs, policy);
    if (mounted.kind === 'invalid') this.#refuse(inputs.policy, mounted.message);
    else await this.#take(mounted.policy, inputs);
    // This follows an evacuation and opens the port for siblings even if the policy was refused.
    const failure = this.#service.policy && (await this.#apply(this.#service.policy, inputs));
    if (failure === undefined) this.#scaleOrderInForce = parseScale(inputs.scale ?? '')?.order;
    await this.#service.lookAtReceiverPort(this.#certificates.pairs.host);
    this.#materials = inputs.materials;
    this.#service.useMaterials(this.#materials);
    this.#changed();
  }

  /** Announces an evacuation first. Clients are still served while they learn of it. True if it waited. */
  async #announce(inputs: Inputs): Promise<boolean> {
    const evacuation = this.#evacuationBy(inputs);
    const begins = evacuation !== null && this.#evacuation === null;
    this.#evacuation = evacuation;
    if (!begins) return false;
    this.#log('evacuation_announced', { sessions: this.#service.listeners.openSessions });
    this.#changed();
    await sleep(this.#options.graceMs ?? 0);
    return true;
  }

  #evacuationBy({ scale }: Inputs): Evacuation | null {
    return planEvacuation(parseScale(scale ?? ''), this.#options.among, this.#certificates.pairs.host);
  }

  #lookAtPairs(inputs: Inputs, policy: Policy): void {
    if (this.#certificates.look(inputs, policy, new Date(wall())))
      this.#service.usePairs(this.#certificates.pairs);
  }

  async #take(policy: Policy, inputs: Inputs): Promise<void> {
    const { policy: current } = this.#service;
    if (current && current.queue.mode !== policy.queue.mode) {
      this.#refuse(printPolicy(policy), 'queue.mode cannot change while the relay runs');
      return;
    }
    // A pod with the mount will soon replace this one. Until then the old policy is right.
    if (current && hashContent(current) !== hashContent(policy) && awaitsMount(policy, inputs.materials)) {
      this.#log('policy_awaits_mount', { hash: hashContent(policy) });
      return;
    }
    const failure = await this.#apply(policy, inputs);
    if (failure !== undefined) this.#refuse(printPolicy(policy), failure);
    else this.#refused = null;
  }

  /** Brings a policy into force, for a pod that stays or is evacuated. Returns the reason if nothing was changed. */
  async #apply(policy: Policy, inputs: Inputs): Promise<string | undefined> {
    const order = { policy, evacuation: policy.queue.mode === 'Durable' ? this.#evacuationBy(inputs) : null };
    if (this.#service.isOrdered(order)) return undefined;
    const before = this.#service.policy;
    const applied = await this.#service.apply(order, inputs.materials, this.#certificates.pairs.host);
    if (applied.kind === 'failed') return applied.message;
    this.#options.log.obey(policy.logging, this.#options.stateDir);
    keep(this.#options.stateDir, this.#log, 'lastGood', printPolicy(policy));
    this.#tell(before, policy, applied.plan);
    this.#changed();
    return undefined;
  }

  #tell(before: Policy | undefined, policy: Policy, { listener, router }: RestartPlan): void {
    const what = before && hashContent(before) === hashContent(policy) ? 'scale_changed' : 'policy_changed';
    this.#log(before ? what : 'policy_in_force', {
      hash: hashContent(policy),
      listener: listener ? 'restarted' : 'kept',
      router: router ? 'restarted' : 'kept',
    });
  }

  #refuse(text: string | undefined, message: string): void {
    const hash = hashOfText(text);
    this.#refused = { hash, message };
    this.#log('policy_refused', { hash, message });
    this.#changed();
  }

  #facts(): Omit<PodStatus, 'revision'> {
    const { policy, listeners, router } = this.#service;
    const now = new Date(wall());
    // A pod that is wanted again counts as evacuated until its listeners are back. Without a queue there is nothing to
    // hand over.
    const announced = this.#evacuation ?? this.#service.evacuation;
    const evacuation = policy?.queue.mode === 'Durable' ? announced : null;
    return describePod({
      version: this.#options.version,
      identity: this.#options.identity,
      stopping: this.#stopping,
      evacuating: announced !== null,
      evacuation: describeEvacuation(evacuation, this.#queue, this.#service.isEmptied(this.#queue)),
      order: this.#scaleOrderInForce,
      policy,
      refused: this.#refused,
      certificates: this.#certificates.status(policy, now),
      listeners,
      router,
      servedPolicy: this.#service.policyHost.describe(now),
      late: this.#service.late,
      missing: policy ? listMissing(policy, this.#materials) : [],
      dkimKeys: policy ? this.#dkimKeys.list(policy, this.#materials) : [],
      plaintext: this.#traffic.plaintext,
      outbound: this.#traffic.outbound.describe(),
      refusals: this.#metrics.lastRefusals,
      sessionCounts: this.#metrics.sessionCounts,
      queue: this.#queue,
      now,
    });
  }

  #changed(): void {
    this.#telling ??= setTimeout(() => {
      this.#telling = undefined;
      this.#revisions.consider(this.#facts());
    }, TELL_WITHIN_MS);
  }

  async #end(drainMs: number): Promise<void> {
    clearInterval(this.#ticker);
    await this.#service.end(drainMs);
    this.#traffic.stop();
    clearTimeout(this.#telling);
    await this.#admin?.close();
  }
}

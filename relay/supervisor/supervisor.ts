/**
 * The main loop of a relay: brings the mounted files into service beside the running tasks, and publishes the status.
 * A policy that is invalid or whose tasks do not start is refused (orders.ts). After `start` has resolved nothing throws here.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { PodStatus } from '#crds/podstatus.ts';
import type { Policy } from '#crds/policyfile.ts';
import { joinSessions, type OpenSessions } from '#crds/sessions.ts';
import { type AdminServer, startAdmin } from '../observe/admin.ts';
import type { Log } from '../observe/log.ts';
import { Metrics } from '../observe/metrics.ts';
import { monotonic, wall } from '../task/clock.ts';
import { type Materials, NO_MATERIALS } from '../task/materials.ts';
import { type Counted, NO_FIGURES } from '../task/messages.ts';
import { BuiltTables } from './builttables.ts';
import { Certificates } from './certificates.ts';
import { listenerProcesses } from './cpus.ts';
import { DkimKeys } from './dkimkeys.ts';
import { describeEvacuation, type Evacuation } from './evacuation.ts';
import { computeDigest, type Inputs, readInputs, watchInputs } from './inputs.ts';
import { judgeText } from './judge.ts';
import { readKept } from './keptfile.ts';
import { KeptTraffic } from './kepttraffic.ts';
import { listMissing } from './missing.ts';
import type { BoundAddress, Relay, RelayOptions } from './options.ts';
import { Orders } from './orders.ts';
import { Retry } from './retry.ts';
import { Revisions } from './revision.ts';
import { Service } from './service.ts';
import { describePod } from './status.ts';

const DRAIN_MS = 5 * 60_000;
/** Dates pass without an event, and figures are published once a minute. */
const TICK_MS = 5_000;
const TELL_WITHIN_MS = 50;
/** The status tells what could not be read in so many looks, which take ten seconds at most. Less may be a moment's lack of means. */
const UNREAD_LOOKS = 5;

export class Supervisor implements Relay {
  readonly #options: RelayOptions;
  readonly #release: () => void;
  readonly #log: Log;
  readonly #service: Service;
  readonly #orders: Orders;
  readonly #certificates: Certificates;
  readonly #metrics = new Metrics();
  readonly #traffic: KeptTraffic;
  readonly #revisions = new Revisions(monotonic);
  readonly #dkimKeys = new DkimKeys();
  #materials = NO_MATERIALS;
  readonly #tables: BuiltTables;
  #queue = NO_FIGURES;
  #stopping = false;
  /** Set from the announcement on: new clients should use other pods. */
  #evacuation: Evacuation | null = null;
  #seen = '';
  /** The looks in a row that could not read what is mounted, and why the last one could not. */
  #unread = { looks: 0, message: '' };
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
    this.#tables = new BuiltTables(options.stateDir, options.log, new Retry(monotonic, options.retryMs));
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
    const hostPair = () => this.#certificates.pairs.host;
    this.#orders = new Orders(options, this.#service, hostPair, () => this.#changed());
  }

  /** Rejects with one sentence if the relay cannot serve, and leaves nothing running. */
  async start(): Promise<void> {
    const { adminAddress, adminPort, pollMs } = this.#options;
    try {
      this.#admin = await startAdmin(adminAddress, adminPort, {
        status: () => this.status(),
        metrics: () => this.#metrics.render(this.status()),
        sessions: () => this.#listSessions(),
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
    this.#options.log.obey(first.policy.logging, this.#options.stateDir);
    this.#lookAtPairs(inputs, first.policy);
    this.#evacuation = this.#orders.evacuationBy(inputs);
    await this.#orders.start(mounted, first.policy, inputs);
    this.#useMaterials(inputs.materials);
  }

  /** Reads the files and applies what changed, or what failed and is due again. */
  async #look(): Promise<void> {
    if (this.#stopping) return;
    const read = this.#read();
    if (!read) return;
    const digest = computeDigest(read);
    const isNews = digest !== this.#seen;
    if (isNews || [this.#certificates, this.#orders, this.#tables].some((part) => part.isDue())) {
      if (await this.#announce(read)) return this.#look();
      this.#seen = digest;
      if (isNews) this.#orders.begin();
      await this.#follow(await this.#tables.addTo(read));
    }
    // The port may have been in use at the last look.
    await this.#service.lookAtReceiverPort(this.#certificates.pairs.host);
  }

  /** Undefined: what is mounted cannot be told now. All stays as it is until a later look. */
  #read(): Inputs | undefined {
    try {
      const inputs = readInputs(this.#options, this.#service.policy);
      this.#noteRead('');
      return inputs;
    } catch (error) {
      this.#noteRead((error as Error).message);
      return undefined;
    }
  }

  /** An empty message: all was read. */
  #noteRead(message: string): void {
    const [before, { looks }] = [this.#refused, this.#unread];
    if (message !== '' && message !== this.#unread.message) this.#log('inputs_not_read', { message });
    this.#unread = { looks: message === '' ? 0 : looks + 1, message };
    if (this.#refused?.message !== before?.message) this.#changed();
  }

  /** What cannot be read is not taken, and where that lasts the certificate in force would end unseen. */
  get #refused(): PodStatus['policy']['refused'] {
    const { looks, message } = this.#unread;
    return this.#orders.refused ?? (looks < UNREAD_LOOKS ? null : { hash: null, message });
  }

  async #follow(inputs: Inputs): Promise<void> {
    const mounted = judgeText(inputs.policy);
    const policy = mounted.kind === 'policy' ? mounted.policy : this.#service.policy;
    if (policy) this.#lookAtPairs(inputs, policy);
    await this.#orders.follow(mounted, inputs);
    this.#useMaterials(inputs.materials);
    this.#changed();
  }

  #useMaterials(materials: Materials): void {
    this.#materials = materials;
    this.#service.useMaterials(materials);
  }

  /** Announces an evacuation first. Clients are still served while they learn of it. True if it waited. */
  async #announce(inputs: Inputs): Promise<boolean> {
    const evacuation = this.#orders.evacuationBy(inputs);
    const begins = evacuation !== null && this.#evacuation === null;
    this.#evacuation = evacuation;
    if (!begins) return false;
    this.#log('evacuation_announced', { sessions: this.#service.listeners.openSessions });
    this.#changed();
    await sleep(this.#options.graceMs ?? 0);
    return true;
  }

  #lookAtPairs(inputs: Inputs, policy: Policy): void {
    if (this.#certificates.look(inputs, policy, new Date(wall())))
      this.#service.usePairs(this.#certificates.pairs);
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
      order: this.#orders.scaleOrderInForce,
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

  async #listSessions(): Promise<OpenSessions> {
    const { listeners, router } = this.#service;
    const processes = [...listeners.processes, ...router.processes];
    return joinSessions(await Promise.all(processes.map((process) => process.sessions())));
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

/**
 * Runs the reconciler: each change in the caches or in a pod report puts the key of its MailRelay into the queue, and
 * each key is reconciled once. Works only while this process leads. A failure is logged once per reason and tried
 * again. A run that wrote something is logged with the time that each step took.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { MailRelay } from '#crds/mailrelay.ts';
import { Answers } from './answers.ts';
import { read } from './attempt.ts';
import { Caches } from './caches.ts';
import { ReadEvents } from './complaints.ts';
import { ForbiddenWrites } from './forbidden.ts';
import { gatherWorld, type Sources } from './gather.ts';
import { decideClaim, type Installation, isPaused, takenEvent } from './installation.ts';
import { findCure } from './judge/kubecures.ts';
import { separatePods } from './judge/ownpods.ts';
import type { Client } from './kube/client.ts';
import { isKubeError } from './kube/errors.ts';
import { type RelayEvent, writeEvent } from './kube/events.ts';
import { separatePartial } from './kube/partial.ts';
import { WorkQueue } from './kube/workqueue.ts';
import { readLacking } from './lacking.ts';
import type { Log } from './log.ts';
import type { OperatorMetrics } from './metrics.ts';
import { AllPaces } from './paces.ts';
import { PodPoller, type PollTarget } from './pods/poller.ts';
import { Refresher } from './pods/refresh.ts';
import { reconcile, stampRelay } from './reconcile.ts';
import { ReconcileWriter } from './reconcilewriter.ts';
import { listAwaited } from './records/proof.ts';
import type { RenderSettings } from './render/index.ts';
import { Rollouts } from './rollouts.ts';
import { type Reporting, withFaultsTold } from './tellstatus.ts';
import { TlsaLookups } from './tlsalookups.ts';
import { ToldCauses } from './toldcauses.ts';
import { isSameWish } from './wish.ts';
import type { World } from './world.ts';

/** The longest wait for running writes at the end. A slow API server must not keep the Lease from the next leader. */
const ENDING_MS = 2_000;

export interface ControllerOptions {
  readonly client: Client;
  readonly namespaces: readonly string[] | undefined;
  readonly settings: RenderSettings;
  readonly installation: Installation;
  readonly workers: number;
  readonly rollingRelays: number;
  readonly identity: string;
  readonly log: Log;
  readonly metrics: OperatorMetrics;
  /** False if another process may lead by now. */
  readonly mayWrite: () => boolean;
}

export class Controller {
  readonly #options: ControllerOptions;
  readonly #caches: Caches;
  readonly #queue: WorkQueue;
  readonly #poller: PodPoller;
  readonly #lookups: TlsaLookups;
  readonly #refresher = new Refresher();
  readonly #forbidden = new ForbiddenWrites(() => performance.now());
  readonly #answers = new Answers();
  readonly #readEvents = new ReadEvents(() => performance.now());
  readonly #causes = new ToldCauses();
  readonly #paces = new AllPaces(() => performance.now());
  readonly #rollouts: Rollouts;
  readonly #failing = new Map<string, string>();
  /** Relays of other installations for which the event was written, by uid. */
  readonly #told = new Map<string, string>();
  #leading = false;

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#rollouts = new Rollouts(options.rollingRelays, (key) => this.#queue.add(key, 'routine'));
    this.#queue = new WorkQueue((key, queuedMs) => this.#work(key, queuedMs), options.workers, Math.random);
    this.#poller = new PodPoller((key, priority) => this.#queue.add(key, priority));
    this.#lookups = new TlsaLookups({
      onAnswer: (key) => this.#queue.add(key, 'routine'),
      monotonic: () => performance.now(),
    });
    this.#caches = new Caches({
      client: options.client,
      namespaces: options.namespaces,
      random: Math.random,
      onNews: (key) => this.#onNews(key),
      onComplete: (keys) => this.#begin(keys),
      onTrouble: (kind, message) => options.log('cannot_watch', { kind: kind.plural, message }),
      onAway: (namespace, message) => options.log('namespace_away', { namespace, message }),
      onBack: (namespace) => options.log('namespace_back', { namespace }),
    });
  }

  /** Fills the caches. Writes nothing before `lead`. */
  start(): void {
    this.#caches.start();
  }

  /** The reason why the controller cannot work; undefined if it can. */
  get trouble(): string | undefined {
    const { message } = this.#forbidden;
    const forbidden = message && `writes are forbidden, restore the roles of the operator: ${message}`;
    return this.#caches.trouble ?? forbidden;
  }

  get figures() {
    return {
      queueDepth: this.#queue.depth,
      queueOldestMs: this.#queue.oldestMs,
      watches: this.#caches.figures,
      namespaces: this.#caches.namespaces,
      leading: this.#leading,
    };
  }

  /**
   * From now on this process writes. Resolves when the caches are complete (except those of namespaces that may not be
   * read) and every MailRelay is in the queue.
   */
  async lead(): Promise<void> {
    while (!this.#caches.synced) await sleep(50);
    this.#leading = true;
    this.#begin(this.#caches.keys());
  }

  /** Queues MailRelays whose caches are complete now: at the start, or in a namespace that came later. */
  #begin(keys: readonly string[]): void {
    if (!this.#leading) return;
    for (const key of keys) {
      const [relay, objects] = [this.#caches.relay(key), this.#caches.objectsOf(key)];
      const claim = relay && decideClaim(relay, objects, this.#options.installation);
      if (claim?.kind === 'ours') this.#rollouts.learn(key, objects, this.#options.client.now());
    }
    for (const key of keys) this.#queue.add(key, 'routine');
  }

  /** Renews the watches after the API server was away, and tries failed keys again. */
  apiServerBack(): void {
    this.#caches.renew();
    this.#paces.clear();
    this.#queue.retryNow();
  }

  /** Begins no more writes. Running ones get a moment; a write that arrives later does no harm. */
  async stop(): Promise<void> {
    this.#leading = false;
    this.#caches.stop();
    this.#lookups.stop();
    await Promise.race([this.#queue.stop(), sleep(ENDING_MS)]);
    await this.#poller.stop();
  }

  #onNews(key: string): void {
    if (this.#leading && this.#caches.isComplete(key)) this.#queue.add(key);
  }

  async #work(key: string, queuedMs: number): Promise<void> {
    if (!this.#caches.isComplete(key)) return; // All keys are queued when they are.
    const { metrics } = this.#options;
    const begun = performance.now();
    try {
      const relay = (await this.#claim(key)) ? this.#caches.relay(key) : undefined;
      if (relay) {
        const writer = this.#writer(key);
        await withFaultsTold(relay, this.#options.client.now(), this.#reporting(key, writer), () =>
          this.#look(key, relay, writer, begun - queuedMs),
        );
        metrics.reconciled('ok', performance.now() - begun);
      } else {
        this.#poller.follow(key, new Map());
        this.#lookups.follow(key, []);
        for (const known of [this.#refresher, this.#readEvents, this.#causes, this.#paces]) known.forget(key);
        this.#rollouts.forget(key, this.#options.client.now());
      }
      this.#failing.delete(key);
    } catch (error) {
      metrics.reconciled('error', performance.now() - begun);
      this.#failed(key, error);
      throw error;
    }
  }

  /** True if this operator manages the MailRelay. The MailRelay then carries its stamp. */
  async #claim(key: string): Promise<boolean> {
    const { installation, log } = this.#options;
    const relay = this.#caches.relay(key);
    if (!relay || relay.metadata.deletionTimestamp) return false;
    const claim = decideClaim(relay, this.#caches.objectsOf(key), installation);
    if (claim.kind === 'taken' && this.#told.get(relay.metadata.uid) !== claim.by) {
      this.#told.set(relay.metadata.uid, claim.by);
      log('left_alone', { relay: key, installation: claim.by });
      await this.#tell(this.#writer(key), relay, takenEvent(relay, claim.by, installation));
    }
    if (claim.kind === 'free' && !isPaused(relay)) await stampRelay(this.#writer(key), relay, installation);
    return claim.kind === 'ours' || claim.kind === 'free';
  }

  /** Reads the objects whose content is not kept, because they were there before the MailRelay. */
  async #readPartial(key: string, writer: ReconcileWriter): Promise<void> {
    for (const path of this.#caches.listPartial(key)) {
      const live = await read(writer, path);
      if (live) this.#caches.complete(live);
    }
  }

  /** All requests of a look go through its one writer, which knows how long the look has only waited. */
  async #look(key: string, relay: MailRelay, writer: ReconcileWriter, heardAt: number): Promise<void> {
    const caches = this.#caches;
    await this.#readPartial(key, writer);
    this.#poller.follow(key, this.#listTargets(key));
    const lacking = await readLacking(writer, relay, caches);
    const sources: Sources = {
      caches,
      reportOf: (_namespace, pod, uid) => this.#poller.reportOf(key, pod, uid),
      asked: (one) => this.#poller.hasAsked(one),
      dnsOf: (one) => this.#lookups.answersFor(one),
      now: () => this.#options.client.now(),
    };
    if (!isSameWish(relay, caches.relay(key))) return;
    const world = gatherWorld(key, sources, lacking);
    this.#lookups.follow(key, world && !isPaused(relay) ? listAwaited(world) : []);
    if (world) await this.#reconcile(key, world, writer, heardAt);
  }

  async #reconcile(key: string, world: World, writer: ReconcileWriter, heardAt: number): Promise<void> {
    const { lookAgainMs, failure } = await reconcile(world, {
      ...this.#reporting(key, writer),
      settings: this.#options.settings,
      refresher: this.#refresher,
      rollouts: this.#rollouts,
      readEvents: this.#readEvents,
    }).finally(() => this.#queue.charge(key, writer));
    if (lookAgainMs !== undefined) this.#queue.addAfter(key, lookAgainMs);
    if (failure) throw failure;
    if (writer.writes === 0) return;
    const ownMs = performance.now() - heardAt - writer.waitedMs;
    const figures = { writes: writer.writes, ...rounded({ ownMs, waitedMs: writer.waitedMs }) };
    this.#options.log('reconciled', { relay: key, ...figures });
  }

  #reporting(key: string, writer: ReconcileWriter): Reporting {
    return {
      writer,
      causes: this.#causes,
      answers: this.#answers,
      onWrite: (verb, object) => this.#options.log(verb, { relay: key, object }),
      tell: (relay, event) => this.#tell(writer, relay, event),
    };
  }

  #writer(key: string): ReconcileWriter {
    const { client, metrics, mayWrite } = this.#options;
    return new ReconcileWriter({
      client,
      caches: this.#caches,
      forbidden: this.#forbidden,
      paces: this.#paces.of(key, this.#caches.relay(key)?.metadata.generation),
      mayWrite: () => this.#leading && mayWrite(),
      onAnswer: (method, ms) => metrics.answered(method, ms),
    });
  }

  async #tell(writer: ReconcileWriter, relay: MailRelay, event: RelayEvent): Promise<void> {
    const { client, identity, log } = this.#options;
    const key = `${relay.metadata.namespace}/${relay.metadata.name}`;
    log('event', { relay: key, reason: event.reason, note: event.note });
    await writeEvent(writer, { identity, now: client.now() }, relay, event).catch((error: Error) => {
      log('event_not_written', { relay: key, message: error.message });
    });
  }

  /** Logs a failure once per reason. Conflicts are normal, and the client has logged that the API server is away. */
  #failed(key: string, error: unknown): void {
    const { message } = error as Error;
    if (isKubeError(error, 'conflict', 'outdated', 'unavailable') || this.#failing.get(key) === message)
      return;
    this.#failing.set(key, message);
    this.#options.log('reconcile_failed', { relay: key, message, cure: findCure(message) });
  }

  /** The pods to poll: those of the relay that run. */
  #listTargets(key: string): Map<string, PollTarget> {
    const relay = this.#caches.relay(key);
    const { known } = separatePartial(this.#caches.objectsOf(key));
    const own = relay ? separatePods(relay, known).own : [];
    return new Map(
      own.flatMap(({ metadata, status }) => {
        const { podIP: ip, phase } = (status ?? {}) as { podIP?: string; phase?: string };
        return ip && phase === 'Running' ? [[metadata.name, { uid: metadata.uid ?? '', ip }] as const] : [];
      }),
    );
  }
}

function rounded(figures: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(figures).map(([name, ms]) => [name, Math.round(ms * 10) / 10]));
}

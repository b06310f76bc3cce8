/**
 * The queue manager. The recipients of each message wait at their destinations (destinationqueues.ts), and a limited
 * number of deliveries is under way (deliveries.ts). spoolscan.ts finds all messages in the spool. A message is
 * delivered at least once. actions.ts returns, holds and removes messages.
 */
import { describeFailure } from '#crds/failure.ts';
import type { Policy, Retry } from '#crds/policyfile.ts';
import type { Concerned, Courier, Destination } from '../delivery/courier.ts';
import type { Signer } from '../dkim/signer.ts';
import type { Log } from '../observe/log.ts';
import type { QueueRecord, Recipient } from '../spool/record.ts';
import type { Spool } from '../spool/spool.ts';
import { Counters } from '../task/counts.ts';
import type { QueueFigures } from '../task/messages.ts';
import { MessageActions, type Prospect } from './actions.ts';
import { Ages } from './ages.ts';
import { AskedAttempts } from './askedattempts.ts';
import { Deliveries, isQueued } from './deliveries.ts';
import type { DestinationQueue } from './destinationqueue.ts';
import { DestinationQueues } from './destinationqueues.ts';
import { FreshMessages } from './freshmessages.ts';
import type { MailRecorder } from './mailevent.ts';
import { findLoginPause, findPause, type LoginPause, type Pause } from './pause.ts';
import { QueueIndex } from './queueindex.ts';
import { chooseRetry } from './retry.ts';
import { findReason } from './settlement.ts';
import { Shaping } from './shaping.ts';
import type { Share } from './slots.ts';
import { SpoolScan } from './spoolscan.ts';
import type { Wanted } from './waiting.ts';

const REPORTED_DESTINATIONS = 10;

export interface QueueManagerDeps {
  readonly policy: Policy;
  readonly spool: Spool;
  readonly courier: Courier;
  readonly signer: Signer;
  readonly log: Log;
  /** The clock for all waits (monotonic). */
  readonly clock: () => number;
  /** The clock for the age of messages and for people. */
  readonly wall: () => number;
  readonly random: () => number;
  /** Absent if nobody wants to know what becomes of mail. */
  readonly recorder?: MailRecorder | undefined;
}

export class QueueManager {
  readonly #deps: QueueManagerDeps;
  readonly #queues: DestinationQueues;
  readonly #index = new QueueIndex();
  readonly #scan: SpoolScan;
  readonly counters = new Counters();
  readonly actions: MessageActions;
  /** What came of attempts that a person asked for. */
  readonly asked = new AskedAttempts();
  readonly #loaded = Promise.withResolvers<void>();
  #isLoaded = false;
  #running = false;
  readonly #fresh = new FreshMessages();
  readonly #shaping: Shaping;
  #drainEnd = Number.POSITIVE_INFINITY;
  #drained: Promise<void> | undefined;

  constructor(deps: QueueManagerDeps) {
    this.#deps = deps;
    const { spool, policy, clock } = deps;
    this.#shaping = new Shaping({ ...deps, table: spool.shaping });
    const { paces, slowDowns } = this.#shaping;
    this.#scan = new SpoolScan({
      list: (after, atMost) => spool.list(after, atMost),
      isKnown: (id) => this.#index.has(id),
      take: (id) => this.renew(id),
      onError: ({ message }) => deps.log('spool_not_read', { message }),
    });
    const ages = new Ages(deps);
    this.actions = new MessageActions({ ...deps, ages, counters: this.counters, queue: this });
    const deliveries = new Deliveries({
      ...deps,
      ages,
      counters: this.counters,
      actions: this.actions,
      isRunning: () => this.#running,
      load: (id) => this.#fresh.get(id) ?? spool.load(id),
      onLost: (id, read) => this.#lost(id, read),
      onGone: (id) => this.#index.forget(id),
      onVerdicts: (id, verdicts) => this.asked.note(id, verdicts),
    });
    this.#queues = new DestinationQueues({
      terms: { limits: policy.outbound.limits, paces, slowDowns },
      clock,
      wall: deps.wall,
      findProvider: deps.courier.findProvider,
      findLoginPause: (destination) => this.#findLoginPause(destination),
      deliver: (queue, waiting) => deliveries.deliver(queue, waiting),
    });
  }

  /** Loads everything in the spool and begins to deliver. */
  async start(): Promise<void> {
    this.#running = true;
    this.#shaping.resume();
    this.actions.start();
    await this.#scan.start();
    this.#isLoaded = true;
    if (this.#running) this.#loaded.resolve();
  }

  /** Resolves when everything in the spool is known. Before that, the list and the figures are incomplete. */
  get loaded(): Promise<void> {
    return this.#loaded.promise;
  }

  /** Looks for messages in the spool that no process has reported. */
  look(): Promise<void> {
    return this.#scan.look();
  }

  /** Adds a message that is durable in the spool. If it cannot be read now, a later scan of the spool finds it. */
  add(id: string): void {
    if (!this.#running || this.#index.has(id)) return;
    const now = this.#deps.clock();
    try {
      // What is read during a change is old when the change is written.
      const mayKeep = this.actions.changing(id) === undefined && this.#fresh.hasRoom(now);
      const loaded = mayKeep ? this.#deps.spool.load(id) : undefined;
      if (!loaded) this.renew(id);
      else if (loaded.kind === 'message') {
        this.#fresh.put(loaded, now);
        this.#enqueue(id, loaded.record);
      } else this.#lost(id, loaded);
    } catch (error) {
      this.#deps.log('spool_not_read', { id, message: (error as Error).message });
    }
  }

  /** A change of this message is under way, so its cached content is old. */
  changes(id: string): void {
    this.#fresh.forget(id);
  }

  /** Something else changed its recipients or its hold, so it is loaded again. */
  renew(id: string): void {
    const read = this.#index.orForget(id, () => this.#deps.spool.read(id));
    if (read.kind === 'message') this.#enqueue(id, read.record);
    else this.#lost(id, read);
  }

  /** The ids after `after`, oldest first. The queue may change during the iteration. */
  ids(after?: string): IteratorObject<string> {
    return this.#index.ids(after);
  }

  isDelivering(id: string): boolean {
    return this.#queues.isDelivering(id);
  }

  findProspect(id: string, from: string, recipient: Recipient): Prospect {
    const { courier, clock, wall, policy } = this.#deps;
    const destination = courier.route(from, recipient.address);
    const queue = this.#queues.known(destination);
    const now = clock();
    const due = queue?.findDue(id, now);
    const { expireAfterSeconds } = this.#retryFor(destination, queue?.shared, recipient.provider);
    return {
      destination: destination.name,
      due: due === undefined ? undefined : wall() + due - now,
      failure: findReason(recipient, destination, queue?.failureFor(id)),
      mayExpire: queue?.mayExpire(id, now) ?? false,
      expireMs: (expireAfterSeconds ?? policy.queue.expireAfterSeconds) * 1000,
    };
  }

  /** Tries these messages now, even during a pause of their destination. */
  hurry(wanted: Wanted): void {
    this.#queues.hurry(typeof wanted === 'function' ? () => wanted : wanted);
  }

  /** Tries messages again that waited for a login or a trust bundle of these destinations, or for a signing key. */
  materialsChanged(isConcerned: Concerned, areKeysNew: boolean): void {
    const hurry = () =>
      this.#queues.hurry(
        (destination) => (_, failure) =>
          isConcerned(destination, failure) || (areKeysNew && failure?.cause === 'local'),
      );
    hurry();
    // Until then not all messages are there. A new router gets changed contents before it loads any.
    if (!this.#isLoaded) void this.loaded.then(hurry);
  }

  /** Begins no more deliveries. Resolves when those under way have ended, or at the earliest deadline of all calls. */
  drain(deadlineMs: number): Promise<void> {
    this.#drainEnd = Math.min(this.#drainEnd, this.#deps.clock() + deadlineMs);
    this.#drained ??= this.#drain();
    return this.#drained;
  }

  async #drain(): Promise<void> {
    this.#running = false;
    this.#scan.stop();
    this.actions.stop();
    this.#queues.stop();
    this.#deps.courier.close();
    while (this.#queues.inFlight > 0 && this.#deps.clock() < this.#drainEnd)
      await new Promise((tick) => setTimeout(tick, 10));
    this.actions.close();
    await this.#shaping.write();
  }

  get figures(): QueueFigures {
    const { clock, wall } = this.#deps;
    const deferrals = this.#queues
      .failures()
      .filter(({ failure }) => failure.cause !== 'login')
      .map(({ destination, failure }) => ({
        destination,
        cause: failure.cause,
        message: describeFailure(failure),
      }))
      .take(REPORTED_DESTINATIONS)
      .toArray();
    return {
      depth: this.#index.size,
      bytes: this.#index.bytes,
      held: this.#index.held + this.#deps.spool.damaged,
      oldest: this.#index.oldest,
      blockedDestinations: this.#queues.blocked,
      deferrals,
      logins: this.#deps.courier.logins,
      waits: this.#queues.waits(REPORTED_DESTINATIONS),
      slowed: this.#shaping.slowDowns.list(clock(), wall()).slice(0, REPORTED_DESTINATIONS),
      hasRoom: this.#deps.spool.hasRoom(0),
    };
  }

  #enqueue(id: string, record: QueueRecord): void {
    if (this.#deps.recorder && !this.#index.has(id)) this.#deps.recorder.queued(id, record);
    const held = record.hold === true || record.recipients.some(({ state }) => state === 'held');
    this.#index.put(id, { held, bytes: record.bytes });
    if (record.hold) return;
    // Its entries in other queues are dropped when their turn comes.
    for (const [queue, pause] of this.#queuesFor(record)) {
      if (!queue.isDelivering(id)) this.#wait(queue, id, record, pause);
      this.#queues.pump(queue);
    }
  }

  /** The destinations of the message, each with the shortest pause of its recipients. */
  #queuesFor({ from, recipients, receivedAt }: QueueRecord): Map<DestinationQueue, Pause> {
    const { courier, wall, random } = this.#deps;
    const queues = new Map<DestinationQueue, Pause>();
    for (const recipient of recipients.filter(isQueued)) {
      const queue = this.#queues.to(courier.route(from, recipient.address));
      const { destination, shared } = queue;
      const { backoff } = this.#retryFor(destination, shared, recipient.provider);
      const pause = findPause(recipient, { destination, backoff, receivedAt, now: wall(), random: random() });
      const before = queues.get(queue);
      if (!before || pause.leftMs < before.leftMs) queues.set(queue, pause);
    }
    return queues;
  }

  #findLoginPause(destination: Destination): LoginPause | undefined {
    const { courier, clock, wall, random } = this.#deps;
    const refusal = courier.findRefusal?.(destination);
    if (!refusal) return undefined;
    const { backoff } = this.#retryFor(destination, undefined);
    return findLoginPause(refusal, { backoff, clock: clock(), wall: wall(), random: random() });
  }

  /** After a restart the provider is not looked up yet, but a recipient that was tried has its name. */
  #retryFor({ retry }: Destination, shared: DestinationQueue['shared'], provider?: string): Retry {
    const named =
      provider === undefined || shared
        ? undefined
        : this.#deps.policy.outbound.providers.find(({ name }) => name === provider);
    return chooseRetry(retry, (shared ?? named)?.retry);
  }

  #wait(queue: DestinationQueue, id: string, { from }: QueueRecord, pause: Pause): void {
    const { leftMs, awayMs, wasTried = false } = pause;
    const share: Share = queue.destination.kind === 'hops' && from !== '' ? 'configured' : 'other';
    const isAway = awayMs !== undefined;
    if (isAway) queue.learnAway(awayMs);
    const now = this.#deps.clock();
    const more = { ...(isAway ? { isAway } : {}), ...(wasTried ? { wasTried } : {}) };
    queue.add({ id, share, due: now + leftMs, ...more }, now);
  }

  /** An entry that is gone, or that is set aside for a person because it cannot be read. */
  #lost(id: string, read: { kind: 'gone' } | { kind: 'damaged'; message: string }): void {
    const { log, spool } = this.#deps;
    this.#index.forget(id);
    if (read.kind === 'gone') return;
    log('set_aside', { id, reason: read.message });
    spool.setAside(id).catch((error: Error) => log('set_aside_failed', { id, message: error.message }));
  }
}

/**
 * Drives the queue: each message's recipients wait at their destinations (queue.ts), a bounded number of deliveries is
 * under way, progress is written after each answer, and a message goes when its last recipient is settled. Delivers at
 * least once. What becomes of a message otherwise (returned, held, removed) is actions.ts.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { describeFailure, type Failure, makeFailure } from '#crds/failure.ts';
import type { Policy } from '#crds/policyfile.ts';
import type { AttemptResult, Courier, Verdict } from '../delivery/courier.ts';
import { countVerdict, logVerdict } from '../delivery/deliverylog.ts';
import type { Signer } from '../dkim/signer.ts';
import type { Log } from '../observe/log.ts';
import type { QueueRecord, Recipient } from '../spool/record.ts';
import type { Loaded, Spool } from '../spool/spool.ts';
import { Counters } from '../task/counts.ts';
import type { QueueFigures } from '../task/messages.ts';
import { MessageActions, type Prospect } from './actions.ts';
import type { DestinationQueue } from './destinationqueue.ts';
import { DestinationQueues } from './destinationqueues.ts';
import { batchFor, parcelOf } from './parcel.ts';
import { QueueIndex } from './queueindex.ts';
import { destinationRetryMs, messageRetryMs } from './schedule.ts';
import type { Waiting } from './waiting.ts';

const REPORTED_DESTINATIONS = 10;
/** Messages taken up at the start before others get their turn. */
const LISTED_AT_ONCE = 500;

export interface QueueManagerDeps {
  readonly policy: Policy;
  readonly spool: Spool;
  readonly courier: Courier;
  readonly signer: Signer;
  readonly log: Log;
  readonly clock: () => number;
  readonly random: () => number;
}

export class QueueManager {
  readonly #deps: QueueManagerDeps;
  readonly #queues: DestinationQueues;
  readonly #index = new QueueIndex();
  readonly counters = new Counters();
  readonly actions: MessageActions;
  #running = false;

  constructor(deps: QueueManagerDeps) {
    this.#deps = deps;
    const { connectionsPerDestination, messagesPerDestinationPerMinute } = deps.policy.outbound.limits;
    this.#queues = new DestinationQueues({
      limits: { concurrent: connectionsPerDestination, perMinute: messagesPerDestinationPerMinute },
      clock: deps.clock,
      deliver: (queue, waiting) => this.#deliverSafely(queue, waiting),
    });
    this.actions = new MessageActions({ ...deps, counters: this.counters, queue: this });
  }

  /** Takes up everything in the spool and begins to deliver. */
  async start(): Promise<void> {
    this.#running = true;
    this.actions.start();
    const { spool } = this.#deps;
    for (let ids = spool.list('', LISTED_AT_ONCE); ids.length > 0; ) {
      for (const id of ids) this.add(id);
      await turn();
      ids = this.#running ? spool.list(ids.at(-1), LISTED_AT_ONCE) : [];
    }
  }

  /** A message that is durable in the spool. */
  add(id: string): void {
    if (this.#running && !this.#index.has(id)) this.renew(id);
  }

  /** Its recipients or its hold changed by other hands: takes it up anew. */
  renew(id: string): void {
    const read = this.#deps.spool.read(id);
    if (read.kind !== 'message') {
      this.#lost(id, read);
      return;
    }
    const { record } = read;
    const queues = record.hold ? new Set<DestinationQueue>() : this.#queuesFor(record);
    const held = record.hold === true || record.recipients.some(({ state }) => state === 'held');
    this.#index.put(id, { held, bytes: record.bytes });
    // What waits for it in other queues is dropped when its turn comes.
    for (const queue of queues) {
      if (!queue.isDelivering(id)) queue.add({ id, attempts: 0 });
      this.#queues.pump(queue);
    }
  }

  /** Those behind `after`, the oldest first, whatever comes and goes meanwhile. */
  ids(after?: string): IteratorObject<string> {
    return this.#index.ids(after);
  }

  isDelivering(id: string): boolean {
    return this.#queues.isDelivering(id);
  }

  prospectOf(id: string, from: string, to: string): Prospect {
    const destination = this.#deps.courier.route(from, to);
    const queue = this.#queues.known(destination);
    return {
      destination: destination.name,
      due: queue?.dueOf(id, this.#deps.clock()),
      failure: queue?.failureFor(id),
      isUntried: queue?.isUntried ?? false,
    };
  }

  /** Tries what `wanted` names now, whatever pause its destination has. */
  hurry(wanted: (id: string) => boolean): void {
    this.#queues.hurry(wanted);
  }

  /** What waits for a login, a key or a trust bundle may go now. */
  materialsChanged(): void {
    this.hurry(() => true);
  }

  /** Begins nothing more; resolves when what is under way has ended, or at the deadline. */
  async drain(deadlineMs: number): Promise<void> {
    this.#running = false;
    this.actions.stop();
    this.#queues.stop();
    this.#deps.courier.close();
    const end = this.#deps.clock() + deadlineMs;
    while (this.#queues.inFlight > 0 && this.#deps.clock() < end)
      await new Promise((tick) => setTimeout(tick, 10));
  }

  get figures(): QueueFigures {
    const deferrals = this.#queues
      .failures()
      .filter(({ failure }) => failure.cause !== 'login')
      .map(({ destination, failure }) => ({
        destination,
        cause: failure.cause,
        message: describeFailure(failure),
      }));
    return {
      depth: this.#index.size,
      bytes: this.#index.bytes,
      held: this.#index.held + this.#deps.spool.damaged,
      oldest: this.#index.oldest,
      deferrals: deferrals.slice(0, REPORTED_DESTINATIONS),
      loginsRefused: this.#deps.courier.loginsRefused.slice(0, REPORTED_DESTINATIONS),
    };
  }

  #queuesFor({ from, recipients }: QueueRecord): Set<DestinationQueue> {
    return new Set(recipients.filter(isQueued).map(({ address }) => this.#queueFor(from, address)));
  }

  #queueFor(from: string, address: string): DestinationQueue {
    return this.#queues.to(this.#deps.courier.route(from, address));
  }

  async #deliverSafely(queue: DestinationQueue, waiting: Waiting): Promise<void> {
    try {
      await this.#deliver(queue, waiting);
    } catch (error) {
      // A bug, or the disk failed to read: the entry is still in the spool, so it waits.
      const { message } = error as Error;
      this.#deps.log('delivery_failed', { id: waiting.id, message });
      this.#putOff(queue, waiting, makeFailure({ cause: 'local', status: '4.3.0', text: message }));
    }
  }

  async #deliver(queue: DestinationQueue, waiting: Waiting): Promise<void> {
    const { id, tried } = waiting;
    // Whoever is changing it may take it away.
    await this.actions.changing(id);
    const taken = this.#deps.spool.load(id);
    if (taken.kind !== 'message') return this.#lost(id, taken);
    const { batch, more } = batchFor(
      taken.record.recipients.filter(
        (one) =>
          isQueued(one) && this.#isFor(queue, taken.record, one) && !tried?.addresses.includes(one.address),
      ),
    );
    // Returned, removed or held by a person in the meantime.
    if (taken.record.hold) return;
    if (batch.length === 0) {
      if (tried) this.#putOff(queue, waiting, tried.failure);
      return;
    }
    const packed = await parcelOf(taken, batch, this.#deps.signer);
    if (packed.kind === 'failed' && !packed.failure.permanent)
      return this.#putOff(queue, waiting, packed.failure);
    const outcome =
      packed.kind === 'failed'
        ? refusedByUs(batch, packed.failure)
        : await this.#deps.courier.deliver(queue.destination, packed.parcel);
    if (outcome.kind === 'unreachable') return this.#unreachable(queue, waiting, outcome);
    queue.answered();
    await this.#settle(queue, taken, batch, outcome);
    const nowTried = withDeferred(tried, batch, outcome);
    if (more) queue.add(nowTried ? { ...waiting, tried: nowTried } : waiting);
    else if (nowTried) this.#putOff(queue, waiting, nowTried.failure);
  }

  #isFor(queue: DestinationQueue, { from }: QueueRecord, { address }: Recipient): boolean {
    return this.#deps.courier.route(from, address).key === queue.destination.key;
  }

  /** Everything for this destination waits. */
  #unreachable(
    queue: DestinationQueue,
    waiting: Waiting,
    outcome: AttemptResult & { kind: 'unreachable' },
  ): void {
    const { clock, random, log } = this.#deps;
    // A drain ends attempts that had not begun to send: no fault of the destination, and nothing to tell.
    if (!this.#running) return;
    const { hadSession, failure } = outcome;
    const now = clock();
    const attempts = waiting.attempts + (hadSession ? 1 : 0);
    // Many wrong logins in a row may lock an account.
    const retryMs = failure.cause === 'login' ? messageRetryMs : destinationRetryMs;
    queue.unreachable({ ...waiting, attempts }, failure, {
      pauseMs: (failures) => retryMs(failures, random()),
      due: hadSession ? now + messageRetryMs(attempts, random()) : undefined,
      now,
    });
    const { name, rule, kind } = queue.destination;
    this.counters.add('deferred', `${kind},destination`);
    log('deferred', {
      id: waiting.id,
      destination: name,
      rule,
      cause: failure.cause,
      reason: describeFailure(failure),
      failures: queue.failures,
    });
  }

  /** Reports and writes each verdict. */
  async #settle(
    queue: DestinationQueue,
    taken: Loaded & { kind: 'message' },
    batch: readonly Recipient[],
    { hop, tls, verdicts, tellsSender, passedOver }: AttemptResult & { kind: 'answered' },
  ): Promise<void> {
    const { id } = taken;
    const { rule, kind } = queue.destination;
    if (passedOver.length > 0)
      this.#deps.log('passed_over', { id, hop, rule, reasons: passedOver.map(describeFailure) });
    verdicts.forEach((verdict, index) => {
      countVerdict(this.counters, verdict, kind);
      logVerdict(this.#deps.log, verdict, { id, to: batch[index]?.address ?? '', hop, rule, tls });
    });
    if (verdicts.some((verdict) => verdict.kind === 'delivered'))
      this.counters.observe('delivery_seconds', (this.#deps.clock() - taken.record.receivedAt) / 1000);
    const isGone = await this.actions.settle(taken, batch, { verdicts, tellsSender, hop });
    if (isGone) this.#index.forget(id);
  }

  #putOff(queue: DestinationQueue, { id, attempts }: Waiting, failure: Failure): void {
    const { clock, random } = this.#deps;
    const due = clock() + messageRetryMs(attempts + 1, random());
    queue.putOff({ id, attempts: attempts + 1 }, due, failure);
  }

  /** An entry that is gone, or cannot be read and is set aside for a person. */
  #lost(id: string, read: { kind: 'gone' } | { kind: 'damaged'; message: string }): void {
    const { log, spool } = this.#deps;
    this.#index.forget(id);
    if (read.kind === 'gone') return;
    log('set_aside', { id, reason: read.message });
    spool.setAside(id).catch((error: Error) => log('set_aside_failed', { id, message: error.message }));
  }
}

function refusedByUs(batch: readonly Recipient[], failure: Failure): AttemptResult {
  const verdicts = batch.map((): Verdict => ({ kind: 'failed', failure }));
  const hop = 'this relay';
  return { kind: 'answered', hop, verdicts, tls: null, tellsSender: false, passedOver: [] };
}

function withDeferred(
  tried: Waiting['tried'],
  batch: readonly Recipient[],
  { verdicts }: AttemptResult & { kind: 'answered' },
): Waiting['tried'] {
  const deferred = batch.flatMap(({ address }, index) => {
    const verdict = verdicts[index];
    const waits = verdict?.kind === 'failed' && !verdict.failure.permanent;
    return waits ? [{ address, failure: verdict.failure }] : [];
  });
  const [first] = deferred;
  if (!first) return tried;
  return {
    addresses: [...(tried?.addresses ?? []), ...deferred.map(({ address }) => address)],
    failure: first.failure,
  };
}

function isQueued({ state }: Recipient): boolean {
  return state === 'queued';
}

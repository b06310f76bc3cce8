/**
 * All destinations with waiting messages (destinationqueue.ts). It begins deliveries within the limits over all
 * destinations, and wakes up for those that become due later. A destination without waiting messages is dropped, so
 * many domains cost nothing. That it answered is remembered for a while. A destination at rest is packed
 * (restingqueue.ts), so many domains that cannot be reached cost little.
 */
import { describeFailure, type Failure } from '#crds/failure.ts';
import type { Destination } from '../delivery/courier.ts';
import type { QueueFigures } from '../task/messages.ts';
import { dropOldest } from '../task/oldest.ts';
import { DestinationQueue, type DestinationTerms } from './destinationqueue.ts';
import type { Answers } from './health.ts';
import { Line } from './line.ts';
import type { LoginPause } from './pause.ts';
import { Providers, type ProvidersDeps } from './providers.ts';
import { hasFailure, type PackedQueue, QueuePacker, readId } from './restingqueue.ts';
import { type Share, Slots, STANDINGS, type Standing } from './slots.ts';
import type { Waiting, Wanted } from './waiting.ts';
import { Wakeups } from './wakeups.ts';

/** Idle destinations that answered last. */
const REMEMBERED = 1_000;

export interface DestinationQueuesDeps {
  readonly terms: DestinationTerms;
  readonly clock: () => number;
  readonly wall: () => number;
  /** Of a destination whose hops refuse our login. */
  readonly findLoginPause?: (destination: Destination) => LoginPause | undefined;
  /** Absent if the policy has no provider. */
  readonly findProvider?: ProvidersDeps['find'] | undefined;
  /** Never rejects. */
  readonly deliver: (queue: DestinationQueue, waiting: Waiting) => Promise<Offer | undefined>;
}

/** `none`: nothing was offered to the destination, because the message is gone, held or not fit to be sent. */
export type Offer = 'none' | 'made';

/** The questions about a message that change nothing. */
type QueueView = Pick<DestinationQueue, 'findDue' | 'failureFor' | 'mayExpire' | 'shared'>;

/** They are asked in this order when a slot is free. */
const SLOTS: readonly { readonly share: Share; readonly standing: Standing }[] = (
  ['configured', 'other'] as const
).flatMap((share) => STANDINGS.map((standing) => ({ share, standing })));

export class DestinationQueues {
  readonly #deps: DestinationQueuesDeps;
  /** By destination key. */
  readonly #queues = new Map<string, DestinationQueue | PackedQueue>();
  readonly #packer = new QueuePacker();
  readonly #slots = new Slots();
  readonly #wakeups: Wakeups;
  readonly #providers: Providers | undefined;
  /** The destinations that wait only for a slot, by kind of slot. They are asked again in this order. */
  readonly #blocked = SLOTS.map((slot) => ({ ...slot, line: new Line(slot.standing === 'first') }));
  /** The answers of idle destinations, oldest first. */
  readonly #answers = new Map<string, Answers>();
  /** Deliveries under way by message. A message has one for each of its destinations. */
  readonly #delivering = new Map<string, number>();
  #stopped = false;

  constructor(deps: DestinationQueuesDeps) {
    this.#deps = deps;
    this.#wakeups = new Wakeups(deps.clock, (key, at) => this.#wake(key, at));
    const { findProvider: find, clock, wall } = deps;
    this.#providers =
      find &&
      new Providers({
        find,
        clock,
        wall,
        slowDowns: deps.terms.slowDowns,
        paces: deps.terms.paces,
        pump: (key) => this.#pumpKey(key),
      });
  }

  /** The number of deliveries under way. */
  get inFlight(): number {
    return this.#slots.inUse;
  }

  /** The number of destinations that wait only for a slot. */
  get blocked(): number {
    return new Set(this.#blocked.flatMap(({ line }) => [...line.keys()])).size;
  }

  /** The caller changes the queue and then pumps it. */
  to(destination: Destination): DestinationQueue {
    const { key } = destination;
    const queue = this.#read(key) ?? this.#open(destination);
    this.#answers.delete(key);
    this.#queues.set(key, queue);
    return queue;
  }

  #open(destination: Destination): DestinationQueue {
    const queue = new DestinationQueue(destination, this.#deps.terms, this.#answers.get(destination.key));
    const pause = this.#deps.findLoginPause?.(destination);
    if (pause) queue.learnLoginPause(pause);
    return queue;
  }

  known({ key }: Destination): QueueView | undefined {
    return this.#read(key);
  }

  isDelivering(id: string): boolean {
    return this.#delivering.has(id);
  }

  /** The latest failure of each destination with deferred messages. */
  *failures(): Generator<{ readonly destination: string; readonly failure: Failure }> {
    for (const { destination, failure } of this.#failing(['hops', 'mx']))
      if (failure) yield { failure, destination: destination.name };
  }

  /**
   * Destinations from which no message leaves: since when, and why. Configured hops come first, because a person can
   * correct them.
   */
  waits(most: number): QueueFigures['waits'] {
    return (['hops', 'mx'] as const)
      .values()
      .flatMap((kind) => this.#failing([kind]))
      .flatMap(({ destination: { name, kind }, failingSince: since, failure }) =>
        since === undefined || !failure
          ? []
          : [{ destination: name, configured: kind === 'hops', since, message: describeFailure(failure) }],
      )
      .take(most)
      .toArray();
  }

  /** Tries the messages that are wanted now, even during a pause of their destination. */
  hurry(wanted: ReadonlySet<string> | ((destination: Destination) => Wanted)): void {
    const findWanted = typeof wanted === 'function' ? wanted : () => wanted;
    for (const [key, known] of [...this.#queues]) {
      // Very many may be at rest, and a person may want few messages.
      if (typeof known === 'string' && typeof wanted !== 'function' && !wanted.has(readId(known))) continue;
      const queue = this.#read(key);
      if (queue?.hurry(findWanted(queue.destination), this.#deps.clock())) this.pump(queue);
    }
  }

  /** Begins no more deliveries. */
  stop(): void {
    this.#stopped = true;
    this.#wakeups.stop();
    this.#providers?.stop();
  }

  /** Begins the deliveries that may begin now, and wakes up for those that become due later. */
  pump(queue: DestinationQueue): void {
    if (this.#stopped) return;
    const now = this.#deps.clock();
    const isReady = this.#providers === undefined || this.#findShared(queue, this.#providers, now);
    if (isReady) this.#beginDue(queue, now);
    if (queue.isIdle) this.#forget(queue);
    else {
      if (isReady) this.#waitFor(queue, now);
      this.#store(queue);
    }
  }

  #beginDue(queue: DestinationQueue, now: number): void {
    for (;;) {
      const { standing } = queue;
      const waiting = queue.begin(now, (share) => this.#slots.hasRoom(share, standing));
      if (!waiting) break;
      queue.shared?.began(queue.destination.key, now);
      this.#begin(queue, waiting, standing, now);
    }
  }

  /** False if the provider is looked up first. */
  #findShared(queue: DestinationQueue, providers: Providers, now: number): boolean {
    const { destination, isIdle } = queue;
    if (!isIdle && !providers.isKnown(destination, now)) return false;
    queue.shared = providers.limitsFor(destination);
    return true;
  }

  #store(queue: DestinationQueue): void {
    const { rest } = queue;
    this.#queues.set(queue.destination.key, rest ? this.#packer.pack(rest) : queue);
  }

  /** A packed queue is unpacked for one look. `pump` stores its changes. */
  #read(key: string): DestinationQueue | undefined {
    const known = this.#queues.get(key);
    if (typeof known !== 'string') return known;
    const queue = DestinationQueue.fromRest(this.#packer.unpack(key, known), this.#deps.terms);
    queue.shared = this.#providers?.limitsFor(queue.destination);
    return queue;
  }

  #pumpKey(key: string): void {
    const queue = this.#read(key);
    if (queue) this.pump(queue);
  }

  /** The queues of these kinds with a failure. Others are not unpacked. */
  *#failing(kinds: readonly Destination['kind'][]): Generator<DestinationQueue> {
    for (const [key, known] of this.#queues) {
      const [kind, failed] =
        typeof known === 'string'
          ? (['mx', hasFailure(known)] as const)
          : [known.destination.kind, known.failure !== undefined];
      const queue = failed && kinds.includes(kind) ? this.#read(key) : undefined;
      if (queue) yield queue;
    }
  }

  #wake(key: string, at: number): void {
    const queue = this.#read(key);
    // The queue may be gone, or it may wait for another time now.
    if (queue?.wakeAt !== at) return;
    queue.wakeAt = Number.POSITIVE_INFINITY;
    this.pump(queue);
  }

  #begin(queue: DestinationQueue, waiting: Waiting, standing: Standing, now: number): void {
    const { id, share } = waiting;
    const { shared } = queue;
    const { key } = queue.destination;
    const giveBack = this.#slots.take(share, standing);
    this.#unblock(queue);
    this.#delivering.set(id, (this.#delivering.get(id) ?? 0) + 1);
    void this.#deps.deliver(queue, waiting).then((offer) => {
      queue.ended(waiting);
      if (offer === 'none') {
        queue.giveBack(now);
        shared?.giveBack(key, now);
      }
      giveBack();
      shared?.ended();
      const others = (this.#delivering.get(id) ?? 1) - 1;
      if (others > 0) this.#delivering.set(id, others);
      else this.#delivering.delete(id);
      // This destination's own next delivery comes last, so all destinations have their turn.
      this.#pumpBlocked();
      if (shared) this.#providers?.pump(shared);
      this.#pumpKey(key);
    });
  }

  #pumpBlocked(): void {
    for (const { share, standing, line } of this.#blocked)
      for (const key of line.next(() => this.#slots.hasRoom(share, standing))) this.#pumpKey(key);
  }

  #unblock({ destination }: DestinationQueue): void {
    for (const { line } of this.#blocked) line.delete(destination.key);
  }

  /** Waits for a slot, or for the time when a delivery is due. */
  #waitFor(queue: DestinationQueue, now: number): void {
    const { standing } = queue;
    const { key } = queue.destination;
    let isBlocked = false;
    // A destination keeps its place until it begins a delivery.
    for (const slot of this.#blocked) {
      const wants = slot.standing === standing && queue.wantsSlot(slot.share, now);
      if (wants) slot.line.add(key);
      else slot.line.delete(key);
      isBlocked ||= wants;
    }
    const waitsForTurn = this.#waitForTurn(queue, now);
    const due = isBlocked || waitsForTurn ? undefined : queue.nextLook(now);
    // An earlier wake-up is kept: it sets the next one.
    if (due === undefined || due >= queue.wakeAt) return;
    queue.wakeAt = due;
    this.#wakeups.add(key, due);
  }

  /** True if the destination waits in the line of its provider. */
  #waitForTurn(queue: DestinationQueue, now: number): boolean {
    const { shared, destination } = queue;
    if (!shared || !this.#providers) return false;
    const waits = queue.wantsTurn(now);
    if (waits) this.#providers.wait(destination.key, shared);
    else shared.leave(destination.key);
    return waits;
  }

  #forget(queue: DestinationQueue): void {
    const { key } = queue.destination;
    this.#unblock(queue);
    queue.shared?.leave(key);
    this.#queues.delete(key);
    if (queue.known) this.#answers.set(key, queue.known);
    dropOldest(this.#answers, REMEMBERED);
  }
}

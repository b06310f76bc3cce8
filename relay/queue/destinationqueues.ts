/**
 * All destinations with waiting messages (destinationqueue.ts). It begins deliveries within the limits over all
 * destinations, and wakes up for those that become due later. A destination without waiting messages is dropped, so
 * many domains cost nothing. That it answered is remembered for a while.
 */

import { describeFailure, type Failure } from '#crds/failure.ts';
import type { Destination } from '../delivery/courier.ts';
import type { QueueFigures } from '../task/messages.ts';
import { DestinationQueue, type DestinationTerms } from './destinationqueue.ts';
import { type Share, Slots, type Standing } from './slots.ts';
import type { Waiting } from './waiting.ts';
import { Wakeups } from './wakeups.ts';

/** Idle destinations that answered last. */
const REMEMBERED = 1_000;

export interface DestinationQueuesDeps {
  readonly terms: DestinationTerms;
  readonly clock: () => number;
  /** Never rejects. */
  readonly deliver: (queue: DestinationQueue, waiting: Waiting) => Promise<void>;
}

/** The order in which the kinds are asked when a slot is free. */
const SLOTS: readonly { readonly share: Share; readonly standing: Standing }[] = (
  ['configured', 'other'] as const
).flatMap((share) => (['first', 'further', 'proven'] as const).map((standing) => ({ share, standing })));

export class DestinationQueues {
  readonly #deps: DestinationQueuesDeps;
  readonly #queues = new Map<string, DestinationQueue>();
  readonly #slots = new Slots();
  readonly #wakeups: Wakeups<DestinationQueue>;
  /** Destinations that wait only for a slot, by kind of slot. They are asked again in this order. */
  readonly #blocked = SLOTS.map((slot) => ({ ...slot, queues: new Set<DestinationQueue>() }));
  /** The number of answers of idle destinations, oldest first. */
  readonly #answers = new Map<string, number>();
  /** Deliveries under way by message. A message has one for each of its destinations. */
  readonly #delivering = new Map<string, number>();
  #stopped = false;

  constructor(deps: DestinationQueuesDeps) {
    this.#deps = deps;
    this.#wakeups = new Wakeups(deps.clock, (queue) => this.pump(queue));
  }

  /** The number of deliveries under way. */
  get inFlight(): number {
    return this.#slots.inUse;
  }

  /** The number of destinations that wait only for a slot. */
  get blocked(): number {
    return new Set(this.#blocked.flatMap(({ queues }) => [...queues])).size;
  }

  to(destination: Destination): DestinationQueue {
    const { key } = destination;
    const known = this.#queues.get(key);
    if (known) return known;
    const queue = new DestinationQueue(destination, this.#deps.terms, this.#answers.get(key));
    this.#answers.delete(key);
    this.#queues.set(key, queue);
    return queue;
  }

  known({ key }: Destination): DestinationQueue | undefined {
    return this.#queues.get(key);
  }

  isDelivering(id: string): boolean {
    return this.#delivering.has(id);
  }

  /** The latest failure of each destination with deferred messages. */
  failures(): { readonly destination: string; readonly failure: Failure }[] {
    return [...this.#queues.values()].flatMap(({ destination, failure }) =>
      failure ? [{ failure, destination: destination.name }] : [],
    );
  }

  /**
   * Destinations from which no message leaves: since when, and why. Configured hops come first, because a person can
   * correct them.
   */
  waits(most: number): QueueFigures['waits'] {
    const found = [...this.#queues.values()].flatMap(
      ({ destination: { name, kind }, failingSince, failure }) =>
        failingSince === undefined || !failure
          ? []
          : [
              {
                destination: name,
                configured: kind === 'hops',
                since: failingSince,
                message: describeFailure(failure),
              },
            ],
    );
    return found.toSorted((a, b) => Number(b.configured) - Number(a.configured)).slice(0, most);
  }

  /** Tries the messages that `wanted` selects now, even during a pause of their destination. */
  hurry(wanted: (id: string, destination: Destination, failure?: Failure) => boolean): void {
    for (const queue of [...this.#queues.values()])
      if (queue.hurry((id, failure) => wanted(id, queue.destination, failure))) this.pump(queue);
  }

  /** Begins no more deliveries. */
  stop(): void {
    this.#stopped = true;
    this.#wakeups.stop();
  }

  /** Begins the deliveries that may begin now, and wakes up for those that become due later. */
  pump(queue: DestinationQueue): void {
    if (this.#stopped) return;
    const now = this.#deps.clock();
    for (;;) {
      const { standing } = queue;
      const waiting = queue.begin(now, (share) => this.#slots.hasRoom(share, standing));
      if (!waiting) break;
      this.#begin(queue, waiting, standing);
    }
    this.#unblock(queue);
    if (queue.isIdle) this.#forget(queue);
    else this.#waitFor(queue, now);
  }

  #begin(queue: DestinationQueue, waiting: Waiting, standing: Standing): void {
    const { id, share } = waiting;
    const giveBack = this.#slots.take(share, standing);
    this.#delivering.set(id, (this.#delivering.get(id) ?? 0) + 1);
    void this.#deps.deliver(queue, waiting).then(() => {
      queue.ended(waiting);
      giveBack();
      const others = (this.#delivering.get(id) ?? 1) - 1;
      if (others > 0) this.#delivering.set(id, others);
      else this.#delivering.delete(id);
      // This destination's own next delivery comes last, so all destinations have their turn.
      this.#pumpBlocked();
      this.pump(queue);
    });
  }

  #pumpBlocked(): void {
    for (const { share, standing, queues } of this.#blocked) {
      // The set is not copied: it may be very large, and usually the first destination takes the free slot.
      for (const blocked of queues) {
        if (!this.#slots.hasRoom(share, standing)) break;
        this.pump(blocked);
      }
    }
  }

  #unblock(queue: DestinationQueue): void {
    for (const { queues } of this.#blocked) queues.delete(queue);
  }

  /** Waits for a slot, or for the time when a delivery is due. */
  #waitFor(queue: DestinationQueue, now: number): void {
    const { standing } = queue;
    const wanted = this.#blocked.filter(
      (slot) => slot.standing === standing && queue.wantsSlot(slot.share, now),
    );
    for (const { queues } of wanted) queues.add(queue);
    const due = wanted.length === 0 ? queue.nextLook(now) : undefined;
    if (due === undefined) this.#wakeups.forget(queue);
    else this.#wakeups.set(queue, due);
  }

  #forget(queue: DestinationQueue): void {
    const { key } = queue.destination;
    this.#wakeups.forget(queue);
    this.#queues.delete(key);
    if (queue.answers > 0) this.#answers.set(key, queue.answers);
    const [oldest] = this.#answers.keys();
    if (this.#answers.size > REMEMBERED && oldest !== undefined) this.#answers.delete(oldest);
  }
}

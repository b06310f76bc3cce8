/**
 * All destinations that something waits for (destinationqueue.ts): begins what may begin, within the bounds over all, and wakes up
 * for what is due later. A destination that nothing waits for is forgotten, so that many domains cost nothing; that it
 * answers stays known for a while.
 */

import { describeFailure, type Failure } from '#crds/failure.ts';
import type { Destination } from '../delivery/courier.ts';
import type { QueueFigures } from '../task/messages.ts';
import { DestinationQueue, type DestinationTerms } from './destinationqueue.ts';
import { type Share, Slots, type Standing } from './slots.ts';
import type { Waiting } from './waiting.ts';
import { Wakeups } from './wakeups.ts';

/** Destinations that answered last and have nothing to do. */
const REMEMBERED = 1_000;

export interface DestinationQueuesDeps {
  readonly terms: DestinationTerms;
  readonly clock: () => number;
  /** Never rejects. */
  readonly deliver: (queue: DestinationQueue, waiting: Waiting) => Promise<void>;
}

/** In the order in which they are asked when a slot is free. */
const SLOTS: readonly { readonly share: Share; readonly standing: Standing }[] = (
  ['configured', 'other'] as const
).flatMap((share) => (['first', 'further', 'proven'] as const).map((standing) => ({ share, standing })));

export class DestinationQueues {
  readonly #deps: DestinationQueuesDeps;
  readonly #queues = new Map<string, DestinationQueue>();
  readonly #slots = new Slots();
  readonly #wakeups: Wakeups<DestinationQueue>;
  /** Those that could begin a delivery but for a slot, by the slot, in the order in which they are asked again. */
  readonly #blocked = SLOTS.map((slot) => ({ ...slot, queues: new Set<DestinationQueue>() }));
  /** How often those answered that are idle now, the longest ago first. */
  readonly #answers = new Map<string, number>();
  /** Deliveries under way, by message: each of its destinations has one. */
  readonly #delivering = new Map<string, number>();
  #stopped = false;

  constructor(deps: DestinationQueuesDeps) {
    this.#deps = deps;
    this.#wakeups = new Wakeups(deps.clock, (queue) => this.pump(queue));
  }

  /** Deliveries under way. */
  get inFlight(): number {
    return this.#slots.inUse;
  }

  /** Destinations that wait for nothing but a slot. */
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

  /** Why destinations put things off. */
  failures(): { readonly destination: string; readonly failure: Failure }[] {
    return [...this.#queues.values()].flatMap(({ destination, failure }) =>
      failure ? [{ failure, destination: destination.name }] : [],
    );
  }

  /** Where nothing goes out, since when, and why; those of the policy first: a person can do something about them. */
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

  /** Tries what `wanted` names now, whatever pause its destination has. */
  hurry(wanted: (id: string, destination: Destination, failure?: Failure) => boolean): void {
    for (const queue of [...this.#queues.values()])
      if (queue.hurry((id, failure) => wanted(id, queue.destination, failure))) this.pump(queue);
  }

  /** Begins nothing more. */
  stop(): void {
    this.#stopped = true;
    this.#wakeups.stop();
  }

  /** Begins what may begin now, and wakes up for what is due later. */
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
      // Its own next one last, so that all have their turn.
      this.#pumpBlocked();
      this.pump(queue);
    });
  }

  #pumpBlocked(): void {
    for (const { share, standing, queues } of this.#blocked) {
      // Not over a copy: there may be very many, and mostly the first takes what room there is.
      for (const blocked of queues) {
        if (!this.#slots.hasRoom(share, standing)) break;
        this.pump(blocked);
      }
    }
  }

  #unblock(queue: DestinationQueue): void {
    for (const { queues } of this.#blocked) queues.delete(queue);
  }

  /** For a slot, or for the time at which something is due. */
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

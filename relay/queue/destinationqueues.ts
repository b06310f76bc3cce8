/**
 * All destinations that something waits for (queue.ts): begins what may begin, within the bound over all, and wakes up
 * for what is due later. A destination that nothing waits for is forgotten, so that many domains cost nothing.
 */

import type { Failure } from '#crds/failure.ts';
import type { Destination } from '../delivery/courier.ts';
import type { DestinationLimits, Standing } from './destinationqueue.ts';
import { DestinationQueue } from './destinationqueue.ts';
import type { Waiting } from './waiting.ts';

/** Over all destinations: bounds memory and descriptors. */
const CONCURRENT = 400;
/**
 * How many of these may be to destinations that do not answer (yet) when another one begins: any number of them may
 * hang, so there is always room for those that answer, and long for the first delivery to one that is new.
 */
const UNPROVEN: Readonly<Record<Exclude<Standing, 'proven'>, number>> = { first: 300, further: 100 };

export interface DestinationQueuesDeps {
  readonly limits: DestinationLimits;
  readonly clock: () => number;
  /** Never rejects. */
  readonly deliver: (queue: DestinationQueue, waiting: Waiting) => Promise<void>;
}

export class DestinationQueues {
  readonly #options: DestinationQueuesDeps;
  readonly #queues = new Map<string, DestinationQueue>();
  readonly #timers = new Map<DestinationQueue, NodeJS.Timeout>();
  /** Those that could begin a delivery but for the bounds over all, in the order in which they are asked again. */
  readonly #blocked = {
    first: new Set<DestinationQueue>(),
    further: new Set<DestinationQueue>(),
    proven: new Set<DestinationQueue>(),
  };
  /** Deliveries under way, by message: each of its destinations has one. */
  readonly #delivering = new Map<string, number>();
  #inFlight = 0;
  #unproven = 0;
  #stopped = false;

  constructor(options: DestinationQueuesDeps) {
    this.#options = options;
  }

  /** Deliveries under way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  to(destination: Destination): DestinationQueue {
    const known = this.#queues.get(destination.key);
    if (known) return known;
    const queue = new DestinationQueue(destination, this.#options.limits);
    this.#queues.set(destination.key, queue);
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

  /** Tries what `wanted` names now, whatever pause its destination has. */
  hurry(wanted: (id: string) => boolean): void {
    for (const queue of [...this.#queues.values()]) if (queue.hurry(wanted)) this.pump(queue);
  }

  /** Begins nothing more. */
  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  /** Begins what may begin now, and wakes up for what is due later. */
  pump(queue: DestinationQueue): void {
    if (this.#stopped) return;
    this.#unblock(queue);
    const now = this.#options.clock();
    while (this.#hasRoomFor(queue.standing)) {
      const waiting = queue.begin(now);
      if (!waiting) break;
      this.#begin(queue, waiting);
    }
    if (queue.isIdle) this.#forget(queue);
    else this.#wakeUp(queue, now);
  }

  #begin(queue: DestinationQueue, waiting: Waiting): void {
    const { id } = waiting;
    const unproven = queue.standing === 'proven' ? 0 : 1;
    this.#inFlight += 1;
    this.#unproven += unproven;
    this.#delivering.set(id, (this.#delivering.get(id) ?? 0) + 1);
    void this.#options.deliver(queue, waiting).then(() => {
      queue.ended(waiting);
      this.#inFlight -= 1;
      this.#unproven -= unproven;
      const others = (this.#delivering.get(id) ?? 1) - 1;
      if (others > 0) this.#delivering.set(id, others);
      else this.#delivering.delete(id);
      // Its own next one last, so that all have their turn.
      this.#pumpBlocked();
      this.pump(queue);
    });
  }

  #hasRoomFor(standing: Standing): boolean {
    if (this.#inFlight >= CONCURRENT) return false;
    return standing === 'proven' || this.#unproven < UNPROVEN[standing];
  }

  #pumpBlocked(): void {
    for (const standing of ['first', 'further', 'proven'] as const) {
      // Not over a copy: there may be very many, and mostly the first takes what room there is.
      for (const blocked of this.#blocked[standing]) {
        if (!this.#hasRoomFor(standing)) break;
        this.pump(blocked);
      }
    }
  }

  #unblock(queue: DestinationQueue): void {
    for (const queues of Object.values(this.#blocked)) queues.delete(queue);
  }

  #wakeUp(queue: DestinationQueue, now: number): void {
    clearTimeout(this.#timers.get(queue));
    const due = queue.nextLook(now);
    if (due === undefined) return;
    if (due <= now) this.#blocked[queue.standing].add(queue);
    else
      this.#timers.set(
        queue,
        setTimeout(() => this.pump(queue), due - now),
      );
  }

  #forget(queue: DestinationQueue): void {
    clearTimeout(this.#timers.get(queue));
    this.#timers.delete(queue);
    this.#unblock(queue);
    this.#queues.delete(queue.destination.key);
  }
}

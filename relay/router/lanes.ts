/**
 * All destinations that something waits for (lane.ts): begins what may begin, within the bound over all, and wakes up
 * for what is due later. A destination that nothing waits for is forgotten, so that many domains cost nothing.
 */
import type { Fault, LaneLimits } from './lane.ts';
import { Lane } from './lane.ts';
import type { Waiting } from './queue.ts';
import type { Destination } from './route.ts';

/** Over all destinations: bounds memory and descriptors. */
const CONCURRENT = 400;

export interface LanesOptions {
  readonly limits: LaneLimits;
  readonly clock: () => number;
  /** Never rejects. */
  readonly deliver: (lane: Lane, waiting: Waiting) => Promise<void>;
}

export class Lanes {
  readonly #options: LanesOptions;
  readonly #lanes = new Map<string, Lane>();
  readonly #timers = new Map<Lane, NodeJS.Timeout>();
  /** Those that could begin a delivery but for the bound over all. */
  readonly #blocked = new Set<Lane>();
  /** Deliveries under way, by message: each of its destinations has one. */
  readonly #delivering = new Map<string, number>();
  #inFlight = 0;
  #stopped = false;

  constructor(options: LanesOptions) {
    this.#options = options;
  }

  /** Deliveries under way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  to(destination: Destination): Lane {
    const known = this.#lanes.get(destination.key);
    if (known) return known;
    const lane = new Lane(destination, this.#options.limits);
    this.#lanes.set(destination.key, lane);
    return lane;
  }

  known({ key }: Destination): Lane | undefined {
    return this.#lanes.get(key);
  }

  isDelivering(id: string): boolean {
    return this.#delivering.has(id);
  }

  /** Why destinations put things off. */
  faults(): (Fault & { readonly destination: string })[] {
    return [...this.#lanes.values()].flatMap(({ destination, fault }) =>
      fault ? [{ ...fault, destination: destination.name }] : [],
    );
  }

  /** Tries what `wanted` names now, whatever pause its destination has. */
  hurry(wanted: (id: string) => boolean): void {
    for (const lane of [...this.#lanes.values()]) if (lane.hurry(wanted)) this.pump(lane);
  }

  /** Begins nothing more. */
  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  /** Begins what may begin now, and wakes up for what is due later. */
  pump(lane: Lane): void {
    if (this.#stopped) return;
    const now = this.#options.clock();
    while (this.#inFlight < CONCURRENT) {
      const waiting = lane.begin(now);
      if (!waiting) break;
      this.#begin(lane, waiting);
    }
    if (lane.isIdle) this.#forget(lane);
    else this.#wakeUp(lane, now);
  }

  #begin(lane: Lane, waiting: Waiting): void {
    const { id } = waiting;
    this.#inFlight += 1;
    this.#delivering.set(id, (this.#delivering.get(id) ?? 0) + 1);
    void this.#options.deliver(lane, waiting).then(() => {
      lane.ended(waiting);
      this.#inFlight -= 1;
      const others = (this.#delivering.get(id) ?? 1) - 1;
      if (others > 0) this.#delivering.set(id, others);
      else this.#delivering.delete(id);
      this.pump(lane);
      this.#pumpBlocked();
    });
  }

  #pumpBlocked(): void {
    // Not over a copy: there may be very many, and mostly the first takes what room there is.
    for (const blocked of this.#blocked) {
      if (this.#inFlight >= CONCURRENT) return;
      this.#blocked.delete(blocked);
      this.pump(blocked);
    }
  }

  #wakeUp(lane: Lane, now: number): void {
    clearTimeout(this.#timers.get(lane));
    const due = lane.nextLook(now);
    if (due === undefined) return;
    if (due <= now) this.#blocked.add(lane);
    else
      this.#timers.set(
        lane,
        setTimeout(() => this.pump(lane), due - now),
      );
  }

  #forget(lane: Lane): void {
    clearTimeout(this.#timers.get(lane));
    this.#timers.delete(lane);
    this.#blocked.delete(lane);
    this.#lanes.delete(lane.destination.key);
  }
}

/**
 * All destinations that something waits for (lane.ts): begins what may begin, within the bound over all, and wakes up
 * for what is due later. A destination that nothing waits for is forgotten, so that many domains cost nothing.
 */
import type { Fault, LaneLimits, Standing } from './destinationqueue.ts';
import { Lane } from './destinationqueue.ts';
import type { Waiting } from './waiting.ts';
import type { Destination } from '../delivery/route.ts';

/** Over all destinations: bounds memory and descriptors. */
const CONCURRENT = 400;
/**
 * How many of these may be to destinations that do not answer (yet) when another one begins: any number of them may
 * hang, so there is always room for those that answer, and long for the first delivery to one that is new.
 */
const UNPROVEN: Readonly<Record<Exclude<Standing, 'proven'>, number>> = { first: 300, further: 100 };

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
  /** Those that could begin a delivery but for the bounds over all, in the order in which they are asked again. */
  readonly #blocked = { first: new Set<Lane>(), further: new Set<Lane>(), proven: new Set<Lane>() };
  /** Deliveries under way, by message: each of its destinations has one. */
  readonly #delivering = new Map<string, number>();
  #inFlight = 0;
  #unproven = 0;
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
    this.#unblock(lane);
    const now = this.#options.clock();
    while (this.#hasRoomFor(lane.standing)) {
      const waiting = lane.begin(now);
      if (!waiting) break;
      this.#begin(lane, waiting);
    }
    if (lane.isIdle) this.#forget(lane);
    else this.#wakeUp(lane, now);
  }

  #begin(lane: Lane, waiting: Waiting): void {
    const { id } = waiting;
    const unproven = lane.standing === 'proven' ? 0 : 1;
    this.#inFlight += 1;
    this.#unproven += unproven;
    this.#delivering.set(id, (this.#delivering.get(id) ?? 0) + 1);
    void this.#options.deliver(lane, waiting).then(() => {
      lane.ended(waiting);
      this.#inFlight -= 1;
      this.#unproven -= unproven;
      const others = (this.#delivering.get(id) ?? 1) - 1;
      if (others > 0) this.#delivering.set(id, others);
      else this.#delivering.delete(id);
      // Its own next one last, so that all have their turn.
      this.#pumpBlocked();
      this.pump(lane);
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

  #unblock(lane: Lane): void {
    for (const lanes of Object.values(this.#blocked)) lanes.delete(lane);
  }

  #wakeUp(lane: Lane, now: number): void {
    clearTimeout(this.#timers.get(lane));
    const due = lane.nextLook(now);
    if (due === undefined) return;
    if (due <= now) this.#blocked[lane.standing].add(lane);
    else
      this.#timers.set(
        lane,
        setTimeout(() => this.pump(lane), due - now),
      );
  }

  #forget(lane: Lane): void {
    clearTimeout(this.#timers.get(lane));
    this.#timers.delete(lane);
    this.#unblock(lane);
    this.#lanes.delete(lane.destination.key);
  }
}

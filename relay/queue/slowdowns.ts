/**
 * Destinations and providers that ask for fewer messages. Each request halves their pace, and five minutes without one
 * undo one halving. Only those that asked are remembered, also by the next router (shapingmemory.ts). A destination is known
 * by its name: another limit or TLS level of it is the same receiver. Pure: it has no clock of its own.
 */
import { describeFailure } from '#crds/failure.ts';
import type { DestinationLimits } from '#crds/policyfile.ts';
import type { SlowedDestination } from '../task/messages.ts';
import { dropOldest } from '../task/oldest.ts';
import { NO_NOTE, NO_ROW, type NoteChange, type Remembered, type Row, type Slowed } from './shapingnote.ts';

/** Deliveries that were under way when the pace was halved may bring more requests for the same reason. */
const SAME_REQUEST_MS = 60_000;
const RECOVERY_MS = 5 * 60_000;
export const HALVINGS = 10;
const REMEMBERED = 1_000;
const ROW = 'slow ';
/** Of a destination without a limit in time, once its connections are halved down to one. */
const PER_MINUTE = 60;

/** null: unlimited. */
export interface Limits {
  readonly connections: number | null;
  readonly messagesPerMinute: number | null;
}

export type Request = Pick<Slowed, 'name' | 'underWay' | 'failure'>;

export class SlowDowns {
  readonly #note: NoteChange;
  /** By the name of the destination, or "provider NAME". The latest request last. */
  readonly #slowed = new Map<string, Slowed>();

  constructor(note: NoteChange = NO_NOTE) {
    this.#note = note;
  }

  /** Takes over what the router before knew. */
  remember({ slowed }: Pick<Remembered, 'slowed'>): void {
    const sorted = [...slowed].toSorted(([, one], [, other]) => one.at - other.at);
    for (const [key, one] of sorted) this.#slowed.set(key.slice(ROW.length), one);
  }

  /** True if the pace is halved now. */
  asked(key: string, request: Request, now: number): boolean {
    const before = this.#slowed.get(key);
    if (before && now - before.at < SAME_REQUEST_MS) return false;
    const halvings = before ? countHalvings(before, now) : 0;
    // A pace that is halved already begins from the same number.
    const { underWay, since } = before && halvings > 0 ? before : { ...request, since: now };
    this.#slowed.delete(key);
    this.#slowed.set(key, {
      ...request,
      underWay,
      halvings: Math.min(halvings + 1, HALVINGS),
      at: now,
      since,
    });
    this.#note(`${ROW}${key}`, () => this.#row(key));
    for (const dropped of dropOldest(this.#slowed, REMEMBERED)) this.#note(`${ROW}${dropped}`, NO_ROW);
    return true;
  }

  /** The limits that hold now. The same object if nobody has asked. */
  apply(key: string, limits: Limits, now: number): Limits {
    // Most relays are never asked, and this is called for each delivery.
    const slowed = this.#slowed.size === 0 ? undefined : this.#slowed.get(key);
    if (!slowed) return limits;
    const halvings = countHalvings(slowed, now);
    if (halvings > 0)
      return slow(limits, Math.min(limits.connections ?? slowed.underWay, slowed.underWay), halvings);
    this.#forget(key);
    return limits;
  }

  /** The same for the limits of a destination. */
  applyToDestination(key: string, limits: DestinationLimits, now: number): DestinationLimits {
    if (!this.#slowed.has(key)) return limits;
    const { connectionsPerDestination: most, messagesPerDestinationPerMinute } = limits;
    const slowed = this.apply(
      key,
      { connections: most, messagesPerMinute: messagesPerDestinationPerMinute },
      now,
    );
    return {
      connectionsPerDestination: slowed.connections ?? most,
      messagesPerDestinationPerMinute: slowed.messagesPerMinute,
    };
  }

  #row(key: string): Row | undefined {
    const slowed = this.#slowed.get(key);
    return slowed && { ...slowed, kind: 'slow' };
  }

  #forget(key: string): void {
    this.#note(`${ROW}${key}`, NO_ROW);
    this.#slowed.delete(key);
  }

  /** The latest ones first. `wall`: the same time in milliseconds since the epoch. */
  list(now: number, wall: number): SlowedDestination[] {
    return [...this.#slowed.values()].reverse().flatMap((slowed) => {
      const halvings = countHalvings(slowed, now);
      if (halvings === 0) return [];
      const { name: destination, failure } = slowed;
      const since = wall - (now - slowed.since);
      return [{ destination, pace: `1/${2 ** halvings}`, since, message: describeFailure(failure) }];
    });
  }
}

export function countHalvings({ halvings, at }: Slowed, now: number): number {
  return Math.max(0, halvings - Math.floor((now - at) / RECOVERY_MS));
}

/** Never less than one connection and one message in a minute, so that the recovery is seen. */
export function slow({ messagesPerMinute }: Limits, connections: number, halvings: number): Limits {
  const left = halvings - Math.floor(Math.log2(connections));
  const unlimited = left > 0 ? PER_MINUTE * 2 ** (1 - left) : null;
  const perMinute = messagesPerMinute === null ? unlimited : messagesPerMinute / 2 ** halvings;
  return {
    connections: Math.max(1, Math.floor(connections / 2 ** halvings)),
    messagesPerMinute: perMinute === null ? null : Math.max(1, Math.floor(perMinute)),
  };
}

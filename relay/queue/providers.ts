/**
 * Which destinations share the limits of a provider. Only the mail hosts of a domain tell, so they are looked up before
 * its first delivery, and again after some minutes. A destination waits for its first look-up, and then for its turn in
 * the line of the provider (sharedlimits.ts). An answer counts until there is a newer one. This file has no clock of its
 * own.
 */
import type { Provider } from '#crds/policyfile.ts';
import type { Destination, FoundProvider } from '../delivery/courier.ts';
import { dropOldest } from '../task/oldest.ts';
import { SharedLimits, type SharedLimitsDeps } from './sharedlimits.ts';
import { Wakeups } from './wakeups.ts';

/** After this time the provider is looked up again. */
const KNOWN_MS = 10 * 60_000;
/** The same after a look-up without an answer. */
const UNKNOWN_MS = 30_000;
const REMEMBERED = 10_000;
/** Look-ups at a time. Each one may wait long for a dead name server. */
const LOOK_UPS = 200;

export interface ProvidersDeps extends SharedLimitsDeps {
  /** Never rejects. */
  readonly find: (destination: Destination) => Promise<FoundProvider>;
  readonly clock: () => number;
  /** Begins the deliveries of this destination that may begin now. */
  readonly pump: (key: string) => void;
}

interface Known {
  readonly limits: SharedLimits | undefined;
  readonly until: number;
}

export class Providers {
  readonly #deps: ProvidersDeps;
  /** By name of the provider. */
  readonly #limits = new Map<string, SharedLimits>();
  /** By destination key, the oldest answer first. */
  readonly #known = new Map<string, Known>();
  /** Keys of destinations whose look-up is wanted or under way. */
  readonly #unknown = new Set<string>();
  /** Destinations whose look-up has not begun, from `#begun` on. */
  #wanted: Destination[] = [];
  #begun = 0;
  #lookUps = 0;
  readonly #wakeups: Wakeups;

  constructor(deps: ProvidersDeps) {
    this.#deps = deps;
    this.#wakeups = new Wakeups(deps.clock, (name, at) => this.#wake(name, at));
  }

  /** Undefined if the destination shares no limits. */
  limitsFor({ key }: Destination): SharedLimits | undefined {
    return this.#known.get(key)?.limits;
  }

  /**
   * False if nothing is known of the provider of the destination. It is looked up, and the destination is pumped after
   * that.
   */
  isKnown(destination: Destination, now: number): boolean {
    const { kind, key } = destination;
    const known = this.#known.get(key);
    if (kind !== 'mx' || (known && known.until > now)) return true;
    if (!this.#unknown.has(key)) {
      this.#unknown.add(key);
      this.#wanted.push(destination);
      if (this.#lookUps < LOOK_UPS) void this.#lookUpAll();
    }
    return known !== undefined;
  }

  /** Begins the deliveries of the destinations whose turn it is. */
  pump(limits: SharedLimits): void {
    const { clock, pump } = this.#deps;
    for (let { next } = limits; next !== undefined && limits.admits(next, clock()); { next } = limits) {
      pump(next);
      // It has nothing to begin now. When it has, it waits again.
      if (limits.next === next && limits.admits(next, clock())) limits.leave(next);
    }
    this.#setWakeup(limits);
  }

  /** The destination has a delivery that is due, and only the shared limits stop it. */
  wait(key: string, limits: SharedLimits): void {
    limits.wait(key);
    this.#setWakeup(limits);
  }

  stop(): void {
    this.#wakeups.stop();
  }

  /** The end of a delivery sets no wake-up, it pumps. */
  #setWakeup(limits: SharedLimits): void {
    const at = limits.next === undefined ? Number.POSITIVE_INFINITY : limits.allowsAt(this.#deps.clock());
    // An earlier wake-up is kept: it sets the next one.
    if (at >= limits.wakeAt) return;
    limits.wakeAt = at;
    this.#wakeups.add(limits.name, at);
  }

  #wake(name: string, at: number): void {
    const limits = this.#limits.get(name);
    if (limits?.wakeAt !== at) return;
    limits.wakeAt = Number.POSITIVE_INFINITY;
    this.pump(limits);
  }

  async #lookUpAll(): Promise<void> {
    this.#lookUps += 1;
    for (let next = this.#takeWanted(); next; next = this.#takeWanted()) await this.#lookUp(next);
    this.#lookUps -= 1;
  }

  #takeWanted(): Destination | undefined {
    const next = this.#wanted[this.#begun++];
    if (next) return next;
    this.#wanted = [];
    this.#begun = 0;
    return undefined;
  }

  async #lookUp(destination: Destination): Promise<void> {
    const { find, clock, pump } = this.#deps;
    const { key } = destination;
    const found = await find(destination);
    this.#unknown.delete(key);
    const before = this.#known.get(key)?.limits;
    this.#known.delete(key);
    // Without an answer the limits stay: a dead name server must not lift them.
    const answered = found.kind === 'provider' ? this.#findLimits(found.provider) : undefined;
    const limits = found.kind === 'unknown' ? before : answered;
    if (before !== limits) before?.leave(key);
    this.#known.set(key, { limits, until: clock() + (found.kind === 'unknown' ? UNKNOWN_MS : KNOWN_MS) });
    dropOldest(this.#known, REMEMBERED);
    pump(key);
  }

  #findLimits(provider: Provider): SharedLimits {
    const limits = this.#limits.get(provider.name) ?? new SharedLimits(provider, this.#deps);
    this.#limits.set(provider.name, limits);
    return limits;
  }
}

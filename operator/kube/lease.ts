/**
 * Leader election over a Lease (coordination.k8s.io/v1), with the field's usual times: 15 s lease, 10 s to renew, a try
 * every 2 s, but for a rest of 3 s after a renewal. Time is monotonic and local: a lease counts as held until 15 s after
 * it was last seen to change. A lease does not fence: `isFresh` keeps a process that was paused from writing when it
 * wakes, but a write that was already on its way arrives, so every write of the operator is safe with two writers. Losing
 * the lease ends the process.
 */
import type { Client } from './client.ts';
import { isKubeError } from './errors.ts';
import { apiPath } from './kinds.ts';

/** Of the operator that was not installed by its chart; before there were installations, of every one. */
export const LEASE_NAME = 'mailrelay-operator';

const LEASE_MS = 15_000;
const RENEW_MS = 10_000;
const TRY_MS = 2_000;
/**
 * After a renewal. If the answer to the next one is lost it takes REQUEST_MS to know, a conflict to find out that it was
 * done, and one more try: all within the time there is to renew.
 */
const REST_MS = 3_000;
/** A renewal that hangs must not outlast the time there is to renew. */
const REQUEST_MS = 4_000;

const LEASE_KIND = { kind: 'Lease', apiVersion: 'coordination.k8s.io/v1', plural: 'leases' };

interface LeaseObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string; readonly resourceVersion?: string };
  readonly spec: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

export interface LeaseOptions {
  readonly client: Pick<Client, 'request'>;
  readonly namespace: string;
  readonly name: string;
  readonly identity: string;
  /** Milliseconds of a clock that never jumps. */
  readonly monotonic: () => number;
  readonly onLost: () => void;
  /**
   * The Lease that operators of before had. It is taken so that none of those leads meanwhile; where there is none, or
   * another operator of today has it for the same purpose, it is not needed. The identity is `installation/pod` then.
   */
  readonly isGuard?: boolean;
}

export class Lease {
  readonly #options: LeaseOptions;
  #seen: { text: string; at: number; lastsMs: number } | undefined;
  #held: LeaseObject | undefined;
  /** Of a guard: nobody need be kept out. */
  #isSpared = false;
  /** When the last successful renewal was begun. */
  #renewedAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #underWay: Promise<boolean> | undefined;
  #stopped = false;

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  get held(): boolean {
    return this.#held !== undefined || this.#isSpared;
  }

  /** True while nobody else can have taken it. */
  get isFresh(): boolean {
    return this.held && this.#options.monotonic() - this.#renewedAt < LEASE_MS;
  }

  /** Resolves when this process leads; then keeps renewing until `release`. */
  async acquire(): Promise<void> {
    while (!this.#stopped && !(await this.#attempt())) await pause(this.#untilNextMs());
    if (!this.#stopped) this.#keep(REST_MS);
  }

  /** Gives the lease up, so that another can lead at once. */
  async release(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    // What an attempt writes after us, or has just got, would stay with a process that is gone.
    await this.#underWay?.catch(() => undefined);
    const held = this.#held;
    this.#held = undefined;
    if (!held) return;
    const { holderIdentity: _, ...spec } = held.spec;
    await this.#write({ ...held, spec: { ...spec, leaseDurationSeconds: 1 } }).catch(() => undefined);
  }

  #keep(afterMs: number): void {
    this.#timer = setTimeout(async () => {
      const begun = this.#options.monotonic();
      const renewed = await this.#attempt();
      if (this.#stopped) return;
      if (renewed) this.#keep(REST_MS);
      else if (begun - this.#renewedAt <= RENEW_MS) this.#keep(TRY_MS);
      else this.#options.onLost();
    }, afterMs);
  }

  #attempt(): Promise<boolean> {
    this.#underWay = this.#getOrRenew();
    return this.#underWay;
  }

  /** One try; false when another holds it or the server does not answer. */
  async #getOrRenew(): Promise<boolean> {
    try {
      const begun = this.#options.monotonic();
      const current = await this.#read();
      this.#isSpared = this.#isNeedless(current);
      if (this.#isSpared) {
        this.#renewedAt = begun;
        return true;
      }
      if (current && !this.#isFree(current)) {
        this.#held = undefined;
        return false;
      }
      this.#held = await this.#write(this.#claim(current));
      this.#renewedAt = begun;
      return true;
    } catch (error) {
      if (isKubeError(error)) return false;
      throw error;
    }
  }

  async #read(): Promise<LeaseObject | undefined> {
    const { client, namespace, name } = this.#options;
    // What we wrote last is what is there, unless somebody took it: the write's version check tells.
    if (this.#held) return this.#held;
    try {
      return await client.request<LeaseObject>({
        method: 'GET',
        path: apiPath(LEASE_KIND, namespace, name),
        timeoutMs: REQUEST_MS,
      });
    } catch (error) {
      if (isKubeError(error, 'notFound')) return undefined;
      throw error;
    }
  }

  #isNeedless(lease: LeaseObject | undefined): boolean {
    if (!this.#options.isGuard) return false;
    return lease === undefined || (isOfToday(lease) && !this.#isOwn(lease));
  }

  /** Of a guard: whoever leads this installation may take over what the leader before it held. */
  #isOwn({ spec }: LeaseObject): boolean {
    const { identity } = this.#options;
    return spec.holderIdentity?.startsWith(identity.slice(0, identity.lastIndexOf('/') + 1)) ?? false;
  }

  #isFree(lease: LeaseObject): boolean {
    const { identity, monotonic, isGuard } = this.#options;
    const holder = lease.spec.holderIdentity;
    if (!holder || holder === identity || (isGuard && this.#isOwn(lease))) return true;
    const text = JSON.stringify(lease.spec);
    const lastsMs = (lease.spec.leaseDurationSeconds ?? LEASE_MS / 1000) * 1000;
    if (this.#seen?.text !== text) this.#seen = { text, at: monotonic(), lastsMs };
    return this.#expiresInMs() < 0;
  }

  /** To the point where it is free, and no later: every second without a leader counts. */
  #untilNextMs(): number {
    const freeInMs = this.#expiresInMs() + 1;
    return freeInMs > 0 && freeInMs < TRY_MS ? freeInMs : TRY_MS;
  }

  /** Until the lease that another holds is free, if it is not seen to change. */
  #expiresInMs(): number {
    if (!this.#seen) return TRY_MS;
    return this.#seen.at + this.#seen.lastsMs - this.#options.monotonic();
  }

  #claim(current: LeaseObject | undefined): LeaseObject {
    const { namespace, name, identity } = this.#options;
    const now = new Date().toISOString().replace('Z', '000Z');
    const mine = current?.spec.holderIdentity === identity;
    return {
      apiVersion: LEASE_KIND.apiVersion,
      kind: LEASE_KIND.kind,
      metadata: current?.metadata ?? { name, namespace },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: LEASE_MS / 1000,
        acquireTime: mine ? (current.spec.acquireTime ?? now) : now,
        renewTime: now,
        leaseTransitions: (current?.spec.leaseTransitions ?? 0) + (mine || !current ? 0 : 1),
      },
    };
  }

  async #write(lease: LeaseObject): Promise<LeaseObject> {
    const { client, namespace, name } = this.#options;
    const create = lease.metadata.resourceVersion === undefined;
    try {
      return await client.request<LeaseObject>({
        method: create ? 'POST' : 'PUT',
        path: create ? apiPath(LEASE_KIND, namespace) : apiPath(LEASE_KIND, namespace, name),
        body: lease,
        timeoutMs: REQUEST_MS,
      });
    } catch (error) {
      // Somebody else wrote: read it anew next time.
      if (isKubeError(error, 'conflict', 'notFound')) this.#held = undefined;
      throw error;
    }
  }
}

/** Names of pods have no slash. */
function isOfToday({ spec }: LeaseObject): boolean {
  return spec.holderIdentity?.includes('/') ?? false;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

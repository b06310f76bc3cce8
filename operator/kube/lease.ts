/**
 * Leader election over a Lease (coordination.k8s.io/v1), with the usual times: 15 s for the Lease, 10 s for a renewal,
 * a try every 2 s, and a rest of 3 s after a renewal. Time is monotonic and local: a Lease counts as held until 15 s
 * after its last change that this process saw. A Lease does not fence. `isFresh` keeps a process that was paused from
 * writing when it wakes, but a write that is already under way arrives. So every write of the operator is safe with two
 * writers. A process that loses the Lease ends.
 */
import type { Client } from './client.ts';
import { isKubeError, KubeError } from './errors.ts';
import { apiPath } from './kinds.ts';

const LEASE_MS = 15_000;
const RENEW_MS = 10_000;
const TRY_MS = 2_000;
/**
 * The rest after a renewal. If the answer to the next renewal is lost, the process needs REQUEST_MS to notice, a
 * conflict to learn that the server did it, and one more try. All this fits into the time for a renewal.
 */
const REST_MS = 3_000;
/** A renewal that hangs must end within the time for a renewal. */
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
  /** Milliseconds of a monotonic clock. */
  readonly monotonic: () => number;
  readonly onLost: () => void;
  /** Is called once for each reason why the Lease cannot be had that a retry may not mend. It is tried on. */
  readonly onRefused?: (message: string) => void;
  /**
   * True for the Lease of versions without installations. The process holds it so that no such version leads meanwhile.
   * It is not needed if it does not exist, or if an operator of this version holds it as a guard. The identity of a
   * guard is `installation/pod`.
   */
  readonly isGuard?: boolean;
}

export class Lease {
  readonly #options: LeaseOptions;
  #seen: { text: string; at: number; lastsMs: number } | undefined;
  #held: LeaseObject | undefined;
  /** For a guard: true if no older operator has to be kept out. */
  #isSpared = false;
  /** The begin of the last successful renewal. */
  #renewedAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #underWay: Promise<boolean> | undefined;
  #stopped = false;
  #refusal: string | undefined;

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  get held(): boolean {
    return this.#held !== undefined || this.#isSpared;
  }

  /** True while no other process can have taken the Lease. */
  get isFresh(): boolean {
    return this.held && this.#options.monotonic() - this.#renewedAt < LEASE_MS;
  }

  /** Why the API server refuses the Lease; undefined if it does not, or gives no answer. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** Resolves when this process leads; then keeps renewing until `release`. */
  async acquire(): Promise<void> {
    while (!this.#stopped && !(await this.#attempt())) await pause(this.#untilNextMs());
    if (!this.#stopped) this.#keep(REST_MS);
  }

  /** Releases the Lease, so that another process can lead at once. */
  async release(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    // A running attempt could write after the release. The Lease would then belong to a process that is gone.
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

  /** One try. False if another process holds the Lease, or if the server refuses it or does not answer. */
  async #getOrRenew(): Promise<boolean> {
    try {
      const isHad = await this.#tryOnce();
      this.#refusal = undefined;
      return isHad;
    } catch (error) {
      if (!isKubeError(error)) throw error;
      this.#noteRefusal(error);
      return false;
    }
  }

  /**
   * A conflict and an absence of the server pass. A missing right, a missing namespace, or a webhook that is down, does not. Of a
   * failure the holder says nothing: it may be a moment of etcd, and otherwise the Lease is lost.
   */
  #noteRefusal(error: KubeError): void {
    const isFailing = isKubeError(error, 'failed') && !this.held;
    const isRefused = isKubeError(error, 'forbidden', 'notFound', 'invalid') || isFailing;
    const before = this.#refusal;
    this.#refusal = isRefused ? error.message : undefined;
    if (isRefused && before !== error.message) this.#options.onRefused?.(error.message);
  }

  async #tryOnce(): Promise<boolean> {
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
  }

  async #read(): Promise<LeaseObject | undefined> {
    const { client, namespace, name } = this.#options;
    // The Lease is as we wrote it last, unless another process took it. The version check of the next write finds that.
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

  /** For a guard: true if a process of this installation holds it. The next leader may take it over. */
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

  /**
   * Milliseconds until the next try: not later than the Lease becomes free, because every second without a leader
   * counts.
   */
  #untilNextMs(): number {
    const freeInMs = this.#expiresInMs() + 1;
    return freeInMs > 0 && freeInMs < TRY_MS ? freeInMs : TRY_MS;
  }

  /** Milliseconds until the Lease of another process becomes free, if it does not change before. */
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
      // Somebody wrote the Lease or deleted it, so the next try reads it again.
      if (isKubeError(error, 'conflict', 'notFound')) this.#held = undefined;
      const isGone = !create && isKubeError(error, 'notFound');
      throw isGone ? new KubeError('conflict', error.message, 404) : error;
    }
  }
}

/** True if the holder is an operator of this version: its identity has a slash, and the name of a pod has none. */
function isOfToday({ spec }: LeaseObject): boolean {
  return spec.holderIdentity?.includes('/') ?? false;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

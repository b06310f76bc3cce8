/**
 * Leading is holding all of some Leases: that of this installation, and as a guard the one that every operator had
 * before there were installations, so that one of before, which an upgrade has not replaced yet, does not lead beside.
 */
import { LEASE_NAME, Lease, type LeaseOptions } from './lease.ts';

export class Leadership {
  readonly #leases: readonly Lease[];

  /** `installation`: namespace and release. */
  constructor(options: LeaseOptions, installation: string) {
    const guard = {
      ...options,
      name: LEASE_NAME,
      identity: `${installation}/${options.identity}`,
      isGuard: true,
    };
    this.#leases = [new Lease(options), ...(options.name === LEASE_NAME ? [] : [new Lease(guard)])];
  }

  get held(): boolean {
    return this.#leases.every(({ held }) => held);
  }

  /** True while nobody else can lead. */
  get isFresh(): boolean {
    return this.#leases.every(({ isFresh }) => isFresh);
  }

  /** Resolves when this process leads; then keeps renewing until `release`. */
  async acquire(): Promise<void> {
    for (const lease of this.#leases) await lease.acquire();
  }

  /** So that another can lead at once. */
  async release(): Promise<void> {
    for (const lease of this.#leases.toReversed()) await lease.release();
  }
}

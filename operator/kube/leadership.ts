/**
 * A process leads while it holds two Leases: that of this installation, and, as a guard, the single Lease of versions
 * without installations. The guard keeps a process of such a version, which an upgrade has not replaced yet, from
 * leading at the same time.
 */
import { Lease, type LeaseOptions } from './lease.ts';
import { LEASE_NAME } from './permissions.ts';

export class Leadership {
  readonly #leases: readonly Lease[];

  /** `installation` is namespace and release. */
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

  /** True while no other process can lead. */
  get isFresh(): boolean {
    return this.#leases.every(({ isFresh }) => isFresh);
  }

  /** Why this process cannot lead, whoever else does; undefined while nothing refuses it a Lease. */
  get trouble(): string | undefined {
    const refusal = this.#leases.map((lease) => lease.refusal).find((one) => one !== undefined);
    return (
      refusal && `the Lease is refused, restore the roles of the operator, or mend what is named: ${refusal}`
    );
  }

  /** Resolves when this process leads; then keeps renewing until `release`. */
  async acquire(): Promise<void> {
    for (const lease of this.#leases) await lease.acquire();
  }

  /** Releases the Leases, so that another process can lead at once. */
  async release(): Promise<void> {
    for (const lease of this.#leases.toReversed()) await lease.release();
  }
}

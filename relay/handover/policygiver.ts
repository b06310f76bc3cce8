/**
 * Gives the MTA-STS policies of this pod to each sibling, before the first entry that goes there: mail that waited under
 * a policy must not go without it at the sibling. A sibling of an earlier version does not know them and gets the
 * entries alone. Policies that cannot be read are told, and hold no entry back.
 */
import type { Log } from '../observe/log.ts';
import type { Offered, Sibling } from './sibling.ts';

export class PolicyGiver {
  readonly #read: () => string | null;
  readonly #log: Log;
  readonly #given = new Map<Sibling, Promise<Offered>>();
  #policies: string | null | undefined;

  /** `read`: null if this pod has none. */
  constructor(read: () => string | null, log: Log) {
    this.#read = read;
    this.#log = log;
  }

  /** Resolves with the reason why the sibling cannot have entries yet, or with undefined. */
  async giveTo(sibling: Sibling): Promise<string | undefined> {
    if (this.#policies === undefined) this.#policies = this.#read();
    if (this.#policies === null) return undefined;
    // Offers of several entries at a time wait for the same one.
    const given = this.#given.get(sibling) ?? this.#offer(sibling, this.#policies);
    this.#given.set(sibling, given);
    const offered = await given;
    if (offered.kind === 'taken' || offered.kind === 'refused') return undefined;
    if (this.#given.get(sibling) === given) this.#given.delete(sibling);
    return `its MTA-STS policies come first: ${offered.reason}`;
  }

  async #offer(sibling: Sibling, policies: string): Promise<Offered> {
    const offered = await sibling.offerPolicies(policies);
    const to = { sibling: sibling.address.host };
    if (offered.kind === 'taken') this.#log('sts_policies_handed_over', to);
    if (offered.kind === 'refused') this.#log('sts_policies_not_taken', { ...to, reason: offered.reason });
    return offered;
  }
}

/**
 * The refusals since the relay started, by reason: how many, and the last one with its client. Reasons are a fixed set, so
 * the table is bounded. Counts come from all processes. Who the client was comes from the listeners only, because the
 * supervisor itself refuses connections before they say anything.
 */
import type { PodStatus } from '#crds/podstatus.ts';
import type { Counted, RefusedClient } from '../task/messages.ts';

type Listed = NonNullable<PodStatus['sessions']['refusals']>[number];

interface Refused {
  count: number;
  at: number;
  client: RefusedClient | undefined;
}

const LISTED = 20;
const COUNT = /^refused\{([a-z_]+)\}$/;

export class LastRefusals {
  readonly #clock: () => number;
  readonly #reasons = new Map<string, Refused>();

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  add({ counts, refused = [] }: Counted): void {
    for (const [key, count] of Object.entries(counts)) {
      const [, reason] = COUNT.exec(key) ?? [];
      if (reason !== undefined) this.#of(reason).count += count;
    }
    for (const client of refused) this.#of(client.reason).client = client;
  }

  /** Newest first. */
  get list(): Listed[] {
    return [...this.#reasons]
      .filter(([, { count }]) => count > 0)
      .toSorted(([, one], [, other]) => other.at - one.at)
      .slice(0, LISTED)
      .map(([reason, { count, at, client }]) => ({
        reason,
        count,
        lastSeen: new Date(at).toISOString().replace(/\.\d+Z$/, 'Z'),
        ...(client ? { client: client.client, helo: client.helo } : {}),
      }));
  }

  #of(reason: string): Refused {
    const refused = this.#reasons.get(reason) ?? { count: 0, at: 0, client: undefined };
    refused.at = this.#clock();
    this.#reasons.set(reason, refused);
    return refused;
  }
}

/**
 * Who sent mail in plain text: what Required would refuse. Counted by client address for a day, and listed by network
 * and HELO name for a week. Both are bounded: beyond that the longest unseen are forgotten, so the count is a floor.
 */
import type { PodStatus } from '#crds/podstatus.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const WEEK_MS = 7 * DAY_MS;
const CLIENTS = 100_000;
const SENDERS = 1_000;
const LISTED = 50;

type Listed = PodStatus['sessions']['plaintext'][number];

/** Keys with the time of their last sight, the longest unseen first. */
class LastSeen {
  readonly #most: number;
  readonly #forMs: number;
  readonly #seen = new Map<string, number>();

  constructor(most: number, forMs: number) {
    this.#most = most;
    this.#forMs = forMs;
  }

  saw(key: string, now: number): void {
    this.#seen.delete(key);
    this.#seen.set(key, now);
    if (this.#seen.size > this.#most) this.#forgetOldest();
  }

  entries(now: number): [string, number][] {
    for (const at of this.#seen.values()) {
      if (at > now - this.#forMs) break;
      this.#forgetOldest();
    }
    return [...this.#seen];
  }

  count(now: number): number {
    return this.entries(now).length;
  }

  #forgetOldest(): void {
    const [oldest] = this.#seen.keys();
    if (oldest !== undefined) this.#seen.delete(oldest);
  }
}

export class PlaintextClients {
  readonly #clock: () => number;
  readonly #clients = new LastSeen(CLIENTS, DAY_MS);
  readonly #senders = new LastSeen(SENDERS, WEEK_MS);

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  saw(client: string, helo: string): void {
    const now = this.#clock();
    this.#clients.saw(client, now);
    this.#senders.saw(`${networkOf(client)} ${helo.slice(0, 255)}`, now);
  }

  get count(): number {
    return this.#clients.count(this.#clock());
  }

  /** The latest first. */
  get list(): Listed[] {
    return this.#senders
      .entries(this.#clock())
      .slice(-LISTED)
      .toReversed()
      .map(([key, at]) => listed(key, at));
  }
}

function listed(key: string, at: number): Listed {
  const blank = key.indexOf(' ');
  // Whole hours, so that a busy client does not change the status with every message.
  const hour = new Date(at - (at % HOUR_MS)).toISOString().replace(/\.\d+Z$/, 'Z');
  return { network: key.slice(0, blank), helo: key.slice(blank + 1), lastSeen: hour };
}

/** /24 of IPv4, /64 of IPv6. */
function networkOf(client: string): string {
  if (!client.includes(':')) return `${client.split('.').slice(0, 3).join('.')}.0/24`;
  const [head = '', tail] = client.split('::');
  const groups = head.split(':').filter((group) => group !== '');
  const rest = (tail ?? '').split(':').filter((group) => group !== '');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - rest.length);
  const all = [...groups, ...Array.from({ length: zeros }, () => '0'), ...rest];
  return `${all.slice(0, 4).join(':')}::/64`;
}

/**
 * Clients that sent mail in plain text in the last seven days, which Required would refuse. They are counted by
 * address, and listed by network and HELO name. Both collections are bounded. When one is full, the entry that was
 * unseen longest is dropped, so the count is a minimum. The data is saved as text and survives a restart. An unreadable
 * text counts as empty.
 */
import type { PodStatus } from '#crds/podstatus.ts';
import { clientNetwork } from '../listener/clientnetwork.ts';

const HOUR_MS = 3_600_000;
const WEEK_MS = 7 * 24 * HOUR_MS;
const CLIENTS = 10_000;
const SENDERS = 1_000;
const LISTED = 50;

type Seen = readonly [key: string, at: number][];

type Listed = PodStatus['sessions']['plaintext'][number];

/** Keys with the time when each was last seen, oldest first. */
class LastSeen {
  readonly #most: number;
  readonly #seen: Map<string, number>;

  constructor(most: number, seen: Seen) {
    this.#most = most;
    this.#seen = new Map(seen);
  }

  saw(key: string, now: number): void {
    this.#seen.delete(key);
    this.#seen.set(key, now);
    if (this.#seen.size > this.#most) this.#forgetOldest();
  }

  entries(now: number): [string, number][] {
    for (const at of this.#seen.values()) {
      if (at > now - WEEK_MS) break;
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
  readonly #clients: LastSeen;
  readonly #senders: LastSeen;
  #isNew = false;

  constructor(clock: () => number, text?: string) {
    const { clients, senders } = read(text);
    this.#clock = clock;
    this.#clients = new LastSeen(CLIENTS, clients);
    this.#senders = new LastSeen(SENDERS, senders);
  }

  saw(client: string, helo: string): void {
    const now = this.#clock();
    this.#isNew = true;
    this.#clients.saw(client, now);
    this.#senders.saw(`${clientNetwork(client)} ${helo.slice(0, 255)}`, now);
  }

  /** All data as text, if it changed since the last call. */
  news(): string | undefined {
    if (!this.#isNew) return undefined;
    this.#isNew = false;
    const now = this.#clock();
    return JSON.stringify({ clients: this.#clients.entries(now), senders: this.#senders.entries(now) });
  }

  get count(): number {
    return this.#clients.count(this.#clock());
  }

  /** Newest first. */
  get list(): Listed[] {
    return this.#senders
      .entries(this.#clock())
      .slice(-LISTED)
      .toReversed()
      .map(([key, at]) => listed(key, at));
  }
}

function read(text: string | undefined): { clients: Seen; senders: Seen } {
  const pairs = (value: Seen) =>
    value.filter(([key, at]) => typeof key === 'string' && typeof at === 'number');
  try {
    const { clients, senders } = JSON.parse(text ?? '') as { clients: Seen; senders: Seen };
    return { clients: pairs(clients), senders: pairs(senders) };
  } catch {
    return { clients: [], senders: [] };
  }
}

function listed(key: string, at: number): Listed {
  const blank = key.indexOf(' ');
  // Rounded to whole hours, so a busy client does not change the status with every message.
  const hour = new Date(at - (at % HOUR_MS)).toISOString().replace(/\.\d+Z$/, 'Z');
  return { network: key.slice(0, blank), helo: key.slice(blank + 1), lastSeen: hour };
}

/**
 * Clients whose mail was taken in plain text in the last seven days: those that Required would refuse, and those that it
 * refused since. A client that was never taken is no news where Required is in force, and
 * the many unknown ones would push out the known ones. Clients are counted by address, and listed by network and HELO
 * name. All collections are bounded, and one network has a share of each: a client may have as many addresses of IPv6 and
 * names as it likes. When a collection or a share is full, its entry that was unseen longest is dropped, so a count is a
 * minimum. The data is saved as text and survives a restart. An unreadable text counts as empty.
 */
import { cutText } from '#crds/cut.ts';
import type { PodStatus } from '#crds/podstatus.ts';
import { clientNetwork } from '../listener/clientnetwork.ts';

const HOUR_MS = 3_600_000;
const WEEK_MS = 7 * 24 * HOUR_MS;
const CLIENTS = 10_000;
const SENDERS = 1_000;
const LISTED = 50;
/** One network has at most this part of a collection. A whole /24 of IPv4 fits into the clients. */
const SHARE = 1 / 20;

type Seen = readonly [key: string, at: number][];

type Listed = PodStatus['sessions']['plaintext'][number];

export interface PlaintextSenders {
  /** By address. */
  readonly clients: number;
  /** By network and HELO name, newest first. */
  readonly list: readonly Listed[];
}

/** Keys with the time when each was last seen, oldest first. */
class LastSeen {
  readonly #most: number;
  readonly #seen = new Map<string, number>();
  /** The number of keys of each network. */
  readonly #networks = new Map<string, number>();

  constructor(most: number, seen: Seen) {
    this.#most = most;
    for (const [key, at] of seen) this.saw(key, at);
  }

  saw(key: string, at: number): void {
    this.#forget(key);
    const network = networkOf(key);
    if ((this.#networks.get(network) ?? 0) >= this.#most * SHARE)
      this.#forget(this.#seen.keys().find((other) => networkOf(other) === network));
    else if (this.#seen.size >= this.#most) this.#forgetOldest();
    this.#seen.set(key, at);
    this.#networks.set(network, (this.#networks.get(network) ?? 0) + 1);
  }

  entries(now: number): [string, number][] {
    for (const at of this.#seen.values()) {
      if (at > now - WEEK_MS) break;
      this.#forgetOldest();
    }
    return [...this.#seen];
  }

  at(key: string, now: number): number | undefined {
    const at = this.#seen.get(key);
    return at !== undefined && at > now - WEEK_MS ? at : undefined;
  }

  #forgetOldest(): void {
    const [oldest] = this.#seen.keys();
    this.#forget(oldest);
  }

  #forget(key: string | undefined): void {
    if (key === undefined || !this.#seen.delete(key)) return;
    const network = networkOf(key);
    const others = (this.#networks.get(network) ?? 0) - 1;
    if (others > 0) this.#networks.set(network, others);
    else this.#networks.delete(network);
  }
}

/** Of an address, or of a sender, whose key begins with its network. */
function networkOf(key: string): string {
  const blank = key.indexOf(' ');
  return blank === -1 ? clientNetwork(key) : key.slice(0, blank);
}

const KINDS = ['clients', 'senders', 'refusedClients', 'refusedSenders'] as const;
type Kept = Readonly<Record<(typeof KINDS)[number], LastSeen>>;

export class PlaintextClients {
  readonly #clock: () => number;
  readonly #kept: Kept;
  #isNew = false;

  constructor(clock: () => number, text?: string) {
    this.#clock = clock;
    this.#kept = read(text);
  }

  saw(client: string, helo: string, isRefused: boolean): void {
    const now = this.#clock();
    const { clients, senders, refusedClients, refusedSenders } = this.#kept;
    const sender = `${clientNetwork(client)} ${cutText(helo, 255)}`;
    const isKnown = clients.at(client, now) !== undefined || senders.at(sender, now) !== undefined;
    if (isRefused && !isKnown) return;
    this.#isNew = true;
    (isRefused ? refusedClients : clients).saw(client, now);
    (isRefused ? refusedSenders : senders).saw(sender, now);
  }

  /** All data as text, if it changed since the last call. */
  news(): string | undefined {
    if (!this.#isNew) return undefined;
    this.#isNew = false;
    const now = this.#clock();
    return JSON.stringify(Object.fromEntries(KINDS.map((kind) => [kind, this.#kept[kind].entries(now)])));
  }

  /** Clients that Required would refuse: their mail was taken, and not refused since. */
  get taken(): PlaintextSenders {
    const { clients, senders, refusedClients, refusedSenders } = this.#kept;
    return describe(this.#later(clients, refusedClients, 1), this.#later(senders, refusedSenders, 1));
  }

  /** Clients that Required refused, and whose mail was not taken since. */
  get refused(): PlaintextSenders {
    const { clients, senders, refusedClients, refusedSenders } = this.#kept;
    return describe(this.#later(refusedClients, clients, 0), this.#later(refusedSenders, senders, 0));
  }

  /** The entries of one side that are at least `byMs` later than those of the other. */
  #later(side: LastSeen, other: LastSeen, byMs: number): Seen {
    const now = this.#clock();
    return side.entries(now).filter(([key, at]) => at - byMs >= (other.at(key, now) ?? -Infinity));
  }
}

function describe(clients: Seen, senders: Seen): PlaintextSenders {
  return { clients: clients.length, list: chooseListed(senders).map(([key, at]) => listed(key, at)) };
}

/** The newest, in turn from each network: many names of one hide no other. Newest first. */
function chooseListed(senders: Seen): Seen {
  const turns = new Map<string, number>();
  const newest = senders.toReversed().map((sender) => {
    const network = networkOf(sender[0]);
    const turn = turns.get(network) ?? 0;
    turns.set(network, turn + 1);
    return { sender, turn };
  });
  const chosen = newest.toSorted((a, b) => a.turn - b.turn).slice(0, LISTED);
  return chosen.map(({ sender }) => sender).toSorted(([, a], [, b]) => b - a);
}

function read(text: string | undefined): Kept {
  const kept = parse(text);
  return {
    clients: new LastSeen(CLIENTS, kept.clients),
    senders: new LastSeen(SENDERS, kept.senders),
    refusedClients: new LastSeen(CLIENTS, kept.refusedClients),
    refusedSenders: new LastSeen(SENDERS, kept.refusedSenders),
  };
}

function parse(text: string | undefined): Record<(typeof KINDS)[number], Seen> {
  const none = { clients: [], senders: [], refusedClients: [], refusedSenders: [] };
  const pairs = (value: Seen) =>
    value.filter(([key, at]) => typeof key === 'string' && typeof at === 'number');
  try {
    // Older relays did not keep the refused ones.
    const kept = { ...none, ...(JSON.parse(text ?? '') as Partial<Record<(typeof KINDS)[number], Seen>>) };
    return {
      clients: pairs(kept.clients),
      senders: pairs(kept.senders),
      refusedClients: pairs(kept.refusedClients),
      refusedSenders: pairs(kept.refusedSenders),
    };
  } catch {
    return none;
  }
}

function listed(key: string, at: number): Listed {
  const blank = key.indexOf(' ');
  // Rounded to whole hours, so a busy client does not change the status with every message.
  const hour = new Date(at - (at % HOUR_MS)).toISOString().replace(/\.\d+Z$/, 'Z');
  return { network: key.slice(0, blank), helo: key.slice(blank + 1), lastSeen: hour };
}

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

/** When mail of a key was last taken, and last refused. */
interface Times {
  readonly taken?: number;
  readonly refused?: number;
}

/** One entry for each key, so a key that is dropped is in no list. The key that was unseen longest comes first. */
class LastSeen {
  readonly #most: number;
  readonly #seen = new Map<string, Times>();
  /** The keys of each network, in the same order. */
  readonly #networks = new Map<string, Set<string>>();

  constructor(most: number, { taken, refused }: Record<keyof Times, Seen>) {
    this.#most = most;
    const all = [...listTimes(taken, 'taken'), ...listTimes(refused, 'refused')];
    for (const { key, at, side } of all.toSorted((a, b) => a.at - b.at)) this.saw(key, at, side);
  }

  saw(key: string, at: number, side: keyof Times): void {
    const times = this.#seen.get(key);
    this.#forget(key);
    const network = readNetwork(key);
    const others = this.#networks.get(network) ?? new Set();
    if (others.size >= this.#most * SHARE) this.#forgetFirst(others);
    else if (this.#seen.size >= this.#most) this.#forgetFirst(this.#seen);
    this.#seen.set(key, { ...times, [side]: at });
    // It was dropped with its last key.
    this.#networks.set(network, others.add(key));
  }

  /**
   * The times of one side in the last seven days. A time after now was written before the clock was stepped back, and
   * counts as now.
   */
  entries(side: keyof Times, now: number): [string, number][] {
    const since = now - WEEK_MS;
    for (const [key, times] of this.#seen) {
      if (lastOf(times) <= since) this.#forget(key);
      else if (lastOf(times) > now) this.#seen.set(key, endAt(now, times));
    }
    return [...this.#seen].flatMap(([key, { [side]: at }]) =>
      at !== undefined && at > since ? [[key, at] as [string, number]] : [],
    );
  }

  /** Those that were seen last on this side. Taken and refused at the same time is refused. */
  latest(side: keyof Times, now: number): Seen {
    return this.entries(side, now).filter(([key]) => sideOf(this.#seen.get(key) ?? {}) === side);
  }

  wasTaken(key: string, now: number): boolean {
    return (this.#seen.get(key)?.taken ?? -Infinity) > now - WEEK_MS;
  }

  #forgetFirst(keys: { keys(): Iterable<string> }): void {
    const [first] = keys.keys();
    if (first !== undefined) this.#forget(first);
  }

  #forget(key: string): void {
    if (!this.#seen.delete(key)) return;
    const network = readNetwork(key);
    const others = this.#networks.get(network);
    others?.delete(key);
    if (others?.size === 0) this.#networks.delete(network);
  }
}

function listTimes(seen: Seen, side: keyof Times): { key: string; at: number; side: keyof Times }[] {
  return seen.map(([key, at]) => ({ key, at, side }));
}

function sideOf({ taken = -Infinity, refused = -Infinity }: Times): keyof Times {
  return refused >= taken ? 'refused' : 'taken';
}

function endAt(now: number, times: Times): Times {
  return Object.fromEntries(Object.entries(times).map(([side, at]) => [side, Math.min(at, now)]));
}

function lastOf({ taken = -Infinity, refused = -Infinity }: Times): number {
  return Math.max(taken, refused);
}

/** Of an address, or of a sender, whose key begins with its network. */
function readNetwork(key: string): string {
  const blank = key.indexOf(' ');
  return blank === -1 ? clientNetwork(key) : key.slice(0, blank);
}

interface Kept {
  readonly clients: LastSeen;
  readonly senders: LastSeen;
}

/** As it is saved. */
type Saved = Readonly<Record<'clients' | 'senders' | 'refusedClients' | 'refusedSenders', Seen>>;

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
    const { clients, senders } = this.#kept;
    const sender = `${clientNetwork(client)} ${cutText(helo, 255)}`;
    if (isRefused && !clients.wasTaken(client, now) && !senders.wasTaken(sender, now)) return;
    this.#isNew = true;
    const side = isRefused ? 'refused' : 'taken';
    clients.saw(client, now, side);
    senders.saw(sender, now, side);
  }

  /** All data as text, if it changed since the last call. */
  news(): string | undefined {
    if (!this.#isNew) return undefined;
    this.#isNew = false;
    const now = this.#clock();
    const { clients, senders } = this.#kept;
    const saved: Saved = {
      clients: clients.entries('taken', now),
      senders: senders.entries('taken', now),
      refusedClients: clients.entries('refused', now),
      refusedSenders: senders.entries('refused', now),
    };
    return JSON.stringify(saved);
  }

  /** Clients that Required would refuse: their mail was taken, and not refused since. */
  get taken(): PlaintextSenders {
    return this.#describe('taken');
  }

  /** Clients that Required refused, and whose mail was not taken since. */
  get refused(): PlaintextSenders {
    return this.#describe('refused');
  }

  #describe(side: keyof Times): PlaintextSenders {
    const now = this.#clock();
    const senders = chooseListed(this.#kept.senders.latest(side, now));
    return {
      clients: this.#kept.clients.latest(side, now).length,
      list: senders.map(([key, at]) => listed(key, at)),
    };
  }
}

/** The newest, in turn from each network: many names of one hide no other. Newest first. */
function chooseListed(senders: Seen): Seen {
  const turns = new Map<string, number>();
  const newest = senders.toReversed().map((sender) => {
    const network = readNetwork(sender[0]);
    const turn = turns.get(network) ?? 0;
    turns.set(network, turn + 1);
    return { sender, turn };
  });
  const chosen = newest.toSorted((a, b) => a.turn - b.turn).slice(0, LISTED);
  return chosen.map(({ sender }) => sender).toSorted(([, a], [, b]) => b - a);
}

function read(text: string | undefined): Kept {
  const { clients, senders, refusedClients, refusedSenders } = parse(text);
  return {
    clients: new LastSeen(CLIENTS, { taken: clients, refused: refusedClients }),
    senders: new LastSeen(SENDERS, { taken: senders, refused: refusedSenders }),
  };
}

function parse(text: string | undefined): Saved {
  const none = { clients: [], senders: [], refusedClients: [], refusedSenders: [] };
  const pairs = (value: Seen) =>
    value.filter(([key, at]) => typeof key === 'string' && typeof at === 'number');
  try {
    // Older relays did not keep the refused ones.
    const saved = { ...none, ...(JSON.parse(text ?? '') as Partial<Saved>) };
    return {
      clients: pairs(saved.clients),
      senders: pairs(saved.senders),
      refusedClients: pairs(saved.refusedClients),
      refusedSenders: pairs(saved.refusedSenders),
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

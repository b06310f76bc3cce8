/**
 * The giving side. It hands the MTA-STS policies of this pod and every entry of the queue to a sibling, and removes the
 * entry here after it is durable there. After a crash in between, the entry is offered again to the same sibling, which
 * recognizes it; after a disk error, only the removal is tried again, and nothing is read. An entry that no sibling takes
 * stays here. Siblings that do not answer are asked again after growing pauses. Unreadable entries are set aside for a
 * person and stay too.
 */
import { crc32 } from 'node:zlib';
import type { Log } from '../observe/log.ts';
import { type QueueRecord, timeOfQueueId } from '../spool/record.ts';
import type { Loaded, Spool } from '../spool/spool.ts';
import { Counters } from '../task/counts.ts';
import { handoverTo, NO_LOGINS, type QueueFigures } from '../task/messages.ts';
import { UNANSWERED_MS } from './entry.ts';
import { PolicyGiver } from './policygiver.ts';
import { isInDoubt, type Offered, type Sibling } from './sibling.ts';

/**
 * Entries under way at a time, each on a connection of its own. They share the syncs of both sides, and memory is
 * bounded. A sibling that does not know this pod yet takes eight connections from one address (task/strangers.ts).
 */
const CONCURRENT = 8;
/** How often the queue is read again. The interval grows while no sibling takes an entry. */
const LOOK_MS = 500;
const LOOK_LAST_MS = 15_000;
/** How often a sibling is asked for an entry that it may have while the rest of a long queue goes. */
const ASK_AGAIN_MS = 15_000;

/** `until`: no other sibling is asked. */
interface Asked {
  readonly sibling: Sibling;
  readonly until: number;
  readonly askedAt: number;
}

export interface GiverOptions {
  readonly spool: Spool;
  readonly siblings: readonly Sibling[];
  readonly log: Log;
  readonly clock: () => number;
  /** The MTA-STS policies of this pod. Null if there are none. */
  readonly readPolicies: () => string | null;
}

export class Giver {
  readonly #options: GiverOptions;
  readonly counters = new Counters();
  readonly #policies: PolicyGiver;
  #running = true;
  #work: Promise<void> = Promise.resolve();
  /** Oldest first. */
  #left = new Set<string>();
  /** Entries that a sibling may have. From another one they would go twice. */
  readonly #unanswered = new Map<string, Asked>();
  /** Entries that a sibling has, and that are not removed here yet. No sibling knows for ever what it has had. */
  readonly #owed = new Map<string, QueueRecord>();
  readonly #underWay = new Set<string>();
  #wake: () => void = () => undefined;

  constructor(options: GiverOptions) {
    this.#options = options;
    this.#policies = new PolicyGiver(options.readPolicies, options.log);
  }

  start(): void {
    this.#work = this.#run();
  }

  /** Starts no new transfer. Resolves when all transfers under way have ended. */
  async drain(): Promise<void> {
    this.#running = false;
    this.#wake();
    await this.#work;
    for (const sibling of this.#options.siblings) sibling.close();
  }

  get figures(): QueueFigures {
    const [oldest] = this.#left;
    const { siblings, spool } = this.#options;
    return {
      depth: this.#left.size,
      // Only listeners use this value, and this pod has none.
      bytes: 0,
      held: spool.damaged,
      oldest: oldest === undefined ? null : timeOfQueueId(oldest),
      deferrals: siblings.flatMap(({ address, fault }) =>
        fault === undefined
          ? []
          : [{ destination: handoverTo(address.host), cause: 'connect' as const, message: fault }],
      ),
      logins: NO_LOGINS,
      waits: [],
      hasRoom: true,
    };
  }

  async #run(): Promise<void> {
    for (let inVain = 0; this.#running; ) {
      const ids = this.#list();
      const before = this.#left.size;
      await this.#giveAll(ids);
      inVain = this.#left.size < before || before === 0 ? 0 : inVain + 1;
      if (this.#running) await this.#pause(Math.min(LOOK_MS * 2 ** inVain, LOOK_LAST_MS));
    }
  }

  /** A queue that cannot be read is read again later: the end of this process would forget who may have what. */
  #list(): readonly string[] {
    const { spool, log } = this.#options;
    try {
      this.#left = new Set(spool.list());
      return [...this.#left];
    } catch (error) {
      log('spool_not_read', { message: (error as Error).message });
      return [];
    }
  }

  async #giveAll(ids: readonly string[]): Promise<void> {
    const next = ids.values();
    const work = async () => {
      for (const id of next) {
        if (!this.#running || this.#options.spool.isBroken) return;
        for (const doubted of this.#toAskAgain()) await this.#give(doubted);
        if (this.#owed.has(id) || this.#isAnyoneThere) await this.#give(id);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENT }, work));
  }

  /** A sibling knows for a while what it has had, and a long queue may take longer than that. */
  *#toAskAgain(): Generator<string> {
    const now = this.#options.clock();
    for (const [id, { sibling, until, askedAt }] of this.#unanswered)
      if (now < until && now - askedAt >= ASK_AGAIN_MS && sibling.askAgainAt <= now) yield id;
  }

  get #isAnyoneThere(): boolean {
    const now = this.#options.clock();
    return this.#options.siblings.some(({ askAgainAt }) => askAgainAt <= now);
  }

  async #give(id: string): Promise<void> {
    const { spool, log } = this.#options;
    if (this.#underWay.has(id)) return;
    this.#underWay.add(id);
    const owed = this.#owed.get(id);
    try {
      // A sibling has it whole: nobody needs to look at it, whatever became of it here.
      if (owed) return await this.#remove(id, owed);
      const taken = spool.load(id);
      if (taken.kind === 'damaged') {
        log('set_aside', { id, reason: taken.message });
        await spool.setAside(id);
      }
      if (taken.kind === 'message') await this.#handOver(taken);
    } catch (error) {
      // The entry is still here. It is offered again, or removed if a sibling has it.
      log('handover_failed', { id, message: (error as Error).message });
    } finally {
      this.#underWay.delete(id);
    }
  }

  async #handOver(taken: Loaded & { kind: 'message' }): Promise<void> {
    const { log, clock } = this.#options;
    const asked = this.#mayHave(taken.id);
    for (const sibling of asked ? [asked] : this.#inOrderFor(taken.id)) {
      // A sibling that has the entry needs no room for it.
      const isReady = asked ? asked.askAgainAt <= clock() : sibling.mayTake(taken.record.bytes);
      if (!isReady) continue;
      const reason = await this.#policies.giveTo(sibling);
      if (reason !== undefined) {
        log('not_handed_over', { id: taken.id, sibling: sibling.address.host, reason });
        continue;
      }
      const offered = await sibling.offer(taken);
      this.#remember(taken.id, sibling, offered);
      if (offered.kind === 'taken') {
        this.counters.add('handed_over', 'out');
        log('handed_over', { id: taken.id, sibling: sibling.address.host });
        return this.#remove(taken.id, { ...taken.record, recipients: [] });
      }
      log('not_handed_over', { id: taken.id, sibling: sibling.address.host, reason: offered.reason });
      if (isInDoubt(offered)) return;
    }
  }

  /** `settled`: without recipients. */
  async #remove(id: string, settled: QueueRecord): Promise<void> {
    this.#owed.set(id, settled);
    await this.#options.spool.settle(id, settled);
    this.#owed.delete(id);
    this.#left.delete(id);
  }

  /** A sibling that is away says nothing of the offer before. The time of a sibling runs from its first offer on. */
  #remember(id: string, sibling: Sibling, offered: Offered): void {
    const asked = this.#unanswered.get(id);
    const askedAt = this.#options.clock();
    const until = asked?.sibling === sibling ? asked.until : askedAt + UNANSWERED_MS;
    if (isInDoubt(offered)) this.#unanswered.set(id, { sibling, until, askedAt });
    else if (offered.kind !== 'away') this.#unanswered.delete(id);
  }

  /** For some time only this sibling is asked. */
  #mayHave(id: string): Sibling | undefined {
    const asked = this.#unanswered.get(id);
    return asked && this.#options.clock() < asked.until ? asked.sibling : undefined;
  }

  /**
   * The siblings in an order that depends on the id. A repeated offer goes to the sibling that already has the entry,
   * and entries are spread over all siblings.
   */
  #inOrderFor(id: string): Sibling[] {
    const { siblings } = this.#options;
    const first = crc32(id) % Math.max(1, siblings.length);
    return [...siblings.slice(first), ...siblings.slice(0, first)];
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

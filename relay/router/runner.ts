/**
 * Drives the queue: each message's recipients wait at their destinations, a bounded number of deliveries per
 * destination is under way, a destination that cannot be reached is probed by one delivery at a growing pace and never
 * delays the others. Progress is written after each answer; a message goes when its last recipient is settled. What a
 * next hop refuses for good is held for a person, because bounces do not exist yet. Delivers at least once.
 */
import type { Policy } from '#crds/policyfile.ts';
import { Counters } from '../counts.ts';
import type { Log } from '../log.ts';
import type { QueueFigures } from '../messages.ts';
import { type Recipient, timeOfQueueId } from '../spool/record.ts';
import type { Spool } from '../spool/spool.ts';
import type { Verdict } from './classify.ts';
import type { Courier, TlsFacts } from './courier.ts';
import { type Waiting, WaitingLine } from './queue.ts';
import { type Resolved, resolveHops } from './resolver.ts';
import { type Destination, routeOf } from './route.ts';
import { destinationRetryMs, messageRetryMs } from './schedule.ts';

const CONCURRENT_PER_DESTINATION = 20;
const REPORTED_DEFERRALS = 10;

interface Lane {
  readonly destination: Destination;
  readonly line: WaitingLine;
  active: number;
  failures: number;
  pausedUntil: number;
  timer: NodeJS.Timeout | undefined;
  deferral: string | undefined;
}

export interface RunnerOptions {
  readonly policy: Policy;
  readonly spool: Spool;
  readonly courier: Courier;
  readonly log: Log;
  readonly clock: () => number;
  readonly random: () => number;
}

export class Runner {
  readonly #options: RunnerOptions;
  readonly #route: (address: string) => Destination;
  readonly #lanes = new Map<string, Lane>();
  /** Every queued id, with the number of its deliveries that wait or run; held ones have none. */
  readonly #known = new Map<string, number>();
  readonly #held = new Set<string>();
  readonly #writes = new Map<string, Promise<void>>();
  readonly counters = new Counters();
  #running = false;
  #inFlight = 0;

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#route = routeOf(options.policy);
  }

  /** Takes up everything in the spool and begins to deliver. */
  start(): void {
    this.#running = true;
    for (const id of [...this.#options.spool.list()]) this.add(id);
  }

  /** A message that is durable in the spool. */
  add(id: string): void {
    if (!this.#running || this.#known.has(id)) return;
    const read = this.#options.spool.read(id);
    if (read.kind !== 'message') {
      this.#lost(id, read);
      return;
    }
    const { record } = read;
    const lanes = new Set(record.recipients.filter(isQueued).map(({ address }) => this.#laneOf(address)));
    this.#known.set(id, lanes.size);
    if (record.recipients.some(({ state }) => state === 'held')) this.#held.add(id);
    for (const lane of lanes) {
      lane.line.add({ id, attempts: 0 });
      this.#pump(lane);
    }
  }

  /** Begins nothing more; resolves when what is under way has ended, or at the deadline. */
  async drain(deadlineMs: number): Promise<void> {
    this.#running = false;
    for (const lane of this.#lanes.values()) clearTimeout(lane.timer);
    const end = this.#options.clock() + deadlineMs;
    while (this.#inFlight > 0 && this.#options.clock() < end)
      await new Promise((tick) => setTimeout(tick, 20));
    this.#options.courier.close();
    await Promise.allSettled(this.#writes.values());
  }

  get figures(): QueueFigures {
    const [oldest] = this.#known.keys();
    const deferrals = [...this.#lanes.values()]
      .filter(({ deferral, line, active }) => deferral !== undefined && line.size + active > 0)
      .slice(0, REPORTED_DEFERRALS)
      .map(({ destination, deferral = '' }) => ({ destination: destination.key, message: deferral }));
    return {
      depth: this.#known.size,
      held: this.#held.size + this.#options.spool.damaged,
      oldest: oldest === undefined ? null : timeOfQueueId(oldest),
      deferrals,
    };
  }

  #laneOf(address: string): Lane {
    const destination = this.#route(address);
    const known = this.#lanes.get(destination.key);
    if (known) return known;
    const state = { active: 0, failures: 0, pausedUntil: 0, timer: undefined, deferral: undefined };
    const lane: Lane = { destination, line: new WaitingLine(), ...state };
    this.#lanes.set(destination.key, lane);
    return lane;
  }

  /** Starts what may start now, and wakes up for what is due later. */
  #pump(lane: Lane): void {
    if (!this.#running) return;
    clearTimeout(lane.timer);
    const now = this.#options.clock();
    // A destination that failed is probed by one delivery, not by twenty.
    const allowed = lane.failures > 0 ? 1 : CONCURRENT_PER_DESTINATION;
    while (now >= lane.pausedUntil && lane.active < allowed) {
      const waiting = lane.line.next(now);
      if (!waiting) break;
      this.#begin(lane, waiting);
    }
    const due = lane.line.nextDue(now);
    if (due === undefined || lane.active >= allowed) return;
    lane.timer = setTimeout(() => this.#pump(lane), Math.max(due, lane.pausedUntil) - now);
  }

  #begin(lane: Lane, waiting: Waiting): void {
    lane.active += 1;
    this.#inFlight += 1;
    this.#attempt(lane, waiting)
      .catch((error: Error) => {
        // The disk failed, or a bug: the entry is still in the spool, so it waits.
        this.#options.log('delivery_error', { id: waiting.id, message: error.message });
        this.#putOff(lane, waiting);
      })
      .finally(() => {
        lane.active -= 1;
        this.#inFlight -= 1;
        this.#pump(lane);
      });
  }

  async #attempt(lane: Lane, waiting: Waiting): Promise<void> {
    const { id } = waiting;
    const taken = this.#options.spool.take(id);
    if (taken.kind !== 'message') return this.#lost(id, taken);
    const { record } = taken;
    const to = record.recipients
      .filter((recipient) => isQueued(recipient) && this.#laneOf(recipient.address) === lane)
      .map(({ address }) => address);
    const hops = await this.#hopsOf(lane);
    if (hops.kind === 'deferred') return this.#destinationFailed(lane, waiting, hops.reason);
    if (hops.kind === 'refused')
      return this.#settle(lane, waiting, to, repeat(hops, to), null, lane.destination.key);
    let reason = 'no next hop';
    for (const hop of hops.hops) {
      const result = await this.#options.courier.deliver(hop, {
        from: record.from,
        to,
        bytes: record.bytes,
        smtpUtf8: record.smtpUtf8,
        eightBit: record.eightBit,
        open: taken.open,
      });
      if (result.kind === 'answered') {
        lane.failures = 0;
        return this.#settle(lane, waiting, to, result.verdicts, result.tls, `${hop.host}:${hop.port}`);
      }
      reason = result.reason;
    }
    return this.#destinationFailed(lane, waiting, reason);
  }

  async #hopsOf({ destination }: Lane): Promise<Resolved> {
    if (destination.kind === 'hops') return { kind: 'hops', hops: [...destination.hops] };
    return resolveHops(destination.domain, destination.tlsLevel, this.#options.policy.hostname);
  }

  /** The next hop gave no session: everything for it waits; the message itself did nothing wrong. */
  #destinationFailed(lane: Lane, waiting: Waiting, reason: string): void {
    const { clock, random, log } = this.#options;
    lane.failures += 1;
    lane.deferral = reason;
    lane.pausedUntil = clock() + destinationRetryMs(lane.failures, random());
    lane.line.putOff(waiting, lane.pausedUntil);
    this.counters.add('deferred', 'destination');
    log('deferred', {
      id: waiting.id,
      destination: lane.destination.key,
      rule: lane.destination.rule,
      reason,
    });
  }

  async #settle(
    lane: Lane,
    waiting: Waiting,
    to: readonly string[],
    verdicts: readonly Verdict[],
    tls: TlsFacts | null,
    hop: string,
  ): Promise<void> {
    const verdictOf = new Map(to.map((address, index) => [address, verdicts[index]]));
    for (const [address, verdict] of verdictOf) this.#report(lane, waiting.id, address, verdict, tls, hop);
    await this.#write(waiting.id, (recipients) =>
      recipients.flatMap((recipient) => settled(recipient, verdictOf.get(recipient.address))),
    );
    if (verdicts.some(({ kind }) => kind === 'deferred')) this.#putOff(lane, waiting);
    else this.#ended(waiting.id);
  }

  #putOff(lane: Lane, waiting: Waiting): void {
    const attempts = waiting.attempts + 1;
    const { clock, random } = this.#options;
    lane.line.putOff({ id: waiting.id, attempts }, clock() + messageRetryMs(attempts, random()));
  }

  /** One delivery of a message has ended for good. */
  #ended(id: string): void {
    const left = (this.#known.get(id) ?? 1) - 1;
    if (left > 0 || this.#held.has(id)) this.#known.set(id, Math.max(left, 0));
    else this.#known.delete(id);
  }

  /** Changes the recipients of a message, one change at a time; without recipients the message goes. */
  async #write(id: string, change: (recipients: readonly Recipient[]) => Recipient[]): Promise<void> {
    const before = this.#writes.get(id);
    const write = (async () => {
      await before;
      const taken = this.#options.spool.read(id);
      if (taken.kind !== 'message') return;
      const recipients = change(taken.record.recipients);
      if (recipients.some(({ state }) => state === 'held')) this.#held.add(id);
      if (recipients.length === 0) await this.#options.spool.remove(id, taken.record);
      else if (!sameRecipients(recipients, taken.record.recipients)) {
        await this.#options.spool.settle(id, { ...taken.record, recipients });
      }
    })();
    this.#writes.set(id, write);
    try {
      await write;
    } finally {
      if (this.#writes.get(id) === write) this.#writes.delete(id);
    }
  }

  #report(
    lane: Lane,
    id: string,
    to: string,
    verdict: Verdict | undefined,
    tls: TlsFacts | null,
    hop: string,
  ): void {
    if (!verdict) return;
    const facts = { id, to, hop, rule: lane.destination.rule, tls: tls?.version ?? 'none' };
    if (verdict.kind === 'delivered') {
      lane.deferral = undefined;
      this.counters.add('delivered');
      this.#options.log('delivered', {
        ...facts,
        cipher: tls?.cipher,
        verified: tls?.verified ?? false,
        reply: verdict.reply,
      });
      return;
    }
    if (verdict.kind === 'deferred') lane.deferral = verdict.reason;
    this.counters.add(verdict.kind === 'deferred' ? 'deferred' : 'held', 'reply');
    this.#options.log(verdict.kind === 'deferred' ? 'deferred' : 'held', {
      ...facts,
      reason: verdict.reason,
    });
  }

  /** An entry that is gone, or cannot be read and is set aside for a person. */
  #lost(id: string, read: { kind: 'gone' } | { kind: 'damaged'; message: string }): void {
    const { log, spool } = this.#options;
    this.#known.delete(id);
    if (read.kind === 'gone') return;
    log('set_aside', { id, reason: read.message });
    spool.setAside(id).catch((error: Error) => log('set_aside_failed', { id, message: error.message }));
  }
}

function isQueued({ state }: Recipient): boolean {
  return state === 'queued';
}

function repeat(verdict: Verdict, to: readonly string[]): Verdict[] {
  return to.map(() => verdict);
}

function settled(recipient: Recipient, verdict: Verdict | undefined): Recipient[] {
  if (verdict?.kind === 'delivered') return [];
  if (verdict?.kind === 'refused')
    return [{ address: recipient.address, state: 'held', reason: verdict.reason }];
  return [recipient];
}

function sameRecipients(a: readonly Recipient[], b: readonly Recipient[]): boolean {
  return a.length === b.length && a.every((recipient, index) => recipient.state === b[index]?.state);
}

/**
 * Drives the queue: each message's recipients wait at their destinations (lane.ts), a bounded number of deliveries is
 * under way, progress is written after each answer, and a message goes when its last recipient is settled. Delivers at
 * least once. What becomes of a message otherwise (returned, held, removed) is keeper.ts.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Policy } from '#crds/policyfile.ts';
import { Counters } from '../counts.ts';
import type { Log } from '../log.ts';
import type { QueueFigures } from '../messages.ts';
import type { QueueRecord, Recipient } from '../spool/record.ts';
import type { Spool, Taken } from '../spool/spool.ts';
import { attempt, type Outcome } from './attempt.ts';
import type { Courier } from './courier.ts';
import { Keeper } from './keeper.ts';
import { KnownMessages } from './known.ts';
import { type Fault, Lane } from './lane.ts';
import { batchFor, parcelOf, type Signer } from './parcel.ts';
import type { Waiting } from './queue.ts';
import { reportVerdict } from './report.ts';
import { type Route, routeOf } from './route.ts';
import { destinationRetryMs, messageRetryMs } from './schedule.ts';

/** Over all destinations: bounds memory and descriptors. */
const CONCURRENT = 400;
const REPORTED_DESTINATIONS = 10;
const COUNTED_AS = { delivered: 'delivered', deferred: 'deferred', refused: 'bounced' } as const;
/** Messages taken up at the start before others get their turn. */
const LISTED_AT_ONCE = 500;

export interface RunnerOptions {
  readonly policy: Policy;
  readonly spool: Spool;
  readonly courier: Courier;
  readonly signer: Signer;
  readonly log: Log;
  readonly clock: () => number;
  readonly random: () => number;
}

export class Runner {
  readonly #options: RunnerOptions;
  readonly #route: Route;
  readonly #lanes = new Map<string, Lane>();
  readonly #timers = new Map<Lane, NodeJS.Timeout>();
  /** Lanes that could begin a delivery but for the bound over all. */
  readonly #blocked = new Set<Lane>();
  readonly #known = new KnownMessages();
  readonly counters = new Counters();
  readonly keeper: Keeper;
  #running = false;
  #inFlight = 0;

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#route = routeOf(options.policy);
    this.keeper = new Keeper({ ...options, counters: this.counters, queue: this });
  }

  /** Takes up everything in the spool and begins to deliver. */
  async start(): Promise<void> {
    this.#running = true;
    this.keeper.start();
    let listed = 0;
    for (const id of [...this.#options.spool.list()]) {
      this.add(id);
      if (++listed % LISTED_AT_ONCE === 0) await turn();
    }
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
    const lanes = record.hold ? new Set<Lane>() : this.#lanesOf(record);
    const held = record.hold === true || record.recipients.some(({ state }) => state === 'held');
    this.#known.add(id, { lanes: lanes.size, held, bytes: record.bytes });
    this.#queueIn(lanes, id);
  }

  /** Its recipients or its hold changed by other hands: takes it up anew. */
  renew(id: string): void {
    this.forget(id);
    this.add(id);
  }

  /** It is gone, or about to be taken up anew; what waits for it in lanes is dropped when its turn comes. */
  forget(id: string): void {
    this.#known.forget(id);
  }

  /** The oldest first. */
  ids(): Iterable<string> {
    return this.#known.ids();
  }

  isDelivering(id: string): boolean {
    return [...this.#lanes.values()].some((lane) => lane.isDelivering(id));
  }

  /** What is known of the way of one recipient: when it is tried next, and why not before. */
  prospectOf(
    id: string,
    from: string,
    to: string,
  ): { destination: string; due: number | undefined; fault: Fault | undefined } {
    const destination = this.#route(from, to);
    const lane = this.#lanes.get(destination.key);
    const due = lane?.dueOf(id, this.#options.clock());
    return { destination: destination.name, due, fault: lane?.fault };
  }

  /** Tries what `wanted` names now, whatever pause its destination has. */
  hurry(wanted: (id: string) => boolean): void {
    for (const lane of [...this.#lanes.values()]) {
      lane.hurry(wanted);
      this.#pump(lane);
    }
  }

  /** Begins nothing more; resolves when what is under way has ended, or at the deadline. */
  async drain(deadlineMs: number): Promise<void> {
    this.#running = false;
    this.keeper.stop();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#options.courier.close();
    const end = this.#options.clock() + deadlineMs;
    while (this.#inFlight > 0 && this.#options.clock() < end)
      await new Promise((tick) => setTimeout(tick, 10));
  }

  get figures(): QueueFigures {
    const faults = [...this.#lanes.values()].flatMap(({ destination, fault }) =>
      fault
        ? [{ destination: destination.name, message: fault.reason, loginRefused: fault.loginRefused }]
        : [],
    );
    const told = (refused: boolean) =>
      faults
        .filter(({ loginRefused }) => loginRefused === refused)
        .slice(0, REPORTED_DESTINATIONS)
        .map(({ destination, message }) => ({ destination, message }));
    return {
      depth: this.#known.size,
      bytes: this.#known.bytes,
      held: this.#known.held + this.#options.spool.damaged,
      oldest: this.#known.oldest,
      deferrals: told(false),
      loginsRefused: told(true),
    };
  }

  #lanesOf({ from, recipients }: QueueRecord): Set<Lane> {
    return new Set(recipients.filter(isQueued).map(({ address }) => this.#laneOf(from, address)));
  }

  #laneOf(from: string, address: string): Lane {
    const destination = this.#route(from, address);
    const known = this.#lanes.get(destination.key);
    if (known) return known;
    const { connectionsPerDestination, messagesPerDestinationPerMinute } =
      this.#options.policy.outbound.limits;
    const lane = new Lane(destination, {
      concurrent: connectionsPerDestination,
      perMinute: messagesPerDestinationPerMinute,
    });
    this.#lanes.set(destination.key, lane);
    return lane;
  }

  #queueIn(lanes: Iterable<Lane>, id: string): void {
    for (const lane of lanes) {
      if (!lane.isDelivering(id)) lane.add({ id, attempts: 0 });
      this.#pump(lane);
    }
  }

  /** Begins what may begin now, and wakes up for what is due later. */
  #pump(lane: Lane): void {
    if (!this.#running) return;
    const now = this.#options.clock();
    while (this.#inFlight < CONCURRENT) {
      const waiting = lane.begin(now);
      if (!waiting) break;
      this.#begin(lane, waiting);
    }
    if (lane.isIdle) this.#forgetLane(lane);
    else this.#wakeUp(lane, now);
  }

  #wakeUp(lane: Lane, now: number): void {
    clearTimeout(this.#timers.get(lane));
    const due = lane.nextLook(now);
    if (due === undefined) return;
    if (due <= now) this.#blocked.add(lane);
    else
      this.#timers.set(
        lane,
        setTimeout(() => this.#pump(lane), due - now),
      );
  }

  /** A relay that delivers by MX meets many domains; one that nothing waits for costs nothing. */
  #forgetLane(lane: Lane): void {
    clearTimeout(this.#timers.get(lane));
    this.#timers.delete(lane);
    this.#lanes.delete(lane.destination.key);
  }

  #begin(lane: Lane, waiting: Waiting): void {
    this.#inFlight += 1;
    this.#deliver(lane, waiting)
      .catch((error: Error) => {
        // A bug, or the disk failed to read: the entry is still in the spool, so it waits.
        this.#options.log('delivery_failed', { id: waiting.id, message: error.message });
        this.#putOff(lane, waiting, error.message);
      })
      .finally(() => {
        lane.ended(waiting);
        this.#inFlight -= 1;
        this.#pump(lane);
        for (const blocked of this.#blocked) {
          this.#blocked.delete(blocked);
          this.#pump(blocked);
          if (this.#inFlight >= CONCURRENT) break;
        }
      });
  }

  async #deliver(lane: Lane, waiting: Waiting): Promise<void> {
    const { id } = waiting;
    const taken = this.#options.spool.take(id);
    if (taken.kind !== 'message') return this.#lost(id, taken);
    const isHere = (one: Recipient) => this.#isFor(lane, taken.record, one);
    const { batch, more } = batchFor(taken.record.recipients.filter((one) => isQueued(one) && isHere(one)));
    // Returned, removed or held by a person in the meantime.
    if (batch.length === 0 || taken.record.hold) return;
    const packed = await parcelOf(taken, batch, this.#options.signer);
    if (packed.kind === 'waits') return this.#putOff(lane, waiting, packed.reason);
    const outcome =
      packed.kind === 'refused'
        ? refusedByUs(batch, packed)
        : await attempt(lane.destination, packed.parcel, this.#options);
    if (outcome.kind === 'unreachable') return this.#unreachable(lane, waiting, outcome);
    lane.answered();
    const deferral = await this.#settle(lane, taken, batch, outcome);
    if (deferral !== undefined) this.#putOff(lane, waiting, deferral);
    else if (more) lane.add(waiting);
    else this.#known.laneDone(id);
  }

  #isFor(lane: Lane, { from }: QueueRecord, { address }: Recipient): boolean {
    return this.#route(from, address).key === lane.destination.key;
  }

  /** Everything for this destination waits. */
  #unreachable(lane: Lane, waiting: Waiting, fault: Fault): void {
    const { clock, random, log } = this.#options;
    // A drain ends attempts that had not begun to send: no fault of the destination, and nothing to tell.
    if (!this.#running) return;
    lane.unreachable(waiting, fault, (failures) => destinationRetryMs(failures, random()), clock());
    this.counters.add('deferred', 'destination');
    const { name, rule } = lane.destination;
    log('deferred', {
      id: waiting.id,
      destination: name,
      rule,
      reason: fault.reason,
      failures: lane.failures,
    });
  }

  /** Reports and writes each verdict; gives the reason where a recipient has to wait. */
  async #settle(
    lane: Lane,
    taken: Taken & { kind: 'message' },
    batch: readonly Recipient[],
    outcome: Outcome & { kind: 'answered' },
  ): Promise<string | undefined> {
    const { id } = taken;
    const { rule } = lane.destination;
    const { hop, tls, verdicts, tellsSender } = outcome;
    verdicts.forEach((verdict, index) => {
      this.counters.add(
        COUNTED_AS[verdict.kind],
        verdict.kind === 'deferred' ? 'reply' : lane.destination.kind,
      );
      reportVerdict(this.#options.log, verdict, { id, to: batch[index]?.address ?? '', hop, rule, tls });
    });
    this.counters.observe('delivery_seconds', (this.#options.clock() - taken.record.receivedAt) / 1000);
    await this.keeper.settle(taken, batch, { verdicts, tellsSender, hop });
    const deferred = verdicts.find(({ kind }) => kind === 'deferred');
    return deferred?.kind === 'deferred' ? deferred.reason : undefined;
  }

  #putOff(lane: Lane, { id, attempts }: Waiting, reason: string): void {
    const { clock, random } = this.#options;
    const due = clock() + messageRetryMs(attempts + 1, random());
    lane.putOff({ id, attempts: attempts + 1 }, due, reason);
  }

  /** An entry that is gone, or cannot be read and is set aside for a person. */
  #lost(id: string, read: { kind: 'gone' } | { kind: 'damaged'; message: string }): void {
    const { log, spool } = this.#options;
    this.forget(id);
    if (read.kind === 'gone') return;
    log('set_aside', { id, reason: read.message });
    spool.setAside(id).catch((error: Error) => log('set_aside_failed', { id, message: error.message }));
  }
}

function refusedByUs(batch: readonly Recipient[], verdict: { kind: 'refused'; reason: string }): Outcome {
  const verdicts = batch.map(() => verdict);
  return { kind: 'answered', hop: 'this relay', verdicts, tls: null, tellsSender: false };
}

function isQueued({ state }: Recipient): boolean {
  return state === 'queued';
}

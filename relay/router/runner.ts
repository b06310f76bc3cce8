/**
 * Drives the queue: each message's recipients wait at their destinations (lane.ts), a bounded number of deliveries is
 * under way, progress is written after each answer, and a message goes when its last recipient is settled. What a next
 * hop refuses for good is held for a person, because bounces do not exist yet. Delivers at least once.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Policy } from '#crds/policyfile.ts';
import { Counters } from '../counts.ts';
import type { Log } from '../log.ts';
import type { QueueFigures } from '../messages.ts';
import { type Recipient, timeOfQueueId } from '../spool/record.ts';
import type { Spool } from '../spool/spool.ts';
import { attempt, type Outcome } from './attempt.ts';
import type { Verdict } from './classify.ts';
import type { Courier } from './courier.ts';
import { Lane } from './lane.ts';
import { Progress } from './progress.ts';
import type { Waiting } from './queue.ts';
import { reportVerdict } from './report.ts';
import { type Destination, routeOf } from './route.ts';
import { destinationRetryMs, messageRetryMs } from './schedule.ts';

/** Over all destinations: bounds memory and descriptors. */
const CONCURRENT = 400;
/** Next hops commonly take a hundred recipients at once (RFC 5321 section 4.5.3.1.8). */
const RECIPIENTS_AT_ONCE = 100;
const REPORTED_DEFERRALS = 10;
const COUNTED_AS = { delivered: 'delivered', deferred: 'deferred', refused: 'held' } as const;
/** Messages taken up at the start before others get their turn. */
const LISTED_AT_ONCE = 500;

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
  readonly #progress: Progress;
  readonly #route: (address: string) => Destination;
  readonly #lanes = new Map<string, Lane>();
  readonly #timers = new Map<Lane, NodeJS.Timeout>();
  /** Lanes that could begin a delivery but for the bound over all. */
  readonly #blocked = new Set<Lane>();
  /** Every queued id, with the number of its lanes that are not done; 0 where only held recipients are left. */
  readonly #known = new Map<string, number>();
  readonly #held = new Set<string>();
  readonly counters = new Counters();
  #running = false;
  #inFlight = 0;

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#progress = new Progress(options.spool, options.log);
    this.#route = routeOf(options.policy);
  }

  /** Takes up everything in the spool and begins to deliver. */
  async start(): Promise<void> {
    this.#running = true;
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
    const { recipients } = read.record;
    const lanes = new Set(recipients.filter(isQueued).map(({ address }) => this.#laneOf(address)));
    this.#known.set(id, lanes.size);
    if (recipients.some(isHeld)) this.#held.add(id);
    for (const lane of lanes) {
      lane.add({ id, attempts: 0 });
      this.#pump(lane);
    }
  }

  /** Begins nothing more; resolves when what is under way has ended, or at the deadline. */
  async drain(deadlineMs: number): Promise<void> {
    this.#running = false;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#options.courier.close();
    const end = this.#options.clock() + deadlineMs;
    while (this.#inFlight > 0 && this.#options.clock() < end)
      await new Promise((tick) => setTimeout(tick, 10));
  }

  get figures(): QueueFigures {
    const [oldest] = this.#known.keys();
    const deferrals: { destination: string; message: string }[] = [];
    for (const { destination, deferral } of this.#lanes.values()) {
      if (deferral !== undefined) deferrals.push({ destination: destination.name, message: deferral });
      if (deferrals.length === REPORTED_DEFERRALS) break;
    }
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
    const lane = new Lane(destination);
    this.#lanes.set(destination.key, lane);
    return lane;
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
    if (lane.isIdle) this.#forget(lane);
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
  #forget(lane: Lane): void {
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
        lane.ended();
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
    if (taken.kind !== 'message') {
      this.#lost(id, taken);
      return;
    }
    const all = taken.record.recipients.filter((one) => isQueued(one) && this.#isFor(lane, one));
    const to = all.slice(0, RECIPIENTS_AT_ONCE).map(({ address }) => address);
    const { courier, policy } = this.#options;
    const outcome = await attempt(lane.destination, taken, to, { courier, ourName: policy.hostname });
    if (outcome.kind === 'unreachable') {
      this.#unreachable(lane, waiting, outcome.reason);
      return;
    }
    lane.answered();
    const deferral = await this.#settle(lane, id, to, outcome);
    if (deferral !== undefined) this.#putOff(lane, waiting, deferral);
    else if (all.length > to.length) lane.add(waiting);
    else this.#laneDone(id);
  }

  #isFor(lane: Lane, { address }: Recipient): boolean {
    return this.#route(address).key === lane.destination.key;
  }

  /** Everything for this destination waits. */
  #unreachable(lane: Lane, waiting: Waiting, reason: string): void {
    const { clock, random, log } = this.#options;
    // A drain ends attempts that had not begun to send: no fault of the destination, and nothing to tell.
    if (!this.#running) return;
    lane.unreachable(waiting, reason, (failures) => destinationRetryMs(failures, random()), clock());
    this.counters.add('deferred', 'destination');
    const { name, rule } = lane.destination;
    log('deferred', { id: waiting.id, destination: name, rule, reason, failures: lane.failures });
  }

  /** Reports and writes each verdict; gives the reason where a recipient has to wait. */
  async #settle(lane: Lane, id: string, to: readonly string[], outcome: Outcome & { kind: 'answered' }) {
    const verdicts = new Map(to.map((address, index) => [address, outcome.verdicts[index]]));
    outcome.verdicts.forEach((verdict, index) => {
      this.counters.add(COUNTED_AS[verdict.kind], verdict.kind === 'delivered' ? undefined : 'reply');
      const fact = {
        id,
        to: to[index] ?? '',
        hop: outcome.hop,
        rule: lane.destination.rule,
        tls: outcome.tls,
      };
      reportVerdict(this.#options.log, verdict, fact);
    });
    const left = await this.#progress.write(id, (recipients) =>
      recipients.flatMap((recipient) => settled(recipient, verdicts.get(recipient.address))),
    );
    if (left.some(isHeld)) this.#held.add(id);
    const deferred = outcome.verdicts.find(({ kind }) => kind === 'deferred');
    return deferred?.kind === 'deferred' ? deferred.reason : undefined;
  }

  #putOff(lane: Lane, { id, attempts }: Waiting, reason: string): void {
    const { clock, random } = this.#options;
    const due = clock() + messageRetryMs(attempts + 1, random());
    lane.putOff({ id, attempts: attempts + 1 }, due, reason);
  }

  #laneDone(id: string): void {
    const left = (this.#known.get(id) ?? 1) - 1;
    if (left > 0 || this.#held.has(id)) this.#known.set(id, Math.max(left, 0));
    else this.#known.delete(id);
  }

  /** An entry that is gone, or cannot be read and is set aside for a person. */
  #lost(id: string, read: { kind: 'gone' } | { kind: 'damaged'; message: string }): void {
    const { log, spool } = this.#options;
    this.#known.delete(id);
    this.#held.delete(id);
    if (read.kind === 'gone') return;
    log('set_aside', { id, reason: read.message });
    spool.setAside(id).catch((error: Error) => log('set_aside_failed', { id, message: error.message }));
  }
}

function isQueued({ state }: Recipient): boolean {
  return state === 'queued';
}

function isHeld({ state }: Recipient): boolean {
  return state === 'held';
}

function settled(recipient: Recipient, verdict: Verdict | undefined): Recipient[] {
  if (verdict?.kind === 'delivered') return [];
  if (verdict?.kind !== 'refused') return [recipient];
  return [{ address: recipient.address, state: 'held', reason: verdict.reason }];
}

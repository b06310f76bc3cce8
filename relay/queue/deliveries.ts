/**
 * One delivery of a message to one of its destinations. It loads the message, gives it to the courier, writes the
 * verdict of each recipient, and sets the time of the next attempt. destinationqueues.ts decides when a delivery
 * begins.
 */
import { describeFailure, type Failure, makeFailure } from '#crds/failure.ts';
import type { Backoff } from '#crds/policyfile.ts';
import type { AttemptResult, Courier, Verdict } from '../delivery/courier.ts';
import { countProtection, countVerdict, logVerdict } from '../delivery/deliverylog.ts';
import type { Signer } from '../dkim/signer.ts';
import type { Log } from '../observe/log.ts';
import type { QueueRecord, Recipient } from '../spool/record.ts';
import type { Loaded } from '../spool/spool.ts';
import type { Counters } from '../task/counts.ts';
import type { MessageActions } from './actions.ts';
import type { Ages } from './ages.ts';
import type { DestinationQueue } from './destinationqueue.ts';
import type { Offer } from './destinationqueues.ts';
import { packParcel } from './parcel.ts';
import { chooseRetry } from './retry.ts';
import { afterBatch, beginRound, chooseBatch, moveBack, NEW_ROUND } from './round.ts';
import { destinationRetryMs, loginRetryMs, messageRetryMs } from './schedule.ts';
import { sortTooMany } from './settlement.ts';
import type { Round, Waiting } from './waiting.ts';

type LoadedMessage = Loaded & { kind: 'message' };
type Answered = AttemptResult & { kind: 'answered' };

export interface DeliveriesDeps {
  readonly courier: Courier;
  readonly signer: Signer;
  readonly log: Log;
  readonly clock: () => number;
  readonly wall: () => number;
  readonly ages: Ages;
  readonly random: () => number;
  readonly counters: Counters;
  readonly actions: MessageActions;
  readonly isRunning: () => boolean;
  /** Returns the message that was read just now, or reads it. */
  readonly load: (id: string) => Loaded;
  readonly onLost: (id: string, read: Exclude<Loaded, { kind: 'message' }>) => void;
  readonly onGone: (id: string) => void;
  readonly onVerdicts: (id: string, verdicts: readonly Verdict[]) => void;
}

export class Deliveries {
  readonly #deps: DeliveriesDeps;

  constructor(deps: DeliveriesDeps) {
    this.#deps = deps;
  }

  /** Never rejects. */
  async deliver(queue: DestinationQueue, waiting: Waiting): Promise<Offer> {
    const { actions, load, onLost } = this.#deps;
    const { id } = waiting;
    let end: (() => void) | undefined;
    try {
      // A change may hold the message or remove recipients, so the delivery waits for it.
      for (let changing = actions.changing(id); changing; changing = actions.changing(id)) await changing;
      const taken = load(id);
      if (taken.kind !== 'message') {
        onLost(id, taken);
        return 'none';
      }
      // A person has held the message meanwhile.
      if (taken.record.hold) return 'none';
      end = actions.begin(id, taken.record);
      return await this.#deliver(queue, waiting, taken);
    } catch (error) {
      this.#failed(queue, waiting, error as Error);
      return 'made';
    } finally {
      end?.();
    }
  }

  /** A bug or a read error of the disk: the entry is still in the spool, so it waits. */
  #failed(queue: DestinationQueue, waiting: Waiting, { message }: Error): void {
    this.#deps.log('delivery_failed', { id: waiting.id, message });
    const failure = makeFailure({ cause: 'local', status: '4.3.0', text: message });
    this.#putOff(queue, waiting, failure, this.#deps.wall());
  }

  async #deliver(queue: DestinationQueue, waiting: Waiting, taken: LoadedMessage): Promise<Offer> {
    const { record } = taken;
    const mine = record.recipients.filter((one) => isQueued(one) && this.#isFor(queue, record, one));
    const { batch, more } = chooseBatch(mine, waiting.round);
    // A person has returned or removed the message meanwhile, or all its recipients are deferred.
    if (batch.length === 0) {
      this.#endRound(queue, waiting, waiting.round, record);
      return 'none';
    }
    const packed = await packParcel(taken, batch, this.#deps.signer);
    if (packed.kind === 'failed' && !packed.failure.permanent) {
      this.#putOff(queue, waiting, packed.failure, record.receivedAt);
      return 'none';
    }
    const outcome =
      packed.kind === 'failed'
        ? refusedByUs(batch, packed.failure)
        : await this.#deps.courier.deliver(queue.destination, packed.parcel);
    this.#slowDown(queue, waiting.id, outcome);
    // A drain ends attempts before DATA. This is no failure of the destination or the message, so it is not logged.
    if (!this.#deps.isRunning() && (outcome.kind === 'unreachable' || outcome.isOfMessage)) return 'made';
    if (outcome.kind === 'unreachable') await this.#unreachable(queue, waiting, { taken, batch, outcome });
    else {
      // What we refuse ourselves says nothing of the destination, and neither does what the message requires.
      if (packed.kind !== 'failed' && !outcome.isOfMessage) queue.answered(this.#deps.clock());
      await this.#answered(queue, waiting, { taken, batch, outcome, more });
    }
    return packed.kind === 'failed' ? 'none' : 'made';
  }

  /** Writes the verdicts, and goes on with the round. */
  async #answered(
    queue: DestinationQueue,
    waiting: Waiting,
    attempt: { taken: LoadedMessage; batch: readonly Recipient[]; outcome: Answered; more: boolean },
  ): Promise<void> {
    const { taken, batch, outcome, more } = attempt;
    const sorted = sortTooMany(outcome.verdicts);
    const { verdicts } = sorted;
    if (verdicts.some((verdict) => verdict.kind === 'delivered' || verdict.failure.permanent))
      queue.settled();
    await this.#settle(queue, taken, batch, { ...outcome, verdicts });
    const settled = afterBatch(waiting.round, batch, { ...sorted, atOnce: sorted.atOnce ?? outcome.atOnce });
    const round = settled && { ...settled, ...moveBack(batch, outcome, waiting.round) };
    const due = this.#deps.clock();
    // A transaction is one turn: what goes on comes behind what is due, also where a person wanted it first. With a round it is
    // no new one: those go by their age, and it may be the oldest.
    if (more || sorted.again.some((how) => how !== undefined))
      queue.add({ ...waiting, due, round: round ?? waiting.round ?? NEW_ROUND }, due);
    else this.#endRound(queue, waiting, round, taken.record);
  }

  /** One line for each halving, not for each reply. */
  #slowDown(queue: DestinationQueue, id: string, outcome: AttemptResult): void {
    const failure = findRequest(outcome);
    if (!failure || !queue.slowDown(failure, this.#deps.clock())) return;
    const { name: destination, kind, rule } = queue.destination;
    const provider = queue.shared ? { provider: queue.shared.name } : {};
    this.#deps.counters.add('slowed_down', kind);
    this.#deps.log('slowed_down', { id, destination, ...provider, rule, reason: describeFailure(failure) });
  }

  #isFor(queue: DestinationQueue, { from }: QueueRecord, { address }: Recipient): boolean {
    return this.#deps.courier.route(from, address).key === queue.destination.key;
  }

  /** All messages for this destination wait. */
  async #unreachable(
    queue: DestinationQueue,
    waiting: Waiting,
    attempt: {
      taken: LoadedMessage;
      batch: readonly Recipient[];
      outcome: AttemptResult & { kind: 'unreachable' };
    },
  ): Promise<void> {
    const { clock, wall, ages, random, log, counters, actions } = this.#deps;
    const { taken, batch, outcome } = attempt;
    const { hadSession, failure, atOnce = waiting.round?.atOnce } = outcome;
    const now = clock();
    const ageMs = ages.of(taken.record.receivedAt);
    const backoff = findBackoff(queue);
    const retryMs = failure.cause === 'login' ? loginRetryMs : destinationRetryMs;
    queue.fails(wall());
    queue.unreachable(waiting, {
      failure,
      hadSession,
      backoff,
      pauseMs: (failures) => retryMs(failures, random(), backoff),
      due: hadSession ? now + messageRetryMs(ageMs, random(), backoff) : undefined,
      round: beginRound({ ...moveBack(batch, outcome, waiting.round), atOnce }),
      now,
    });
    const { name, rule, kind } = queue.destination;
    counters.add('deferred', `${kind},destination`);
    log('deferred', {
      id: waiting.id,
      destination: name,
      rule,
      cause: failure.cause,
      reason: describeFailure(failure),
      failures: queue.failures,
    });
    const verdicts = batch.map(
      (): Verdict => ({ kind: 'failed', failure: { ...failure, permanent: false } }),
    );
    const isAway = !hadSession && failure.cause !== 'login';
    await actions.settle(taken, batch, { verdicts, tellsSender: false, hop: '', target: queue, isAway });
  }

  /** Logs and writes each verdict. */
  async #settle(
    queue: DestinationQueue,
    taken: LoadedMessage,
    batch: readonly Recipient[],
    answered: Answered,
  ): Promise<void> {
    const { hop, tls, policy, verdicts, tellsSender, passedOver } = answered;
    const { log, counters, ages, actions, onGone } = this.#deps;
    const { id } = taken;
    const { rule, kind } = queue.destination;
    if (passedOver.length > 0)
      log('passed_over', { id, hop, rule, reasons: passedOver.map(describeFailure) });
    const { from, receivedAt } = taken.record;
    const ageMs = ages.of(receivedAt);
    countProtection(counters, queue.destination.name, answered);
    verdicts.forEach((verdict, index) => {
      const to = batch[index]?.address ?? '';
      countVerdict(counters, verdict, kind);
      logVerdict(log, verdict, { id, from, to, hop, rule, tls, policy, ageMs });
    });
    if (verdicts.some((verdict) => verdict.kind === 'delivered'))
      counters.observe('delivery_seconds', ageMs / 1000);
    this.#deps.onVerdicts(id, verdicts);
    if (await actions.settle(taken, batch, { verdicts, tellsSender, hop, target: queue, isAway: false }))
      onGone(id);
  }

  #endRound(
    queue: DestinationQueue,
    waiting: Waiting,
    round: Round | undefined,
    { receivedAt }: QueueRecord,
  ): void {
    if (round?.failure) this.#putOff(queue, waiting, round.failure, receivedAt, beginRound(round));
  }

  #putOff(
    queue: DestinationQueue,
    waiting: Waiting,
    failure: Failure,
    receivedAt: number,
    round?: Round,
  ): void {
    const { clock, wall, ages, random } = this.#deps;
    queue.fails(wall());
    queue.putOff(
      waiting,
      clock() + messageRetryMs(ages.of(receivedAt), random(), findBackoff(queue)),
      failure,
      round,
    );
  }
}

function findBackoff({ destination, shared }: DestinationQueue): Backoff | null {
  return chooseRetry(destination.retry, shared?.retry).backoff;
}

/** The failure in which a next hop asks for fewer messages. */
function findRequest(outcome: AttemptResult): Failure | undefined {
  if (outcome.kind === 'unreachable') return outcome.failure.slowDown ? outcome.failure : undefined;
  const refused = outcome.verdicts.find((verdict) => verdict.kind === 'failed' && verdict.failure.slowDown);
  if (refused?.kind === 'failed') return refused.failure;
  return outcome.passedOver.find(({ slowDown }) => slowDown);
}

function refusedByUs(batch: readonly Recipient[], failure: Failure): Answered {
  const verdicts = batch.map((): Verdict => ({ kind: 'failed', failure }));
  const hop = 'this relay';
  return { kind: 'answered', hop, verdicts, tls: null, tellsSender: false, passedOver: [] };
}

export function isQueued({ state }: Recipient): boolean {
  return state === 'queued';
}

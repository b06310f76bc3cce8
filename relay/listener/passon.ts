/**
 * Mode CutThrough: a message goes to its next hop while it arrives, and is answered as the next hop answers. Nothing is
 * kept, so nothing can be lost or doubled by us; what the next hop does not take, the client keeps. One recipient, one
 * message, one answer. A message that is refused while it streams never reaches its end at the next hop.
 */
import type { SMTPServerDataStream } from 'smtp-server';
import type { Policy } from '#crds/policyfile.ts';
import { type AttemptResult, attempt } from '../delivery/attempt.ts';
import type { Courier } from '../delivery/courier.ts';
import { countVerdict, reportVerdict } from '../delivery/deliverylog.ts';
import { FailedHops } from '../delivery/failedhops.ts';
import { type Destination, type Route, routeOf } from '../delivery/route.ts';
import type { Verdict } from '../delivery/verdict.ts';
import type { HeaderWork } from '../headers/header.ts';
import type { Log } from '../observe/log.ts';
import { newQueueId, type Recipient } from '../spool/record.ts';
import type { Counters } from '../task/counts.ts';
import type { LoginsRefused } from '../task/messages.ts';
import type { Arrival } from './arrival.ts';
import { contentOf } from './content.ts';
import { asRefusal } from './receive.ts';
import { Refusal } from './reply.ts';

export interface Passed {
  readonly id: string;
  readonly bytes: number;
  /** What the next hop said. */
  readonly reply: string;
}

export class PassOn {
  readonly #policy: Policy;
  readonly #courier: Courier;
  readonly #log: Log;
  readonly #counters: Counters;
  readonly #route: Route;
  readonly #failedHops = new FailedHops(Date.now);

  constructor(policy: Policy, courier: Courier, log: Log, counters: Counters) {
    this.#policy = policy;
    this.#courier = courier;
    this.#log = log;
    this.#counters = counters;
    this.#route = routeOf(policy);
  }

  /** Throws a Refusal where the next hop, or we ourselves, did not take the message. */
  async pass(
    stream: SMTPServerDataStream,
    { envelope, trace }: Arrival,
    work: HeaderWork | null,
  ): Promise<Passed> {
    const id = newQueueId(envelope.receivedAt);
    const [recipient] = envelope.recipients as readonly [Recipient];
    const destination = this.#route(envelope.from, recipient.address);
    let bytes = 0;
    let fault: unknown;
    async function* content() {
      try {
        for await (const chunk of contentOf(stream, { trace: { ...trace, queueId: id }, work })) {
          bytes += chunk.length;
          yield chunk;
        }
      } catch (error) {
        fault = error;
        throw error;
      } finally {
        // Read to its end, whoever ends it; in this turn the stream still waits for the one who read it.
        setImmediate(() => stream.resume());
      }
    }
    const { from, eightBit, smtpUtf8 } = envelope;
    const parcel = {
      from,
      to: [recipient.address],
      // Not known before it has come, and so not announced.
      bytes: 0,
      eightBit,
      smtpUtf8,
      // DSN is not offered in this mode.
      dsn: { ret: null, envid: null, recipients: [] },
      // It cannot be looked at before it has come: what its sender says of it decides.
      beyondAscii: async () => ({ header: smtpUtf8, body: eightBit }),
      // A generator reads nothing before it is asked: the next hop that takes the envelope gets the stream.
      body: content,
    };
    const means = {
      courier: this.#courier,
      policy: this.#policy,
      random: Math.random,
      failedHops: this.#failedHops,
    };
    const outcome = await attempt(destination, parcel, means);
    stream.resume();
    if (fault) throw asRefusal(fault);
    const { verdict, hop, tls } = this.#verdictOf(outcome, destination);
    this.#count(outcome, verdict, destination, envelope.receivedAt);
    reportVerdict(this.#log, verdict, { id, to: recipient.address, hop, rule: destination.rule, tls });
    if (verdict.kind !== 'delivered') throw refusalOf(verdict);
    return { id, bytes, reply: verdict.reply };
  }

  /** Next hops that refuse our login. */
  get loginsRefused(): LoginsRefused {
    return this.#failedHops.refusals();
  }

  /** A login that was refused may be right now. */
  materialsChanged(): void {
    this.#failedHops.forgive();
  }

  #count({ kind }: AttemptResult, verdict: Verdict, destination: Destination, receivedAt: number): void {
    if (kind === 'unreachable') this.#counters.add('deferred', `${destination.kind},destination`);
    else countVerdict(this.#counters, verdict, destination.kind);
    if (verdict.kind === 'delivered')
      this.#counters.observe('delivery_seconds', (Date.now() - receivedAt) / 1000);
  }

  #verdictOf(outcome: AttemptResult, { name }: Destination) {
    if (outcome.kind === 'unreachable')
      return { verdict: { kind: 'deferred', reason: outcome.reason } as const, hop: name, tls: null };
    const verdict: Verdict = outcome.verdicts[0] ?? { kind: 'deferred', reason: '4.3.0 No answer' };
    return { verdict, hop: outcome.hop, tls: outcome.tls };
  }
}

/** The words of the next hop under a code of ours, so that the client knows who speaks. */
function refusalOf({ kind, reason }: Exclude<Verdict, { kind: 'delivered' }>): Refusal {
  const words = reason.replace(/^\d{3}[ -]/, '').slice(0, 400);
  const status = /^[245]\.\d{1,3}\.\d{1,3} /.test(words) ? '' : kind === 'refused' ? '5.0.0 ' : '4.0.0 ';
  return kind === 'refused'
    ? new Refusal({ code: 554, reason: 'next_hop_refused', text: `${status}${words}` })
    : new Refusal({ code: 451, reason: 'next_hop_deferred', text: `${status}${words}` });
}

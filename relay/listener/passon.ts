/**
 * Mode CutThrough: a message goes to its next hop while it arrives, and the client gets the reply of the next hop.
 * Nothing is stored, so this relay can neither lose nor double a message. If the next hop refuses it, the client keeps
 * it. Each message has one recipient and one reply. A message that is refused during the stream never reaches its end
 * at the next hop.
 */
import type { SMTPServerDataStream } from 'smtp-server';
import { type Failure, makeFailure, tellSender } from '#crds/failure.ts';
import type { AttemptResult, Courier, Destination, Parcel, Verdict } from '../delivery/courier.ts';
import { countProtection, countVerdict, logVerdict } from '../delivery/deliverylog.ts';
import type { Log } from '../observe/log.ts';
import { newQueueId, type Recipient } from '../spool/record.ts';
import type { Counters } from '../task/counts.ts';
import type { Arrival } from './arrival.ts';
import { readContent } from './content.ts';
import { asRefusal } from './receive.ts';
import { Refusal } from './reply.ts';

export interface Passed {
  readonly id: string;
  readonly bytes: number;
  /** The reply of the next hop. */
  readonly reply: string;
}

export class PassOn {
  readonly #courier: Courier;
  readonly #log: Log;
  readonly #counters: Counters;

  constructor(courier: Courier, log: Log, counters: Counters) {
    this.#courier = courier;
    this.#log = log;
    this.#counters = counters;
  }

  /** Throws a Refusal if the next hop or this relay refused the message. */
  async pass(stream: SMTPServerDataStream, { envelope, trace, ...terms }: Arrival): Promise<Passed> {
    const id = newQueueId(envelope.receivedAt);
    const [recipient] = envelope.recipients as readonly [Recipient];
    const to = recipient.address;
    const destination = this.#courier.route(envelope.from, to);
    let bytes = 0;
    let fault: unknown;
    async function* content() {
      try {
        for await (const chunk of readContent(stream, { ...terms, trace: { ...trace, queueId: id } })) {
          bytes += chunk.length;
          yield chunk;
        }
      } catch (error) {
        fault = error;
        throw error;
      } finally {
        // The stream is read to its end in all cases. The next turn comes after its present reader has finished.
        setImmediate(() => stream.resume());
      }
    }
    const result = await this.#courier.deliver(destination, makeParcel(envelope, to, content));
    stream.resume();
    if (fault) throw asRefusal(fault);
    const { verdict, ...reached } = readResult(result, destination);
    const { from, receivedAt } = envelope;
    const ageMs = Date.now() - receivedAt;
    this.#count(result, verdict, destination, ageMs);
    logVerdict(this.#log, verdict, { id, from, to, rule: destination.rule, ...reached, ageMs });
    if (verdict.kind === 'failed') throw refusalBecause(verdict.failure);
    return { id, bytes, reply: verdict.reply };
  }

  #count(result: AttemptResult, verdict: Verdict, destination: Destination, ageMs: number): void {
    if (result.kind === 'unreachable') this.#counters.add('deferred', `${destination.kind},destination`);
    else {
      countVerdict(this.#counters, verdict, destination.kind);
      countProtection(this.#counters, destination.name, result);
    }
    if (verdict.kind === 'delivered') this.#counters.observe('delivery_seconds', ageMs / 1000);
  }
}

function makeParcel(
  { from, eightBit, smtpUtf8, requireTls = false }: Arrival['envelope'],
  to: string,
  body: () => AsyncIterable<Buffer>,
): Parcel {
  return {
    from,
    to: [to],
    // The size is unknown before the end, so it is not announced.
    bytes: 0,
    eightBit,
    smtpUtf8,
    requireTls,
    // The hop is chosen before the header arrives.
    saysTlsNotRequired: async () => false,
    // DSN is not offered in this mode.
    dsn: { ret: null, envid: null, recipients: [] },
    // The content is unknown before it arrives, so the sender's parameters decide.
    beyondAscii: async () => ({ header: smtpUtf8, body: eightBit }),
    // A generator reads nothing before the first request, so the hop that accepts the envelope gets the whole stream.
    body,
  };
}

function readResult(result: AttemptResult, { name }: Destination) {
  if (result.kind === 'unreachable')
    return {
      verdict: { kind: 'failed', failure: result.failure } as const,
      hop: name,
      tls: null,
      policy: undefined,
    };
  const none = makeFailure({ cause: 'local', status: '4.3.0', text: 'No answer' });
  const verdict: Verdict = result.verdicts[0] ?? { kind: 'failed', failure: none };
  const { hop, tls, policy } = result;
  return { verdict, hop, tls, policy };
}

/** The text of the next hop under our own code, so the client knows which server answered. */
function refusalBecause(failure: Failure): Refusal {
  const { permanent, status, reply } = failure;
  const words = tellSender(failure).slice(0, 400);
  const said = reply ? words.replace(/^\d{3}[ -](?:[245]\.\d{1,3}\.\d{1,3} )?/, '') : words;
  return permanent
    ? new Refusal({ code: 554, reason: 'next_hop_refused', text: `${status} ${said}` })
    : new Refusal({ code: 451, reason: 'next_hop_deferred', text: `${status} ${said}` });
}

/**
 * Authentication-Results (RFC 8601) for mail of others: SPF, DKIM, ARC and DMARC by mailauth, over the message as it was
 * received. It judges and never refuses: what cannot be verified is said, and the message goes on. Fields that claim to
 * be ours are removed, because a reader trusts them. Messages are strangers' work, so header, signatures and time are
 * bounded.
 */
import { Readable } from 'node:stream';
import type { AuthenticateResult } from 'mailauth';
import type { HeaderStep } from '../headers/header.ts';
import type { Trace } from '../headers/received.ts';
import type { Log } from '../observe/log.ts';
import type { ArcFacts } from '../spool/record.ts';
import type { Counters } from '../task/counts.ts';
import { load } from '../task/load.ts';
import { within } from '../task/within.ts';
import { boundedLines, findFault, readHeader } from './bounds.ts';
import { inAscii, makeStep } from './field.ts';
import type { AskDns } from './names.ts';

/** A message as it was received. */
export interface VerifiedMail {
  readonly trace: Pick<Trace, 'client' | 'helo' | 'queueId'>;
  /** Empty: the null sender. */
  readonly sender: string;
  /** Reads it, as often as wanted. */
  readonly read: () => AsyncIterable<Buffer>;
}

export interface Verification {
  /** Writes the results into the message. */
  readonly step: HeaderStep;
  /** What a seal may say. Undefined: a chain that is broken is not continued. */
  readonly arc: ArcFacts | undefined;
}

export interface VerifierDeps {
  /** Who says it: the authserv-id. */
  readonly id: string;
  /** The results are kept for a seal. */
  readonly seals: boolean;
  readonly askDns: AskDns;
  readonly log: Log;
  readonly counters: Counters;
}

const WITHIN_MS = 30_000;
/** They are kept with the message. */
const MOST_RESULTS = 8_192;

export class Verifier {
  readonly #deps: VerifierDeps;

  constructor(deps: VerifierDeps) {
    this.#deps = deps;
  }

  /** Rejects if the message cannot be read. */
  async verify(mail: VerifiedMail): Promise<Verification> {
    const { id, seals, log } = this.#deps;
    const header = await readHeader(mail.read());
    const fault = findFault(header);
    const verified = fault === undefined ? await this.#ask(mail) : { kind: 'none' as const, reason: fault };
    if (verified.kind === 'none') log('not_verified', { id: mail.trace.queueId, reason: verified.reason });
    if (verified.kind === 'none') return { step: makeStep(id, undefined), arc: undefined };
    return { step: makeStep(id, verified.text), arc: seals ? verified.arc : undefined };
  }

  async #ask({ trace, sender, read }: VerifiedMail) {
    const { authenticate } = load('mailauth') as typeof import('mailauth');
    const { id, askDns } = this.#deps;
    const late = AbortSignal.timeout(WITHIN_MS);
    const asked = authenticate(Readable.from(boundedLines(read())), {
      ip: trace.client,
      helo: trace.helo,
      sender,
      mta: id,
      resolver: askDns,
      strict: true,
      disableBimi: true,
    });
    const result = await within(late, asked.catch(toError));
    if (result === undefined) return { kind: 'none', reason: 'the DNS did not answer within 30 s' } as const;
    if (result instanceof Error) return { kind: 'none', reason: result.message } as const;
    this.#count(result);
    return { kind: 'results', text: result.headers, arc: readArc(result) } as const;
  }

  #count({ dkim, spf, arc, dmarc }: AuthenticateResult): void {
    const { counters } = this.#deps;
    const dkimResults = dkim.results.map(({ status }) => status.result);
    const best = dkimResults.find((result) => result === 'pass') ?? dkimResults[0] ?? 'none';
    counters.add('verified', `dkim,${best}`);
    for (const [method, checked] of Object.entries({ spf, arc, dmarc }))
      counters.add('verified', `${method},${checked === false ? 'none' : checked.status.result}`);
  }
}

function readArc({ arc }: AuthenticateResult): ArcFacts | undefined {
  if (arc === false) return undefined;
  const { authResults: results = '', status } = arc;
  if (results === '' || results.length > MOST_RESULTS) return undefined;
  const { result: chain } = status;
  return chain === 'none' || chain === 'pass' ? { chain, results: inAscii(results) } : undefined;
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

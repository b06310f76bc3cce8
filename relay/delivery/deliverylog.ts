/**
 * The log line of one recipient: the sender, the result, the next hop, the TLS protection, the age and the rule that
 * decided. Also counts the result.
 */

import { describeFailure } from '#crds/failure.ts';
import type { Log } from '../observe/log.ts';
import type { Counters } from '../task/counts.ts';
import type { Destination, HopTls, TlsReason, Verdict } from './courier.ts';

export interface DeliveryFacts {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly hop: string;
  readonly rule: string;
  readonly tls: HopTls | null;
  /** Absent if no hop was asked. */
  readonly policy: TlsReason | undefined;
  /** From the end of the message to the verdict. In mode CutThrough, from the end of the envelope. */
  readonly ageMs: number;
}

export function countVerdict(counters: Counters, verdict: Verdict, to: Destination['kind']): void {
  if (verdict.kind === 'delivered') counters.add('delivered', to);
  else if (verdict.failure.permanent) counters.add('bounced', to);
  else counters.add('deferred', `${to},reply`);
}

/** Counts once for each message and hop. */
export function countFallBack(counters: Counters, { policy }: Pick<DeliveryFacts, 'policy'>): void {
  if (policy?.fellBack)
    counters.add('fell_back', `${policy.fellBack.cause},${policy.fellBack.handshake ?? ''}`);
}

export function logVerdict(log: Log, verdict: Verdict, { tls, policy, ageMs, ...rest }: DeliveryFacts): void {
  const seconds = Math.max(0, ageMs) / 1000;
  const facts = {
    ...rest,
    tls: tls?.version ?? 'none',
    tlsLevel: policy?.level,
    tlsRule: policy?.rule,
    fellBack: policy?.fellBack?.cause,
    fellBackReason: policy?.fellBack?.text,
    seconds,
  };
  if (verdict.kind === 'delivered') {
    const { reply } = verdict;
    const group = tls?.group ?? undefined;
    log('delivered', { ...facts, cipher: tls?.cipher, group, verified: tls?.verified ?? false, reply });
    return;
  }
  const { failure } = verdict;
  const { cause, command } = failure;
  const event = failure.permanent ? 'bounced' : 'deferred';
  log(event, { ...facts, cause, command, reason: describeFailure(failure) });
}

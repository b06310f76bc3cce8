/** The log line of one recipient: what became of it, where, how protected, and which rule decided; and its count. */

import { describeFailure } from '#crds/failure.ts';
import type { Log } from '../observe/log.ts';
import type { Counters } from '../task/counts.ts';
import type { Destination, HopTls, Verdict } from './courier.ts';

export interface DeliveryFacts {
  readonly id: string;
  readonly to: string;
  readonly hop: string;
  readonly rule: string;
  readonly tls: HopTls | null;
}

export function countVerdict(counters: Counters, verdict: Verdict, to: Destination['kind']): void {
  if (verdict.kind === 'delivered') counters.add('delivered', to);
  else if (verdict.failure.permanent) counters.add('bounced', to);
  else counters.add('deferred', `${to},reply`);
}

export function logVerdict(log: Log, verdict: Verdict, { id, to, hop, rule, tls }: DeliveryFacts): void {
  const facts = { id, to, hop, rule, tls: tls?.version ?? 'none' };
  if (verdict.kind === 'delivered') {
    const { reply } = verdict;
    log('delivered', { ...facts, cipher: tls?.cipher, verified: tls?.verified ?? false, reply });
    return;
  }
  const { failure } = verdict;
  const { cause, command } = failure;
  const event = failure.permanent ? 'bounced' : 'deferred';
  log(event, { ...facts, cause, command, reason: describeFailure(failure) });
}

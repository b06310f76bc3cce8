/**
 * The log line of one recipient: the sender, the result, the next hop, the TLS protection, the age and the rule that
 * decided. Also counts the result.
 */

import { describeFailure } from '#crds/failure.ts';
import { type TlsLevel, verifiesPeer } from '#crds/tlslevel.ts';
import type { Log } from '../observe/log.ts';
import type { Counters } from '../task/counts.ts';
import type { AttemptResult, Destination, HopTls, Judgement, TlsReason, Verdict } from './courier.ts';

type Protected = Pick<AttemptResult & { kind: 'answered' }, 'tls' | 'policy' | 'judgement' | 'verdicts'>;

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

/** Counts once for each message and hop, when the hop took the message for a recipient. */
export function countProtection(
  counters: Counters,
  destination: string,
  { tls, policy, judgement, verdicts }: Protected,
): void {
  if (!policy || !verdicts.some(({ kind }) => kind === 'delivered')) return;
  const { fellBack, verifiedBy, stsTesting } = policy;
  if (stsTesting !== undefined) counters.add('sts_testing', stsTesting?.cause ?? 'met');
  const facts = [
    tls?.version ?? 'none',
    tls?.group ?? 'none',
    verifiedBy ?? 'nothing',
    fellBack?.cause ?? 'no',
  ];
  counters.add('outbound', [nameReached(tls, policy, judgement), ...facts].join());
  if (fellBack) counters.add('fell_back', `${fellBack.cause},${fellBack.handshake ?? ''}`);
  if (judgement && Object.keys(judgement).length > 0) counters.judged(destination, judgement);
}

/** The strictest level that the delivery met, whatever level was asked for. */
function nameReached(tls: HopTls | null, { level }: TlsReason, judgement: Judgement = {}): TlsLevel {
  if (tls === null) return 'None';
  if (judgement.Encrypt) return 'Opportunistic';
  if (judgement.Verify !== null && !verifiesPeer(level)) return 'Encrypt';
  return level === 'Dane' ? 'Dane' : 'Verify';
}

export function logVerdict(log: Log, verdict: Verdict, { tls, policy, ageMs, ...rest }: DeliveryFacts): void {
  const seconds = Math.max(0, ageMs) / 1000;
  const facts = {
    ...rest,
    tls: tls?.version ?? 'none',
    tlsLevel: policy?.level,
    tlsRule: policy?.rule,
    stsTesting: policy?.stsTesting === null ? 'met' : policy?.stsTesting?.text,
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

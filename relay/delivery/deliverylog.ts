/** The log line of one recipient: what became of it, where, how protected, and which rule decided; and its count. */

import type { Log } from '../observe/log.ts';
import type { Counters } from '../task/counts.ts';
import type { HopTls } from './courier.ts';
import type { Destination } from './route.ts';
import type { Verdict } from './verdict.ts';

const COUNTED_AS = { delivered: 'delivered', deferred: 'deferred', refused: 'bounced' } as const;

export interface DeliveryFacts {
  readonly id: string;
  readonly to: string;
  readonly hop: string;
  readonly rule: string;
  readonly tls: HopTls | null;
}

export function countVerdict(counters: Counters, { kind }: Verdict, to: Destination['kind']): void {
  counters.add(COUNTED_AS[kind], kind === 'deferred' ? `${to},reply` : to);
}

export function reportVerdict(log: Log, verdict: Verdict, { id, to, hop, rule, tls }: DeliveryFacts): void {
  const facts = { id, to, hop, rule, tls: tls?.version ?? 'none' };
  switch (verdict.kind) {
    case 'delivered':
      log('delivered', {
        ...facts,
        cipher: tls?.cipher,
        verified: tls?.verified ?? false,
        reply: verdict.reply,
      });
      break;
    case 'deferred':
      log('deferred', { ...facts, reason: verdict.reason });
      break;
    case 'refused':
      log('bounced', { ...facts, reason: verdict.reason });
      break;
    default:
      verdict satisfies never;
  }
}

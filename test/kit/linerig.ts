/** Sends messages to a hop that is a function of lines, and tells in short what became of the recipients. */
import { after } from 'node:test';
import type { Hop } from '#crds/policyfile.ts';
import type { HopResult } from '#relay/delivery/attempt.ts';
import { AttemptBudget } from '#relay/delivery/budget.ts';
import type { Parcel } from '#relay/delivery/courier.ts';
import { clientWith, wayTo } from './hopway.ts';
import { type Heard, startLineHop } from './linehop.ts';
import { hopTo, makeParcel } from './relayrig.ts';

const ends: (() => void)[] = [];
after(() => {
  for (const end of ends) end();
});

export const TEXT = 'Subject: x\r\n\r\nx\r\n';

export async function rig(answer: Heard, changes: Partial<Hop> = {}) {
  const hop = await startLineHop(answer);
  const client = clientWith();
  ends.push(
    () => client.close(),
    () => hop.close(),
  );
  const way = wayTo(hopTo(hop.port, { tlsLevel: 'None', ...changes }));
  const send = async (recipients: number, more: Partial<Parcel> = {}): Promise<HopResult> => {
    const budget = new AttemptBudget();
    const to = Array.from({ length: recipients }, (_, index) => `r${index}@example.net`);
    const parcel = makeParcel(TEXT, { to, ...more });
    const result =
      (await client.resume(way, parcel, budget)) ?? (await client.deliver(way, '127.0.0.1', parcel, budget));
    budget.close();
    return result;
  };
  return { hop, client, send };
}

/** One letter for each recipient: delivered, refused for good, waits. */
export function letters(result: HopResult): string {
  if (result.kind === 'unreachable') return 'unreachable';
  return result.verdicts
    .map((verdict) => (verdict.kind === 'delivered' ? 'D' : verdict.failure.permanent ? 'R' : 'w'))
    .join('');
}

/** What the result says of the failures. */
export function reasons(result: HopResult): string {
  if (result.kind === 'unreachable') return result.failure.text;
  return result.verdicts.map((verdict) => (verdict.kind === 'failed' ? verdict.failure.text : '')).join('\n');
}

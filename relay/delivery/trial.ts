/**
 * The trial of changed Secrets at a next hop: EHLO, STARTTLS, AUTH (connect.ts), then NOOP and QUIT. NOOP
 * makes a hop speak that judges our certificate after the handshake, as TLS 1.3 does.
 */

import type { HopWay } from './attempt.ts';
import { AttemptBudget } from './budget.ts';
import type { ConnectTerms, Opened, Session } from './connect.ts';
import { connectFailure, isOurRefusal, loginFailure, type SmtpError } from './connectfailure.ts';
import type { NextHop } from './courier.ts';
import type { Trials } from './hopsecrets.ts';
import type { TrialResult } from './preflight.ts';
import type { Reply } from './reply.ts';

const UNTOLD: TrialResult = { kind: 'untold' };

/** undefined: no connection to the hop can be made now. */
export type WayFinder = (hop: NextHop) => Promise<{ way: HopWay; addresses: readonly string[] } | undefined>;

export interface TrialTerms {
  readonly findWay: WayFinder;
  /** Other contents than before are in use for the hops that the test selects. */
  readonly onTaken: (isTaken: (hop: NextHop) => boolean, hop: NextHop) => void;
  readonly onRefused: Trials['onRefused'];
  readonly onKept: Trials['onKept'];
}

type Terms = Pick<ConnectTerms, 'address' | 'policy' | 'budget'>;

/** A failure of our own says nothing about the hop, so the new contents are not held back. */
export async function tryOut(
  hop: NextHop,
  findWay: WayFinder,
  open: (terms: Terms) => Promise<Opened>,
): Promise<TrialResult> {
  const budget = new AttemptBudget();
  try {
    const found = await budget.within(findWay(hop));
    if (!found) return UNTOLD;
    for (const address of found.addresses) {
      const opened = await open({ address, policy: found.way.policy, budget });
      const result = await judgeOpened(hop, address, opened);
      if (result.kind !== 'untold') return result;
    }
    return UNTOLD;
  } finally {
    budget.close();
  }
}

async function judgeOpened(hop: NextHop, address: string, opened: Opened): Promise<TrialResult> {
  if (opened.kind === 'failed')
    return opened.refusesUs ? { kind: 'refused', failure: opened.failure } : UNTOLD;
  const { session } = opened;
  const result = session.broken ? UNTOLD : await askNoop(hop, address, session);
  if (!session.broken) session.connection.quit();
  return result;
}

function askNoop(hop: NextHop, address: string, { connection, policy }: Session): Promise<TrialResult> {
  const { promise, resolve } = Promise.withResolvers<TrialResult>();
  connection.once('error', (error: SmtpError) => {
    if (!isOurRefusal(error, hop, false)) resolve(UNTOLD);
    else resolve({ kind: 'refused', failure: connectFailure(error, hop, connection, { address, policy }) });
  });
  connection.once('end', () => resolve(UNTOLD));
  connection.noop((reply) => resolve(judgeReply(reply, hop)));
  return promise;
}

/** 500 to 504 say only that the hop does not know NOOP (RFC 5321 section 4.2.1). */
function judgeReply({ code, text }: Reply, hop: NextHop): TrialResult {
  if (code >= 505)
    return { kind: 'refused', failure: loginFailure({ name: '', message: '', response: text }, hop) };
  return code < 400 || code >= 500 ? { kind: 'accepted' } : UNTOLD;
}

/** Mail that requires TLS (RFC 8689) to hosts that cannot keep it: each one is asked, and none is blamed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import { hopTo, makeParcel, policyOf } from '#test/kit/relayrig.ts';
import { attempt, type HopResult, type HopWay } from './attempt.ts';
import type { Destination, NextHop } from './courier.ts';
import { FailedHops } from './failedhops.ts';
import { SYSTEM_NAMES } from './names.ts';
import { notOffered } from './requiretls.ts';
import { NO_DISCOVERY } from './tlsfindings.ts';
import { judgeReply } from './verdict.ts';

const hosts = (count: number) => Array.from({ length: count }, (_, index) => `192.0.2.${index + 1}`);

/** Attempts over so many hosts. `fit` keep what a sender requires, `dead` do not answer. */
function rig(count: number, { fit = [], dead = [] }: { fit?: string[]; dead?: string[] } = {}) {
  let now = 0;
  const failedHops = new FailedHops(() => now);
  const hops: NextHop[] = hosts(count).map((host) => hopTo(25, { host }));
  const destination: Destination = { kind: 'hops', key: 'x', name: 'x', rule: 'x', hops };
  const answer = (hop: NextHop, requireTls: boolean): HopResult => {
    if (dead.includes(hop.host)) {
      const failure = makeFailure({ cause: 'connect', status: '4.4.1', text: 'no answer' });
      return { kind: 'unreachable', failure, hadSession: false };
    }
    if (requireTls && !fit.includes(hop.host))
      return { kind: 'unreachable', failure: notOffered(hop), hadSession: false };
    const verdicts = [judgeReply(250, '250 2.0.0 Ok', 'RCPT')];
    return { kind: 'answered', verdicts, tls: null, tellsSender: false, mayTryAnother: false };
  };
  const send = async (requireTls = true): Promise<{ asked: string[]; came: string }> => {
    now += 1_000;
    const asked: string[] = [];
    const client = {
      resume: async () => undefined,
      deliver: async ({ hop }: HopWay) => {
        asked.push(hop.host);
        return answer(hop, requireTls);
      },
    };
    const common = { policy: policyOf(), random: () => 0.5, discovery: NO_DISCOVERY, names: SYSTEM_NAMES };
    const parcel = makeParcel('Subject: x\r\n\r\n', { requireTls });
    const result = await attempt(destination, parcel, { ...common, client, failedHops });
    const [verdict] = result.kind === 'answered' ? result.verdicts : [];
    const came = verdict?.kind === 'failed' ? verdict.failure.status : (verdict?.kind ?? 'waits');
    return { asked, came };
  };
  return { send };
}

test('each host is asked once in one attempt, and one that is fit gets the mail however many are not', async () => {
  const all = hosts(12);
  assert.deepEqual(await rig(12, { fit: ['192.0.2.12'] }).send(), { asked: all, came: 'delivered' });
});

test('the mail comes back when no host is fit, and waits while one does not answer', async () => {
  const all = hosts(12);
  assert.deepEqual(await rig(12).send(), { asked: all, came: '5.7.30' });
  assert.deepEqual(await rig(12, { dead: ['192.0.2.12'] }).send(), { asked: all, came: 'waits' });
});

test('other mail goes to the first host, whatever mail that requires TLS has met there', async () => {
  const { send } = rig(12);
  await send();
  assert.deepEqual(await send(false), { asked: hosts(1), came: 'delivered' });
});

/** Mail that requires TLS (RFC 8689) to hosts that cannot keep it: few connections, and each host has its turn. */
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

const HOUR_MS = 3_600_000;
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
  return { send, hops, failedHops, pass: (ms: number) => (now += ms) };
}

test('unfit hosts have the share of an attempt, each has its turn, and the mail comes back when all were asked', async () => {
  const { send } = rig(12);
  const all = hosts(12);
  assert.deepEqual(await send(), { asked: all.slice(0, 5), came: 'waits' });
  assert.deepEqual(await send(), { asked: all.slice(5, 10), came: 'waits' });
  assert.deepEqual(await send(), { asked: [...all.slice(10), ...all.slice(0, 3)], came: '5.7.30' });
  assert.deepEqual(await rig(5).send(), { asked: hosts(5), came: '5.7.30' });
});

test('a fit host behind many unfit ones gets the mail at the next attempt, and the first one of the next mail', async () => {
  const { send } = rig(12, { fit: ['192.0.2.8'] });
  assert.equal((await send()).came, 'waits');
  assert.deepEqual(await send(), { asked: ['192.0.2.6', '192.0.2.7', '192.0.2.8'], came: 'delivered' });
  assert.equal((await send()).asked.length, 1);
});

test('other mail goes to the hosts in their old order, and says nothing of them for mail that requires TLS', async () => {
  const { send } = rig(7);
  await send();
  assert.deepEqual(await send(false), { asked: ['192.0.2.1'], came: 'delivered' });
  assert.deepEqual((await send()).asked.slice(0, 2), ['192.0.2.6', '192.0.2.7']);
});

test('mail waits for a host that is dead, however many others are unfit', async () => {
  const { send } = rig(8, { dead: ['192.0.2.7'] });
  for (let times = 0; times < 6; times++) assert.equal((await send()).came, 'waits');
});

test('after an hour, and after a change of what proves them, hosts are asked anew', async () => {
  const { send, pass } = rig(7);
  await send();
  pass(HOUR_MS);
  assert.deepEqual(await send(), { asked: hosts(5), came: 'waits' });
  const other = rig(7);
  await other.send();
  other.failedHops.forgive(() => true);
  assert.deepEqual(await other.send(), { asked: hosts(5), came: 'waits' });
});

/** Mail that requires TLS (RFC 8689) to hosts that cannot keep it: each one is asked, and none is blamed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import { hopTo, makeParcel, policyOf } from '#test/kit/relayrig.ts';
import { attempt, type HopResult, type HopWay } from './attempt.ts';
import type { AttemptResult, Destination, NextHop } from './courier.ts';
import { FailedHops } from './failedhops.ts';
import { type MailNames, SYSTEM_NAMES } from './names.ts';
import { notOffered } from './requiretls.ts';
import { NO_DISCOVERY } from './tlsfindings.ts';
import { judgeReply } from './verdict.ts';

const hosts = (count: number) => Array.from({ length: count }, (_, index) => `192.0.2.${index + 1}`);

/** Mail that waits alone keeps no other mail of its destination back. */
function cameTo(result: AttemptResult): string {
  if (result.kind === 'unreachable') return 'waits with all';
  const [verdict] = result.verdicts;
  if (verdict?.kind !== 'failed') return verdict?.kind ?? 'nothing';
  if (verdict.failure.permanent) return verdict.failure.status;
  return result.isOfMessage ? 'waits' : 'is put off';
}

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
    return { asked, came: cameTo(result) };
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

test('mail waits with all other mail of its destination only where no host was met that may take others', async () => {
  const all = hosts(3);
  const [first = '', ...others] = all;
  assert.equal((await rig(3, { dead: all }).send()).came, 'waits with all');
  assert.equal((await rig(3, { dead: others }).send()).came, 'waits');
  assert.equal((await rig(3, { dead: others }).send(false)).came, 'delivered');
  assert.equal((await rig(3, { dead: [first], fit: others }).send()).came, 'delivered');
});

test('other mail goes to the first host, whatever mail that requires TLS has met there', async () => {
  const { send } = rig(12);
  await send();
  assert.deepEqual(await send(false), { asked: hosts(1), came: 'delivered' });
});

/** One MX host, whose machines behave as named here, and how mail that requires TLS ends there. */
async function sendToMachines(machines: readonly Machine[]): Promise<{ asked: string[]; came: string }> {
  const addresses = hosts(machines.length);
  const asked: string[] = [];
  const hop = { ...hopTo(25, { host: 'mx.example', ipFamily: 'IPv4' }), mxOf: 'example' };
  const destination: Destination = { kind: 'hops', key: 'x', name: 'x', rule: 'x', hops: [hop] };
  const found = { kind: 'records', name: hop.host, records: addresses, isSigned: false };
  const client = {
    resume: async () => undefined,
    deliver: async (_way: HopWay, address: string): Promise<HopResult> => {
      asked.push(address);
      const failure = MACHINES[machines[addresses.indexOf(address)] ?? 'fit'];
      if (failure) return { kind: 'unreachable', failure, hadSession: false };
      const verdicts = [judgeReply(250, '250 2.0.0 Ok', 'RCPT')];
      return { kind: 'answered', verdicts, tls: null, tellsSender: false, mayTryAnother: false };
    },
  };
  const result = await attempt(destination, makeParcel('Subject: x\r\n\r\n', { requireTls: true }), {
    client,
    policy: policyOf(),
    random: () => 0.5,
    discovery: NO_DISCOVERY,
    names: { lookUp: async () => found } as unknown as MailNames,
    failedHops: new FailedHops(() => 0),
  });
  return { asked, came: cameTo(result) };
}

const MACHINES = {
  fit: null,
  old: makeFailure({
    cause: 'handshake',
    status: '4.7.5',
    text: 'x',
    handshake: 'no shared version or cipher',
  }),
  expired: makeFailure({ cause: 'certificate-expired', status: '4.7.5', text: 'x' }),
  dead: makeFailure({ cause: 'connect', status: '4.4.1', text: 'x' }),
  away: makeFailure({ cause: 'connect', status: '4.4.1', text: 'x', noWay: true }),
  broken: makeFailure({ cause: 'handshake', status: '4.7.5', text: 'x', handshake: 'other' }),
  hanging: makeFailure({ cause: 'handshake', status: '4.4.1', text: 'x' }),
  busy: makeFailure({ cause: 'starttls-missing', status: '4.7.5', text: 'x', mayPass: true }),
  login: makeFailure({ cause: 'login', status: '4.7.8', text: 'x' }),
  unwilling: notOffered(hopTo(25)),
} as const;
type Machine = keyof typeof MACHINES;

test('TLS that is too old, or a certificate, is that of one machine of a host: the others are asked before the mail comes back', async () => {
  const [first = '', second = '', third = ''] = hosts(3);
  for (const bad of ['old', 'expired'] as const) {
    assert.deepEqual(await sendToMachines([bad, 'fit']), { asked: [first, second], came: 'delivered' });
    assert.deepEqual(await sendToMachines([bad, bad, 'fit']), {
      asked: [first, second, third],
      came: 'delivered',
    });
    assert.deepEqual(await sendToMachines([bad, bad]), { asked: [first, second], came: '5.7.30' });
    assert.deepEqual(await sendToMachines([bad, 'dead']), { asked: [first, second], came: 'waits' });
  }
  assert.deepEqual(await sendToMachines(['unwilling', 'fit']), { asked: [first], came: '5.7.30' });
  // More than one attempt asks: those that were asked speak for the rest.
  assert.equal((await sendToMachines(Array(12).fill('old'))).came, '5.7.30');
  assert.equal((await sendToMachines([...Array(4).fill('old'), ...Array(8).fill('dead')])).came, 'waits');
});

test('an address to which there is no way keeps no mail where another machine of the host is unfit', async () => {
  for (const bad of ['old', 'expired', 'unwilling'] as const) {
    assert.equal((await sendToMachines([bad, 'away'])).came, '5.7.30');
    assert.equal((await sendToMachines(['away', bad])).came, '5.7.30');
    assert.equal((await sendToMachines(['dead', 'away', bad])).came, 'waits');
  }
  assert.equal((await sendToMachines([...Array(4).fill('old'), ...Array(4).fill('away')])).came, '5.7.30');
  assert.equal((await sendToMachines(['old', 'away', 'fit'])).came, 'delivered');
  assert.equal((await sendToMachines(['away', 'away'])).came, 'waits with all');
  assert.equal((await sendToMachines(Array(12).fill('away'))).came, 'waits with all');
});

test('an address to which there is no way takes the turn of no other: the machines behind it are asked before the mail comes back', async () => {
  const away = Array(4).fill('away');
  for (const bad of ['old', 'expired'] as const) {
    assert.equal((await sendToMachines([...away, bad, 'fit'])).came, 'delivered');
    assert.equal((await sendToMachines([...away, bad, ...away, 'fit'])).came, 'delivered');
    assert.equal((await sendToMachines([...away, bad, 'dead'])).came, 'waits');
    assert.equal((await sendToMachines([...away, bad, ...away])).came, '5.7.30');
  }
  // Those that have answered speak for the rest.
  const { asked, came } = await sendToMachines([...away, ...Array(12).fill('old')]);
  assert.deepEqual([asked.length, came], [9, '5.7.30']);
});

test('a host whose TLS fails now takes other mail, so mail that requires TLS waits alone for it, but not for a refused login', async () => {
  assert.equal((await sendToMachines(['broken'])).came, 'waits');
  assert.equal((await sendToMachines(['busy', 'dead'])).came, 'waits');
  assert.equal((await sendToMachines(['dead', 'dead'])).came, 'waits with all');
  assert.equal((await sendToMachines(['broken', 'login'])).came, 'waits with all');
});

test('mail that requires TLS waits with all other mail where a host hangs in the handshake: no mail goes to it', async () => {
  assert.equal((await sendToMachines(['hanging'])).came, 'waits with all');
  assert.equal((await sendToMachines(['hanging', 'dead'])).came, 'waits with all');
  assert.equal((await sendToMachines(['hanging', 'broken'])).came, 'waits');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import { hopTo } from '#test/kit/relayrig.ts';
import { FailedHops } from './failedhops.ts';
import { pickAddresses } from './hopaddresses.ts';

const hop = hopTo(25, { host: 'mx.example.net' });
const failure = makeFailure({ cause: 'connect', status: '4.4.1', text: 'no answer' });
const v4 = (count: number) => Array.from({ length: count }, (_, index) => `192.0.2.${index + 1}`);

test('addresses have their turn one after the other, also in the second round', () => {
  const failedHops = new FailedHops(() => 0);
  const asked: string[] = [];
  for (let round = 0; round < 4; round += 1) {
    const picked = pickAddresses(failedHops.orderAddresses(hop, v4(12)), { left: 5, isLast: true });
    failedHops.failed(hop, failure, picked);
    asked.push(...picked);
  }
  assert.deepEqual(asked, [...v4(12), ...v4(8)]);
});

test('refused logins are counted by the time between them, and all hops of a list must refuse', () => {
  let now = 0;
  let told = 0;
  const failedHops = new FailedHops(
    () => now,
    () => {
      told += 1;
    },
  );
  const login = makeFailure({ cause: 'login', status: '4.7.8', text: 'no' });
  const other = hopTo(25, { host: 'other.example.net' });
  failedHops.failed(hop, failure, []);
  assert.equal(told, 0);
  for (const at of [0, 1_000, 50_000, 60_000, 200_000]) {
    now = at;
    failedHops.failed(hop, login, []);
  }
  assert.equal(told, 5);
  // The queue knows what it was told itself.
  assert.equal(failedHops.findRefusal([hop]), undefined);
  const next = new FailedHops(() => now);
  for (const [, { hop: refusing, ...refusal }] of failedHops.refused) next.restore(refusing, refusal);
  const { refusals, since, at } = next.findRefusal([hop]) ?? {};
  assert.deepEqual([refusals, since, at], [3, 0, 200_000]);
  assert.equal(next.findRefusal([hop, other]), undefined);
  next.restore(other, { failure: login, refusals: 1, since: 100, at: 100 });
  assert.deepEqual(
    [next.findRefusal([hop, other])].map((one) => [one?.refusals, one?.at]),
    [[1, 200_000]],
  );
  next.failed(hop, login, []);
  assert.equal(next.findRefusal([hop, other]), undefined);
  assert.equal(next.refused.get([...next.refused.keys()].at(-1) ?? '')?.refusals, 3);
  // A router that has not begun has nothing to forgive, and must not tell that nobody refuses.
  failedHops.forgive((one) => one === other);
  failedHops.answered(hop);
  assert.deepEqual([told, failedHops.refused.size], [6, 0]);
  failedHops.failed(hop, login, []);
  failedHops.forgive((one) => one === hop);
  assert.deepEqual([told, failedHops.refused.size], [8, 0]);
  assert.equal(failedHops.findRefusal([]), undefined);
});

test('who forgives hops is told why each has failed', () => {
  const failedHops = new FailedHops(() => 0);
  const login = makeFailure({ cause: 'login', status: '4.7.8', text: 'no' });
  const other = hopTo(25, { host: 'other.example.net' });
  failedHops.failed(hop, failure, []);
  failedHops.failed(other, login, []);
  failedHops.forgive((_, { cause }) => cause !== 'login');
  assert.deepEqual(failedHops.order([other, hop]), [hop, other]);
  assert.equal(failedHops.refused.size, 1);
});

test('an address that is new goes first, and one that answered has its old place again', () => {
  const failedHops = new FailedHops(() => 0);
  failedHops.failed(hop, failure, v4(2));
  assert.deepEqual(failedHops.orderAddresses(hop, v4(3)), ['192.0.2.3', '192.0.2.1', '192.0.2.2']);
  failedHops.answered(hop);
  assert.deepEqual(failedHops.orderAddresses(hop, v4(3)), v4(3));
});

test('one host may fail in one way and not in another: from an address, through a proxy, with a PROXY header', () => {
  const ways = [
    hop,
    { ...hop, sourceAddresses: ['192.0.2.7'] },
    { ...hop, socksProxy: { host: 'socks.example', port: 1080, credentialsSecret: null } },
    { ...hop, proxyProtocol: 'V1' as const },
    { ...hop, proxyProtocol: 'V2' as const, sourceAddresses: ['192.0.2.7'] },
  ];
  for (const failing of ways) {
    const failedHops = new FailedHops(() => 0);
    failedHops.failed(failing, failure, v4(1));
    const others = ways.filter((way) => way !== failing);
    assert.deepEqual(failedHops.order(ways), [...others, failing]);
  }
});

test('a fault of this relay puts no hop last, and every other failure does', () => {
  const failedHops = new FailedHops(() => 0);
  const second = hopTo(25, { host: 'second.example.net' });
  failedHops.failed(hop, makeFailure({ cause: 'local', status: '4.4.2', text: 'its login changed' }), v4(1));
  assert.deepEqual(failedHops.order([hop, second]), [hop, second]);
  assert.deepEqual(failedHops.orderAddresses(hop, v4(2)), v4(2));
  failedHops.failed(hop, failure, v4(1));
  failedHops.failed(hop, makeFailure({ cause: 'local', status: '4.4.2', text: 'its login changed' }), []);
  assert.deepEqual(failedHops.order([hop, second]), [second, hop]);
});

test('the TLS policy of one domain puts no host of other domains last, and a dead host is last for all', () => {
  const hosts = ['mx.example.net', 'backup.example.net'];
  const listFor = (mxOf: string, tlsLevel: 'Opportunistic' | 'Verify' = 'Opportunistic') =>
    hosts.map((host) => ({ ...hopTo(25, { host, tlsLevel }), mxOf }));
  const order = (hops: ReturnType<typeof listFor>) => failed.order(hops).map(({ host }) => host);
  const failed = new FailedHops(() => 0);
  const [first] = listFor('evil.example');
  assert.ok(first);
  for (const cause of ['sts-mx-mismatch', 'certificate-untrusted', 'starttls-missing'] as const)
    failed.failed(first, makeFailure({ cause, status: '4.7.5', text: 'not met' }), []);
  assert.deepEqual(order(listFor('evil.example')), hosts.toReversed());
  assert.deepEqual(order(listFor('good.example')), hosts);
  assert.deepEqual(order(listFor('evil.example', 'Verify')), hosts);
  failed.failed(first, failure, []);
  assert.deepEqual(order(listFor('good.example')), hosts.toReversed());
  failed.answered(first);
  assert.deepEqual(order(listFor('evil.example')), hosts);
});

/** Which mail new contents of Secrets and ConfigMaps hurry: what they can cure, at the destinations that they concern. */
import assert from 'node:assert/strict';
import { syncBuiltinESMExports } from 'node:module';
import { test } from 'node:test';
import tls from 'node:tls';
import { type Failure, type FailureCause, joinFailures, makeFailure } from '#crds/failure.ts';
import type { Policy } from '#crds/policyfile.ts';
import { makePair } from '#test/kit/ca.ts';
import { hopTo, policyOf, trusting } from '#test/kit/relayrig.ts';
import { StsPolicies } from '../mtasts/policies.ts';
import type { NextHop } from './courier.ts';
import { Delivery, type DeliveryClient } from './delivery.ts';
import { Discovery } from './discovery.ts';
import { SYSTEM_NAMES } from './names.ts';
import { NO_DISCOVERY } from './tlsfindings.ts';

const EMPTY = { secrets: {}, configMaps: {} };

function concerned(outbound: Partial<Policy['outbound']>, isChanged: (hop: NextHop) => boolean = () => true) {
  const unused = () => assert.fail('nothing is delivered');
  const client: DeliveryClient = {
    resume: unused,
    deliver: unused,
    useMaterials: () => isChanged,
    contentsFor: unused,
    secretsHeldBack: [],
    connections: [],
    close: () => undefined,
  };
  const deps = {
    client,
    discovery: NO_DISCOVERY,
    names: SYSTEM_NAMES,
    clock: () => 0,
    wall: () => 0,
    random: () => 0.5,
  };
  const delivery = new Delivery({ policy: policyOf({}, outbound), ...deps });
  const isConcerned = delivery.useMaterials(EMPTY);
  return (address: string, failure?: Failure) => isConcerned(delivery.route('', address), failure);
}

const fail = (cause: FailureCause) => makeFailure({ cause, status: '4.0.0', text: 'no' });

test('only what the new contents can cure is due at once', () => {
  const hops = [hopTo(25, { host: 'hop.example', credentialsSecret: 'login' })];
  const isConcerned = concerned({ smartHosts: hops });
  const cured: FailureCause[] = [
    'login',
    'local',
    'handshake',
    'certificate-untrusted',
    'certificate-expired',
  ];
  for (const cause of cured) assert.ok(isConcerned('a@x.example', fail(cause)), cause);
  for (const cause of [
    'reply',
    'connect',
    'greeting',
    'dns',
    'certificate-host-mismatch',
    'tlsa-invalid',
  ] as const)
    assert.ok(!isConcerned('a@x.example', fail(cause)), cause);
  assert.ok(isConcerned('a@x.example'), 'nobody knows why it waits');
});

test('of several hops, one that the new contents can cure is enough', () => {
  const hops = [hopTo(25, { host: 'hop.example', credentialsSecret: 'login' })];
  const isConcerned = concerned({ smartHosts: hops });
  assert.ok(isConcerned('a@x.example', joinFailures([fail('connect'), fail('certificate-untrusted')])));
  assert.ok(!isConcerned('a@x.example', joinFailures([fail('connect'), fail('dns')])));
});

test('a level that asks no authority is not concerned by one, unless a domain may raise it', () => {
  const mx: Partial<Policy['outbound']> = { trustConfigMap: 'trust' };
  assert.ok(!concerned({ ...mx, tlsLevel: 'Opportunistic' })('a@x.example'));
  assert.ok(!concerned({ ...mx, tlsLevel: 'Encrypt' })('a@x.example'));
  assert.ok(concerned({ ...mx, tlsLevel: 'Verify' })('a@x.example'));
  assert.ok(concerned({ ...mx, tlsLevel: 'Opportunistic', discover: ['MTASTS'] })('a@x.example'));
  assert.ok(concerned({ ...mx, tlsLevel: 'Opportunistic', clientCertificateSecret: 'pair' })('a@x.example'));
  assert.ok(!concerned({ ...mx, tlsLevel: 'Verify' }, () => false)('a@x.example'));
});

test('a policy host that could not be verified is asked again only when other authorities are trusted', async (t) => {
  const forgive = t.mock.method(StsPolicies.prototype, 'forgive');
  const policy = policyOf({}, { discover: ['MTASTS'], trustConfigMap: 'trust' });
  const pem = (text: string) => `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`;
  const before = trusting('trust', pem('a'));
  const silent = { log: () => undefined, count: () => undefined, stateDir: null };
  const discovery = new Discovery(policy, before, silent);
  discovery.useMaterials({ ...before, secrets: { login: { username: 'new' } } });
  discovery.useMaterials({ ...before, configMaps: { ...before.configMaps, other: { 'ca.crt': pem('c') } } });
  assert.equal(forgive.mock.callCount(), 0);
  discovery.useMaterials(trusting('trust', pem('b')));
  assert.equal(forgive.mock.callCount(), 1);
  await discovery.close();
});

test('where nobody is trusted no policy host is asked, and the mail waits until somebody is', async (t) => {
  t.mock.method(SYSTEM_NAMES, 'lookUp', async (name: string, type: string) =>
    type === 'TXT'
      ? { kind: 'records', name, records: [['v=STSv1; id=1;']], isSigned: false }
      : { kind: 'absent', name, exists: false, isSigned: false },
  );
  const policy = policyOf({}, { discover: ['MTASTS'], trustConfigMap: 'trust' });
  const deps = { log: () => undefined, count: () => undefined, stateDir: null };
  const discovery = new Discovery(policy, EMPTY, deps);
  const unasked = await discovery.findSts('strict.example');
  assert.ok(unasked.kind === 'unasked');
  assert.equal(unasked.failure.cause, 'local');
  assert.match(unasked.failure.text, /the ConfigMap "trust" has no certificate/);
  discovery.useMaterials(trusting('trust', (await makePair('ca.example')).cert));
  const asked = await discovery.findSts('strict.example');
  assert.equal(asked.kind === 'failed' && asked.failure.cause, 'sts-policy-fetch-error');
  await discovery.close();
});

test('a fetch that throws is a policy that cannot be had, and no fault for which mail waits', async (t) => {
  t.mock.method(SYSTEM_NAMES, 'lookUp', async (name: string) => ({
    kind: 'records',
    name,
    records: [['v=STSv1; id=1;']],
    isSigned: false,
  }));
  const policy = policyOf({}, { discover: ['MTASTS'] });
  const discovery = new Discovery(policy, EMPTY, {
    log: () => undefined,
    count: () => undefined,
    stateDir: null,
  });
  const mocked = t.mock.method(tls, 'connect', () => {
    throw new Error('too many open files');
  });
  syncBuiltinESMExports();
  t.after(() => {
    mocked.mock.restore();
    syncBuiltinESMExports();
  });
  const found = await discovery.findSts('strict.example');
  assert.equal(found.kind === 'failed' && found.failure.cause, 'sts-policy-fetch-error');
  await discovery.close();
});

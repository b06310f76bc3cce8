import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AUTHORITIES_FILE_NAME, printAuthorities } from '#crds/authoritiesfile.ts';
import { podReport, podView, relayObject } from '#test/fixtures/world.ts';
import type { KubeObject } from '../kube/client.ts';
import { joinAuthorities, renderAuthoritiesFile, renderAuthority } from './authority.ts';

const relay = relayObject({ tls: { secretName: 'relay-tls', internal: { issuerRef: { name: 'ca' } } } });
const pem = (body: string) => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----`;
const pod = (n: number, authority: string | null) =>
  podView(`relay-${n}`, podReport(relay, { internalAuthority: authority }));
const silent = podView('relay-1', undefined);
const published = (authority: string) =>
  new Map([['ConfigMap/relay-ca', { metadata: { name: 'relay-ca' }, data: { 'ca.crt': `${authority}\n` } }]]);

test('pods that agree give one certificate, in whatever order they come', () => {
  const objects = new Map();
  assert.equal(joinAuthorities({ relay, objects, pods: [pod(0, pem('A')), pod(1, pem('A'))] }), pem('A'));
  const mixed = joinAuthorities({ relay, objects, pods: [pod(0, pem('B')), pod(1, pem('A'))] });
  assert.equal(mixed, `${pem('A')}\n${pem('B')}`);
  assert.equal(joinAuthorities({ relay, objects, pods: [pod(1, pem('A')), pod(0, pem('B'))] }), mixed);
});

test('what is published stays while a pod has not told, and goes when all have', () => {
  const objects = published(pem('OLD'));
  for (const pods of [[], [silent], [pod(0, null)]])
    assert.equal(joinAuthorities({ relay, objects, pods }), pem('OLD'));
  assert.equal(
    joinAuthorities({ relay, objects, pods: [pod(0, pem('A')), silent] }),
    `${pem('A')}\n${pem('OLD')}`,
  );
  assert.equal(joinAuthorities({ relay, objects, pods: [pod(0, pem('A')), pod(1, pem('A'))] }), pem('A'));
});

test('another authority is published beside the old one until no pod serves that', () => {
  const objects = published(pem('OLD'));
  const [old, fresh] = [pem('OLD'), pem('NEW')];
  const both = `${fresh}\n${old}`;
  assert.equal(joinAuthorities({ relay, objects, pods: [pod(0, fresh), pod(1, old)] }), both);
  // One pod is being replaced, one leaves.
  assert.equal(joinAuthorities({ relay, objects, pods: [pod(0, fresh)] }), both);
  const pods = [pod(0, fresh), pod(1, fresh)];
  assert.equal(joinAuthorities({ relay, objects, pods, leaving: [pod(2, old)] }), both);
  assert.equal(joinAuthorities({ relay, objects, pods, leaving: [podView('relay-2', undefined)] }), both);
  assert.equal(joinAuthorities({ relay, objects, pods, leaving: [pod(2, fresh)] }), fresh);
});

test('no authority goes while a pod is not seen that the StatefulSet counts, or while a stranger has its place', () => {
  const objects: Map<string, KubeObject> = published(pem('OLD'));
  const pods = [pod(0, pem('NEW')), pod(1, pem('NEW'))];
  const metadata = { name: 'relay' };
  const both = `${pem('NEW')}\n${pem('OLD')}`;
  const strangers = [{ kind: 'Pod', metadata: { name: 'relay-2' } }];
  assert.equal(joinAuthorities({ relay, objects, pods, strangers }), both, 'nobody knows the places');
  const count = (replicas: number) =>
    objects.set('StatefulSet/relay', { kind: 'StatefulSet', metadata, status: { replicas } });
  assert.equal(joinAuthorities({ relay, objects: count(3), pods }), both);
  assert.equal(joinAuthorities({ relay, objects: count(2), pods }), pem('NEW'));
  assert.equal(joinAuthorities({ relay, objects: count(2), pods, strangers }), pem('NEW'), 'beyond them');
  objects.set('StatefulSet/relay', { kind: 'StatefulSet', metadata, spec: { replicas: 3 } });
  assert.equal(joinAuthorities({ relay, objects, pods, strangers }), both);
});

test('the authority of a pair that waits is published beside that of the pair in service', () => {
  const [old, fresh] = [pem('OLD'), pem('NEW')];
  const { certificate } = podReport(relay);
  assert.ok(certificate);
  const nextInternalCertificate = { ...certificate, authority: fresh, follows: null };
  const waits = (name: string) =>
    podView(name, podReport(relay, { internalAuthority: old, nextInternalCertificate }));
  const both = `${fresh}\n${old}`;
  for (const objects of [new Map(), published(old)]) {
    assert.equal(joinAuthorities({ relay, objects, pods: [waits('relay-0'), waits('relay-1')] }), both);
    assert.equal(joinAuthorities({ relay, objects, pods: [pod(0, old), waits('relay-1')] }), both);
    const leaving = [waits('relay-2')];
    assert.equal(joinAuthorities({ relay, objects, pods: [pod(0, old), pod(1, old)], leaving }), both);
  }
});

test('the pods are told of the authorities that the cluster has, not of those that are wanted', () => {
  const objects = published(pem('OLD'));
  assert.deepEqual(renderAuthoritiesFile(relay, objects), {
    [AUTHORITIES_FILE_NAME]: printAuthorities(pem('OLD')),
  });
  assert.deepEqual(renderAuthoritiesFile(relay, new Map()), {});
  assert.deepEqual(renderAuthoritiesFile(relayObject(), objects), {});
});

test('nothing is published where nothing is known, or nothing is wanted', () => {
  assert.equal(renderAuthority(relay, ''), undefined);
  assert.equal(renderAuthority(relayObject(), pem('A')), undefined);
  assert.deepEqual(renderAuthority(relay, pem('A'))?.['data'], { 'ca.crt': `${pem('A')}\n` });
});

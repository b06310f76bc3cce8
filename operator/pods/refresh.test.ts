import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodStatus } from '#crds/podstatus.ts';
import { podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import { objectNames } from '../render/metadata.ts';
import { Refresher } from './refresh.ts';

const relay = relayObject();
const HANDING_OVER = { state: 'HandingOver', message: null } as const;

const pod = (name: string, evacuation: PodStatus['evacuation']) =>
  podView(name, podReport(relay, { evacuation }));
const touched = (changes: Parameters<typeof settledWorld>[0]) =>
  new Refresher().plan(settledWorld({ relay, ...changes })).touches.map(({ pod }) => pod.name);

test('a pod that is to leave is touched until it knows', () => {
  assert.deepEqual(touched({ leaving: [pod('relay-2', null)] }), ['relay-2']);
  assert.deepEqual(touched({ leaving: [pod('relay-2', HANDING_OVER)] }), []);
});

test('a pod that is wanted again is touched until it knows', () => {
  const pods = [pod('relay-0', null), pod('relay-1', HANDING_OVER)];
  assert.deepEqual(touched({ pods }), ['relay-1']);
});

test('an older relay says nothing of it, and is let alone', () => {
  assert.deepEqual(touched({ leaving: [pod('relay-2', undefined)] }), []);
});

test('a pod whose next certificate waits is touched until it knows that the authority is published', () => {
  const inside = relayObject({ tls: { secretName: 'relay-tls', internal: { issuerRef: { name: 'ca' } } } });
  const { certificate } = podReport(inside);
  assert.ok(certificate);
  const issued = { ...certificate, notAfter: '2026-06-01T00:00:00Z' };
  const Certificate = {
    kind: 'Certificate',
    metadata: { name: 'relay-internal' },
    status: { notAfter: issued.notAfter, revision: 2 },
  };
  const whoIsTouched = (nextInternalCertificate: PodStatus['nextInternalCertificate']) => {
    const report = podReport(inside, { internalCertificate: certificate, nextInternalCertificate });
    const objects = new Map([['Certificate/relay-internal', Certificate]]);
    return touched({ relay: inside, objects, pods: [podView('relay-0', report)] });
  };
  assert.deepEqual(whoIsTouched(null), ['relay-0']);
  assert.deepEqual(whoIsTouched({ ...issued, authority: 'pem', follows: null }), ['relay-0']);
  assert.deepEqual(whoIsTouched({ ...issued, authority: 'pem', follows: '2026-01-01T00:02:00Z' }), []);
});

test('a pod that serves the second Certificate of a roll-over is touched when that is renewed, and for no other', () => {
  const tls = { secretName: 'two', issuerRef: { name: 'ca' } };
  const rolled = relayObject({ tls, dns: { tlsa: true } });
  const { certificate } = podReport(rolled);
  const issue = (name: string, secretName: string, notAfter: string | undefined) => ({
    kind: 'Certificate',
    metadata: { name },
    spec: { secretName },
    status: { notAfter, revision: 2 },
  });
  const second = objectNames.secondCertificate('relay', 'two');
  const whoIsTouched = (renewed: string | undefined) => {
    const live = [issue(second, 'two', renewed), issue('relay', 'three', '2031-01-01T00:00:00Z')];
    const objects = new Map(live.map((one) => [`Certificate/${one.metadata.name}`, one]));
    return touched({ relay: rolled, objects, pods: [podView('relay-0', podReport(rolled))] });
  };
  assert.deepEqual(whoIsTouched(certificate?.notAfter), []);
  assert.deepEqual(whoIsTouched('2030-01-01T00:00:00Z'), ['relay-0']);
});

test('a clock that is set back costs no touch', () => {
  const refresher = new Refresher();
  const planAt = (now: number) => {
    const { touches, lookAgainMs } = refresher.plan(
      settledWorld({ relay, now, pods: [pod('relay-1', HANDING_OVER)] }),
    );
    return [touches.map(({ value }) => value.split('.').at(-1)), lookAgainMs];
  };
  assert.deepEqual(planAt(3_600_000), [['0'], 1_500]);
  assert.deepEqual(planAt(3_602_000), [['1'], 1_000]);
  assert.deepEqual(planAt(1_000), [['0'], 1_500]);
  assert.deepEqual(planAt(3_000), [['1'], 1_000]);
});

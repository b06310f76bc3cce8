/** The figures of a status that are in no condition. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import { renderStatus } from './status.ts';

const statusOf = (world: Parameters<typeof settledWorld>[0]) =>
  renderStatus({ ...settledWorld(world), obstacles: [] });

test('each client policy is a line: for whom, and what it changes; without any there is none', () => {
  const clientPolicies = [
    { networks: ['192.0.2.0/24', '198.51.100.7'], starttls: 'Required' },
    { networks: ['10.0.0.0/8'], minVersion: 'TLSv1' },
    { networks: ['2001:db8::/32'], starttls: 'Enabled', minVersion: 'TLSv1.3' },
  ];
  const inbound = { listeners: [{ name: 'smtp', port: 25 }], clientPolicies };
  assert.deepEqual(statusOf({ relay: relayObject({ inbound }) }).clientPolicies, [
    '192.0.2.0/24, 198.51.100.7: starttls Required',
    '10.0.0.0/8: minVersion TLSv1',
    '2001:db8::/32: starttls Enabled, minVersion TLSv1.3',
  ]);
  assert.equal(statusOf({}).clientPolicies, undefined);
});

test('clients that sent in plain text are counted over the pods, coarsely, and not before a pod has said so', () => {
  const relay = relayObject();
  const counted = (...counts: number[]) =>
    statusOf({
      pods: counts.map((plaintextClients, n) => {
        const { sessions } = podReport(relay);
        return podView(`relay-${n}`, podReport(relay, { sessions: { ...sessions, plaintextClients } }));
      }),
    }).plaintextClients;
  assert.equal(counted(0, 0), 0);
  assert.equal(counted(2, 40), 42);
  assert.equal(counted(1_200, 34), 1_200);
  assert.equal(statusOf({ pods: [podView('relay-0', undefined)] }).plaintextClients, undefined);
  // Required refuses some of these clients by now.
  const sessions = { ...podReport(relay).sessions, plaintextClients: 2, plaintextRefusedClients: 3 };
  assert.equal(statusOf({ pods: [podView('relay-0', podReport(relay, { sessions }))] }).plaintextClients, 5);
});

test('the share of sessions in TLS is that of all pods together, and absent without sessions', () => {
  const relay = relayObject();
  const share = (...counts: [tlsSessions: number, plaintextSessions: number][]) =>
    statusOf({
      pods: counts.map(([tlsSessions, plaintextSessions], n) => {
        const sessions = { ...podReport(relay).sessions, tlsSessions, plaintextSessions };
        return podView(`relay-${n}`, podReport(relay, { sessions }));
      }),
    }).tlsShare;
  assert.equal(share([97, 3]), '97%');
  assert.equal(share([1, 0], [96, 3]), '97%');
  assert.equal(share([5, 0]), '100%');
  assert.equal(share([0, 5]), '0%');
  assert.equal(share([9_999, 1]), '99%');
  assert.equal(share([1, 9_999]), '1%');
  assert.equal(share([0, 0]), undefined);
  // An older relay does not count TLS sessions.
  assert.equal(statusOf({}).tlsShare, undefined);
});

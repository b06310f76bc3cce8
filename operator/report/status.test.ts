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

test('the protection of deliveries is that of all pods together, coarse, and ten destinations are named for each level', () => {
  const relay = relayObject();
  const share = (value: string, count: number) => ({ value, count });
  const waiting = (destination: string, hour = '10') => ({
    destination,
    cause: 'starttls-missing' as const,
    message: 'no STARTTLS',
    lastSeen: `2026-01-01T${hour}:00:00Z`,
  });
  const posture = (encrypted: number, plain: number, list: ReturnType<typeof waiting>[]) => ({
    deliveries: encrypted + plain,
    level: [share('Encrypt', encrypted), share('None', plain)],
    version: [share('TLSv1.3', encrypted), share('none', plain)],
    group: [share('X25519', encrypted), share('none', plain)],
    verifiedBy: [share('nothing', encrypted + plain)],
    fellBack: [share('no', encrypted), share('starttls-missing', plain)],
    wouldWait: [{ level: 'Encrypt' as const, destinations: list.length, list }],
  });
  const outboundOf = (...all: ReturnType<typeof posture>[]) =>
    statusOf({ pods: all.map((outbound, n) => podView(`relay-${n}`, podReport(relay, { outbound }))) })
      .outbound;
  const both = outboundOf(
    posture(1_000, 1, [waiting('a.example'), waiting('c.example', '09')]),
    posture(230, 3, [waiting('b.example', '11'), waiting('a.example', '08')]),
  );
  assert.deepEqual(both, {
    deliveries: 1_200,
    level: 'Encrypt 99%, None 1%',
    version: 'TLSv1.3 99%, none 1%',
    group: 'X25519 99%, none 1%',
    verifiedBy: 'nothing 100%',
    fellBack: 'no 99%, starttls-missing 1%',
    wouldWait: [
      {
        level: 'Encrypt',
        destinations: 3,
        latest: ['b.example: no STARTTLS', 'a.example: no STARTTLS', 'c.example: no STARTTLS'],
      },
    ],
  });
  const many = Array.from({ length: 10 }, (_, n) => waiting(`d${n}.example`));
  const [encrypt] = outboundOf(posture(0, 10, many), posture(0, 1, [waiting('e.example')]))?.wouldWait ?? [];
  assert.deepEqual([encrypt?.destinations, encrypt?.latest?.length], [10, 10]);
  const [none] = outboundOf(posture(1, 0, []))?.wouldWait ?? [];
  assert.deepEqual(none, { level: 'Encrypt', destinations: 0 });
  assert.equal(outboundOf(posture(0, 0, [])), undefined);
  // An older relay does not judge.
  assert.equal(statusOf({}).outbound, undefined);
});

test('who asks for fewer messages is a line each, over all pods, and ten at most', () => {
  const relay = relayObject();
  const slowedBy = (...slowed: { destination: string; pace: string; message: string }[]) =>
    podReport(relay, { queue: { ...podReport(relay).queue, slowed } });
  const big = { destination: 'provider big', pace: '1/4', message: '421 4.7.28 slow down' };
  const listed = (...reports: ReturnType<typeof slowedBy>[]) =>
    statusOf({ pods: reports.map((report, n) => podView(`relay-${n}`, report)) }).queue?.slowed;
  assert.deepEqual(listed(slowedBy(big), slowedBy(big)), [
    'provider big: 1/4 of its pace: 421 4.7.28 slow down',
  ]);
  assert.equal(listed(slowedBy()), undefined);
  const many = Array.from({ length: 16 }, (_, n) => ({ ...big, destination: `d${n}.example` }));
  assert.equal(listed(slowedBy(...many))?.length, 10);
});

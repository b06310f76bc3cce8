/** The findings of ConfigurationSound about clients that send in plain text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodStatus } from '#crds/podstatus.ts';
import { podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import { judge } from './chain.ts';

type Said = Partial<PodStatus['sessions']>;

const sender = (network: string, helo: string, hour = 10) => ({
  network,
  helo,
  lastSeen: `2026-01-01T${hour}:00:00Z`,
});
const REFUSED = { plaintextRefusedClients: 1, plaintextRefused: [sender('192.0.2.0/24', 'old.example')] };
const SEEN = { plaintextClients: 1, plaintext: [sender('198.51.100.0/24', 'lamp.example')] };

function soundness(inbound: object, ...said: Said[]) {
  const relay = relayObject({
    inbound: { listeners: [{ name: 'smtp', port: 25 }], clients: { networks: ['10.0.0.0/8'] }, ...inbound },
  });
  const pods = [0, 1].map((n) => {
    const sessions = { ...podReport(relay).sessions, ...(said[n] ?? {}) };
    return podView(`relay-${n}`, podReport(relay, { sessions }));
  });
  const { status, reason, message } = judge({ ...settledWorld({ relay, pods }), obstacles: [] })
    .ConfigurationSound ?? { status: '', reason: '', message: '' };
  return { told: `${status} ${reason}`, message };
}

const exempt = (starttls: string) => ({ clientPolicies: [{ networks: ['10.0.0.0/8'], starttls }] });

for (const [what, inbound, said, told] of [
  ['Required refused a known client', { starttls: 'Required' }, REFUSED, 'False PlaintextClientsRefused'],
  ['a client policy did', exempt('Required'), REFUSED, 'False PlaintextClientsRefused'],
  [
    'Required refused one and Enabled took another',
    exempt('Required'),
    { ...REFUSED, ...SEEN },
    'False PlaintextClientsRefused',
  ],
  ['Required was taken back', { starttls: 'Enabled' }, REFUSED, 'True NothingToNote'],
  ['Enabled took a client', {}, SEEN, 'True PlaintextClientsSeen'],
  ['Required took it before it was Required', { starttls: 'Required' }, SEEN, 'True NothingToNote'],
  [
    'a client policy lets clients be',
    { starttls: 'Required', ...exempt('Enabled') },
    SEEN,
    'True PlaintextClientsSeen',
  ],
  ['TLS is off', { starttls: 'Disabled' }, SEEN, 'True NothingToNote'],
  ['nobody came in plain text', {}, {}, 'True NothingToNote'],
] as const)
  test(`when ${what}: ${told}`, () => assert.equal(soundness(inbound, {}, said).told, told));

test('the message says how many, names three of them, the latest first, and the cure', () => {
  const many = {
    plaintextRefusedClients: 5,
    plaintextRefused: [
      sender('192.0.2.0/24', 'a.example', 12),
      sender('192.0.2.0/24', 'b.example', 14),
      sender('198.51.100.0/24', '', 13),
      sender('203.0.113.0/24', 'd.example', 11),
    ],
  };
  assert.equal(
    soundness({ starttls: 'Required' }, many, REFUSED).message,
    'starttls: Required refused 5 clients (192.0.2.0/24 as b.example, 198.51.100.0/24 and 192.0.2.0/24 as a.example), which sent in plain text before: let them use STARTTLS, or give their networks starttls: Enabled in inbound.clientPolicies',
  );
});

test('a client that was at both pods is one', () => {
  assert.equal(
    soundness({}, SEEN, SEEN).message,
    '1 client (198.51.100.0/24 as lamp.example) sent in plain text in the last seven days: let it use STARTTLS before you set starttls: Required',
  );
});

test('a name that a client made up is one line of a length that can be read', () => {
  const helo = `a\r\nb${'x'.repeat(250)}`;
  const { message } = soundness({}, { plaintextClients: 1, plaintext: [sender('192.0.2.0/24', helo)] });
  assert.doesNotMatch(message, /[\r\n]/);
  assert.ok(message.length < 300, message);
});

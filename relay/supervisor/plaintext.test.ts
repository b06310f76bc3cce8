import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PlaintextClients } from './plaintext.ts';

const HOUR = 3_600_000;

test('PlaintextClients counts distinct clients of the last day', () => {
  let now = 0;
  const clients = new PlaintextClients(() => now);
  clients.saw('a', 'x');
  now = 12 * HOUR;
  clients.saw('b', 'x');
  clients.saw('a', 'x');
  clients.saw('a', 'x');
  assert.equal(clients.count, 2);
  now = 30 * HOUR;
  clients.saw('c', 'x');
  assert.equal(clients.count, 3);
  now = 36 * HOUR;
  assert.equal(clients.count, 1);
  now = 54 * HOUR;
  assert.equal(clients.count, 0);
});

test('who would be refused is listed by network and name for a week, the latest first, and bounded', () => {
  let now = Date.UTC(2026, 0, 1, 10, 30);
  const clients = new PlaintextClients(() => now);
  clients.saw('192.0.2.7', 'old.example');
  clients.saw('192.0.2.8', 'old.example');
  now += HOUR;
  clients.saw('2001:db8:1:2:3::4', 'six.example');
  assert.deepEqual(clients.list, [
    { network: '2001:db8:1:2::/64', helo: 'six.example', lastSeen: '2026-01-01T11:00:00Z' },
    { network: '192.0.2.0/24', helo: 'old.example', lastSeen: '2026-01-01T10:00:00Z' },
  ]);
  for (let name = 0; name < 2_000; name++) clients.saw('198.51.100.1', `host${name}.example`);
  assert.equal(clients.list.length, 50);
  now += 8 * 24 * HOUR;
  assert.deepEqual(clients.list, []);
});

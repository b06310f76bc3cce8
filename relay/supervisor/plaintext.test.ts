import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PlaintextClients } from './plaintext.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

test('clients are counted once, for a week after their last message', () => {
  let now = 0;
  const clients = new PlaintextClients(() => now);
  clients.saw('a', 'x');
  now = 3 * DAY;
  clients.saw('b', 'x');
  clients.saw('a', 'x');
  clients.saw('a', 'x');
  assert.equal(clients.count, 2);
  now = 8 * DAY;
  clients.saw('c', 'x');
  assert.equal(clients.count, 3);
  now = 10 * DAY;
  assert.equal(clients.count, 1);
  now = 15 * DAY;
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
  now += 8 * DAY;
  assert.deepEqual(clients.list, []);
});

test('what was seen outlives a restart, and a text that cannot be read is none', () => {
  let now = 0;
  const before = new PlaintextClients(() => now);
  assert.equal(before.news(), undefined);
  before.saw('192.0.2.7', 'old.example');
  const text = before.news();
  assert.equal(before.news(), undefined);
  now = 6 * DAY;
  const after = new PlaintextClients(() => now, text);
  assert.equal(after.count, 1);
  assert.deepEqual(after.list, before.list);
  now = 7 * DAY;
  assert.equal(after.count, 0);
  for (const broken of ['', '{', '{"clients":[["a"]]}'])
    assert.equal(new PlaintextClients(() => now, broken).count, 0);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PlaintextClients } from './plaintext.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

test('clients are counted once, for a week after their last message', () => {
  let now = 0;
  const clients = new PlaintextClients(() => now);
  clients.saw('a', 'x', false);
  now = 3 * DAY;
  clients.saw('b', 'x', false);
  clients.saw('a', 'x', false);
  clients.saw('a', 'x', false);
  assert.equal(clients.taken.clients, 2);
  now = 8 * DAY;
  clients.saw('c', 'x', false);
  assert.equal(clients.taken.clients, 3);
  now = 10 * DAY;
  assert.equal(clients.taken.clients, 1);
  now = 15 * DAY;
  assert.equal(clients.taken.clients, 0);
});

test('who would be refused is listed by network and name for a week, the latest first, and bounded', () => {
  let now = Date.UTC(2026, 0, 1, 10, 30);
  const clients = new PlaintextClients(() => now);
  clients.saw('192.0.2.7', 'old.example', false);
  clients.saw('192.0.2.8', 'old.example', false);
  now += HOUR;
  clients.saw('2001:db8:1:2:3::4', 'six.example', false);
  assert.deepEqual(clients.taken.list, [
    { network: '2001:db8:1:2::/64', helo: 'six.example', lastSeen: '2026-01-01T11:00:00Z' },
    { network: '192.0.2.0/24', helo: 'old.example', lastSeen: '2026-01-01T10:00:00Z' },
  ]);
  for (let name = 0; name < 2_000; name++) clients.saw('198.51.100.1', `host${name}.example`, false);
  assert.equal(clients.taken.list.length, 50);
  now += 8 * DAY;
  assert.deepEqual(clients.taken.list, []);
});

test('what was seen outlives a restart, and a text that cannot be read is none', () => {
  let now = 0;
  const before = new PlaintextClients(() => now);
  assert.equal(before.news(), undefined);
  before.saw('192.0.2.7', 'old.example', false);
  const text = before.news();
  assert.equal(before.news(), undefined);
  now = 6 * DAY;
  const after = new PlaintextClients(() => now, text);
  assert.equal(after.taken.clients, 1);
  assert.deepEqual(after.taken.list, before.taken.list);
  now = 7 * DAY;
  assert.equal(after.taken.clients, 0);
  for (const broken of ['', '{', '{"clients":[["a"]]}'])
    assert.equal(new PlaintextClients(() => now, broken).taken.clients, 0);
});

test('a client that Required refuses is listed as refused, and no longer as one that it would refuse', () => {
  let now = DAY;
  const clients = new PlaintextClients(() => now);
  clients.saw('192.0.2.7', 'old.example', false);
  clients.saw('198.51.100.1', 'other.example', false);
  now += HOUR;
  clients.saw('192.0.2.7', 'old.example', true);
  const networks = () =>
    [clients.taken, clients.refused].map(({ clients: count, list }) => [
      count,
      ...list.map(({ network }) => network),
    ]);
  assert.deepEqual(networks(), [
    [1, '198.51.100.0/24'],
    [1, '192.0.2.0/24'],
  ]);
  const after = new PlaintextClients(() => now, clients.news());
  assert.deepEqual([after.taken, after.refused], [clients.taken, clients.refused]);
  now += HOUR;
  clients.saw('192.0.2.7', 'old.example', false);
  assert.deepEqual(networks(), [[2, '192.0.2.0/24', '198.51.100.0/24'], [0]]);
});

test('accepted and refused within one millisecond is refused', () => {
  const clients = new PlaintextClients(() => 0);
  clients.saw('192.0.2.7', 'old.example', false);
  clients.saw('192.0.2.7', 'old.example', true);
  assert.deepEqual([clients.taken.clients, clients.refused.clients], [0, 1]);
});

test('a refused client counts only if its mail was taken in the seven days before, and for seven days', () => {
  let now = 0;
  const clients = new PlaintextClients(() => now);
  clients.saw('203.0.113.9', 'stranger.example', true);
  assert.deepEqual(clients.refused, { clients: 0, list: [] });
  assert.equal(clients.news(), undefined);
  clients.saw('192.0.2.7', 'old.example', false);
  now = 6 * DAY;
  // Another address of its network, by the same name: a device after a new lease.
  clients.saw('192.0.2.8', 'old.example', true);
  assert.equal(clients.refused.clients, 1);
  now = 8 * DAY;
  clients.saw('192.0.2.8', 'old.example', true);
  assert.equal(clients.refused.clients, 1);
  now = 13 * DAY;
  assert.deepEqual(clients.refused, { clients: 0, list: [] });
});

test('the text of an older relay is read, which kept no refused clients', () => {
  const text = JSON.stringify({ clients: [['192.0.2.7', 1]], senders: [['192.0.2.0/24 old.example', 1]] });
  const clients = new PlaintextClients(() => 2, text);
  assert.deepEqual([clients.taken.clients, clients.refused.clients], [1, 0]);
});

test('many names and many addresses of one network push no other client out', () => {
  let now = Date.UTC(2026, 0, 1);
  const clients = new PlaintextClients(() => (now += 1));
  clients.saw('192.0.2.7', 'printer.example', false);
  clients.saw('192.0.2.8', 'scanner.example', false);
  for (let n = 0; n < 20_000; n++) clients.saw(`2001:db8:1:2::${n.toString(16)}`, `host${n}.example`, false);
  const { clients: count, list } = clients.taken;
  assert.equal(count, 502);
  assert.deepEqual([list.length, list[0]?.helo], [50, 'host19999.example']);
  const helos = list.map(({ helo }) => helo);
  assert.ok(helos.includes('printer.example') && helos.includes('scanner.example'));
  assert.deepEqual(new PlaintextClients(() => now, clients.news()).taken.list, list);
});

test('a name is dropped from what was taken and from what was refused at the same time', () => {
  let now = Date.UTC(2026, 0, 1);
  const clients = new PlaintextClients(() => (now += 1000));
  for (let n = 0; n < 60; n++) clients.saw(`192.0.2.${n + 1}`, `dev${n}`, false);
  for (let n = 0; n < 120; n++) {
    const device = (n + 10) % 60;
    clients.saw(`192.0.2.${device + 1}`, `dev${device}`, true);
  }
  const { taken, refused } = clients;
  assert.deepEqual([taken.clients, taken.list], [0, []]);
  assert.deepEqual([refused.clients, refused.list.length], [60, 50]);
  const after = new PlaintextClients(() => now, clients.news());
  assert.deepEqual([after.taken, after.refused], [taken, refused]);
});

test('a new address costs no search, also where the share of its network is full', () => {
  let now = Date.UTC(2026, 0, 1);
  const clients = new PlaintextClients(() => (now += 1));
  for (let n = 0; n < 9_500; n++) clients.saw(`2001:db8:${n.toString(16)}::1`, 'x', false);
  for (let n = 0; n < 500; n++) clients.saw(`2001:db7::${n.toString(16)}`, 'x', false);
  const began = performance.now();
  for (let n = 0; n < 1_000; n++) clients.saw(`2001:db7::1:${n.toString(16)}`, 'x', false);
  // A search would take 10 s and more.
  assert.ok(performance.now() - began < 3_000, `${performance.now() - began} ms`);
  assert.equal(clients.taken.clients, 10_000);
});

test('after a step of the clock back a time that is still to come counts as now, and ends after a week', () => {
  let now = 400 * DAY;
  const clients = new PlaintextClients(() => now);
  clients.saw('192.0.2.7', 'old.example', false);
  const text = clients.news();
  now = HOUR;
  for (const each of [clients, new PlaintextClients(() => now, text)]) {
    now = HOUR;
    assert.deepEqual([each.taken.clients, each.taken.list[0]?.lastSeen], [1, '1970-01-01T01:00:00Z']);
    each.saw('192.0.2.8', 'other.example', false);
    now += 8 * DAY;
    assert.deepEqual([each.taken.clients, each.taken.list], [0, []]);
  }
});

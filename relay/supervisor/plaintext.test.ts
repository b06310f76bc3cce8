import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PlaintextClients } from './plaintext.ts';

const HOUR = 3_600_000;

test('PlaintextClients counts distinct clients of the last day', () => {
  let now = 0;
  const clients = new PlaintextClients(() => now);
  clients.saw('a');
  now = 12 * HOUR;
  clients.saw('b');
  clients.saw('a');
  clients.saw('a');
  assert.equal(clients.count, 2);
  now = 30 * HOUR;
  clients.saw('c');
  assert.equal(clients.count, 3);
  now = 36 * HOUR;
  assert.equal(clients.count, 1);
  now = 54 * HOUR;
  assert.equal(clients.count, 0);
});

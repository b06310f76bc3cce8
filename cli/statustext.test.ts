import assert from 'node:assert/strict';
import { test } from 'node:test';
import { podReport, relayObject } from '#test/fixtures/world.ts';
import { describeStatus } from './statustext.ts';

const report = podReport(relayObject());
const told = (sessions: object) =>
  describeStatus({ ...report, sessions: { ...report.sessions, ...sessions } }, Date.UTC(2026, 0, 2));
const sender = (helo: string) => ({ network: '192.0.2.0/24', helo, lastSeen: '2026-01-01T10:00:00Z' });

test('the status tells clients that Required refused apart from those that it would refuse', () => {
  const text = told({
    plaintextClients: 2,
    plaintext: [sender('lamp.example')],
    plaintextRefusedClients: 1,
    plaintextRefused: [sender('old.example')],
  });
  assert.match(
    text,
    /1 client in the last 7 days, taken before; Required refused:\n +192\.0\.2\.0\/24 {2}old\.example/,
  );
  assert.match(
    text,
    /2 clients in the last 7 days; Required would have refused:\n +192\.0\.2\.0\/24 {2}lamp\.example/,
  );
  assert.doesNotMatch(told({}), /Required refused/);
});

test('the status tells the share of sessions in TLS, and none without sessions', () => {
  assert.match(
    told({ tlsSessions: 3, plaintextSessions: 1 }),
    /^sessions +0 open, 75% in TLS since the start$/m,
  );
  assert.match(told({}), /^sessions +0 open$/m);
});

test('a refused client is told with what would let it in; a reason of a newer relay without', () => {
  const refusal = (reason: string) => ({ reason, count: 1, lastSeen: '2026-01-01T10:00:00Z' });
  const text = told({ refusals: [refusal('too_large'), refusal('unheard_of')] });
  assert.match(
    text,
    /^ +too_large {2}once, last at \S+\n +raise inbound\.limits\.messageSize\n +unheard_of/m,
  );
});

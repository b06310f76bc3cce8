import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  joinSessions,
  MOST_SESSIONS,
  NO_SESSIONS,
  type OutboundSession,
  parseOpenSessions,
} from './sessions.ts';

const session = (second: number): OutboundSession => ({
  hop: 'mx.example:25',
  since: new Date(Date.UTC(2026, 0, 1) + second * 1000).toISOString(),
  tls: null,
  state: 'idle',
  messages: 1,
});
const odd = Array.from({ length: MOST_SESSIONS }, (_, index) => session(2 * index + 1));
const even = Array.from({ length: MOST_SESSIONS }, (_, index) => session(2 * index));

test('of several processes the oldest sessions are kept, and all others counted', () => {
  const joined = joinSessions([
    { ...NO_SESSIONS, outbound: odd, moreOutbound: 7 },
    { ...NO_SESSIONS, outbound: even, moreOutbound: 5 },
  ]);
  assert.deepEqual(
    joined.outbound,
    Array.from({ length: MOST_SESSIONS }, (_, index) => session(index)),
  );
  assert.equal(joined.moreOutbound, 7 + 5 + MOST_SESSIONS);
  assert.equal(joined.silentProcesses, 0);
});

test('a process that did not answer is counted', () => {
  const joined = joinSessions([{ ...NO_SESSIONS, outbound: [session(1)] }, undefined]);
  assert.deepEqual([joined.outbound.length, joined.silentProcesses], [1, 1]);
});

test('fields of a newer relay are passed over, and other texts are no sessions', () => {
  const joined = joinSessions([{ ...NO_SESSIONS, outbound: [session(1)] }]);
  const text = JSON.stringify({ ...joined, newer: true });
  assert.deepEqual(parseOpenSessions(text), joined);
  for (const other of ['', '{}', 'try /healthz, /readyz, /status or /metrics\n', '[]', 'null'])
    assert.equal(parseOpenSessions(other), undefined);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hopTo } from '#test/kit/relayrig.ts';
import { HopSessions } from './hopsessions.ts';

test('a next hop is told with its port, an address of IPv6 in brackets', () => {
  for (const [host, shown] of [
    ['mx.example.com', 'mx.example.com:25'],
    ['192.0.2.7', '192.0.2.7:25'],
    ['2001:db8::25', '[2001:db8::25]:25'],
  ] as const) {
    const sessions = new HopSessions();
    void sessions.add(hopTo(25, { host }), { opened: new Promise(() => undefined), abort: () => undefined });
    assert.deepEqual(
      sessions.list().map(({ describe }) => describe().hop),
      [shown],
    );
  }
});

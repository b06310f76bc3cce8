/** What the tests stand on (test/kit): faults of it show once in fifty runs, in any test. */
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { AuditLog } from '#test/cluster/audit.ts';

const PORTS = new URL('../kit/ports.ts', import.meta.url).href;

const isLinux = process.platform === 'linux';

test('a port that was given away is given to nobody else before it is bound', {
  skip: !isLinux,
}, async () => {
  const [one, other] = (await Promise.all(['one', 'other'].map((copy) => import(`${PORTS}?${copy}`)))) as {
    freePort(): Promise<number>;
  }[];
  const given = [];
  for (let count = 0; count < 5; count++) given.push(await one?.freePort(), await other?.freePort());
  assert.equal(new Set(given).size, given.length, given.join());
});

test('a call that waits for its answer is known, and counts when it is answered', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'mailrelay-audit-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = join(dir, 'audit.log');
  const entry = (stage: string) => {
    const user = { username: 'operator' };
    const times = {
      requestReceivedTimestamp: '2026-01-01T00:00:00Z',
      stageTimestamp: '2026-01-01T00:00:05Z',
    };
    const call = { verb: 'patch', requestURI: '/x', objectRef: { resource: 'configmaps' } };
    appendFileSync(file, `${JSON.stringify({ auditID: 'a', stage, user, ...times, ...call })}\n`);
  };
  const log = new AuditLog(file, 'operator');
  entry('RequestReceived');
  assert.deepEqual([log.pending().length, log.calls(0)], [1, []]);
  entry('ResponseComplete');
  assert.deepEqual([log.pending(), log.calls(0).map(({ ms }) => ms)], [[], [5_000]]);
});

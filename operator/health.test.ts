import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePort } from '#test/kit/ports.ts';
import { startHealth } from './health.ts';

test('answers by path whatever the query, and outlives metrics that cannot be had', async (t) => {
  const port = await freePort();
  let metrics = async () => 'mailrelay_operator_leader 1\n';
  const server = await startHealth(port, {
    trouble: () => 'the caches are not complete yet',
    metrics: () => metrics(),
  });
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const ask = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return `${response.status} ${await response.text()}`;
  };
  assert.equal(await ask('/metrics?debug=1'), '200 mailrelay_operator_leader 1\n');
  assert.equal(await ask('/healthz'), '200 ok\n');
  assert.equal(await ask('/readyz'), '503 the caches are not complete yet\n');
  assert.match(await ask('/other'), /^404 /);
  metrics = async () => {
    throw new Error('no figures');
  };
  assert.equal(await ask('/metrics'), '500 no figures\n');
  assert.equal(await ask('/healthz'), '200 ok\n');
});

/** At rest the operator sends no requests to the API server except its watches and its Lease. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Plane, plane } from './plane.ts';
import { Pods } from './pods.ts';
import { Operator } from './process.ts';
import { makeRelays, settled, whenQuiet } from './relays.ts';

const RELAYS = process.env['MAILRELAY_SOAK'] ? 200 : 30;
/** The full test lasts ten minutes. */
const REST_MS = process.env['MAILRELAY_SOAK'] ? 600_000 : 10_000;

describe('the operator at rest', { concurrency: false }, () => {
  let api: Plane;
  let pods: Pods;
  let operator: Operator;

  before(async () => {
    api = await plane();
    pods = new Pods(api);
    await pods.start();
    operator = await Operator.start(api, { identity: 'rest' });
    await makeRelays(api, 'rest', RELAYS);
    await operator.leads();
    await settled(api, 'rest', RELAYS);
  });

  after(async () => {
    await operator.end('SIGTERM');
    await pods.stop();
  });

  test('asks nothing beside watches and the Lease', async () => {
    await whenQuiet(api, REST_MS);
    const isCounted = api.calls(Date.now() - REST_MS).some(({ resource }) => resource === 'leases');
    assert.ok(isCounted, 'nothing is counted');
  });
});

/**
 * The API server is away, etcd restarts, or connections lose all packets. Afterwards the operator is right again by
 * itself (a test restarts it if it ended, as a kubelet would), and has seen the changes that others made meanwhile. In
 * the full test each outage lasts two minutes, and the operator must be right again within thirty seconds.
 */
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { KubeObject, Request } from '#operator/kube/client.ts';
import { isKubeError } from '#operator/kube/errors.ts';
import { until } from '#test/kit/wait.ts';
import { type Plane, plane } from './plane.ts';
import { Pods } from './pods.ts';
import { Operator } from './process.ts';
import { putRelay, relayNamed, whenQuiet, whenSettled } from './relays.ts';
import { Wire } from './wire.ts';

const FULL = process.env['MAILRELAY_SOAK'] !== undefined;
/** In the small test shorter than the Lease, but long enough for an outage. */
const AWAY_MS = FULL ? 120_000 : 7_000;
const RIGHT_AGAIN_MS = 30_000;
const PATIENCE_MS = 180_000;
/** Longer than the 80 s after which a silent watch is replaced. */
const SILENCE_MS = 90_000;
const NAMESPACE = 'outage';

const lasts = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe('an absence', { concurrency: false }, () => {
  let api: Plane;
  let pods: Pods;
  let wire: Wire;
  let edits = 0;
  let stopped = false;
  let operator: Operator;

  before(async () => {
    api = await plane();
    pods = new Pods(api);
    await pods.start();
    await api.makeNamespace(NAMESPACE);
    wire = new Wire(api);
    const server = await wire.start();
    const run = async () => {
      operator = await Operator.start(api, { identity: 'outage', server });
      void operator.ended.then(() => (stopped ? undefined : run()));
    };
    await run();
    await edited();
    await whenQuiet(api);
  });
  after(async () => {
    stopped = true;
    await operator.end('SIGTERM');
    await wire.stop();
    await pods.stop();
  });

  async function edit(): Promise<void> {
    edits += 1;
    const limits = { recipients: 100 + edits };
    const listeners = [{ name: 'smtp', port: 25 }];
    await putRelay(api, relayNamed(NAMESPACE, 'relay', { inbound: { listeners, limits } }));
  }

  async function edited(): Promise<void> {
    await edit();
    await whenSettled(api, NAMESPACE, 'relay', PATIENCE_MS);
  }

  function told(context: TestContext, what: string, since: number): void {
    const tookMs = Date.now() - since;
    context.diagnostic(`${what} after ${tookMs} ms`);
    if (FULL) assert.ok(tookMs < RIGHT_AGAIN_MS, `${tookMs} ms`);
  }

  async function exists(get: Request): Promise<boolean> {
    try {
      await api.admin.request(get);
      return true;
    } catch (error) {
      if (isKubeError(error, 'notFound')) return false;
      throw error;
    }
  }

  /** Makes the first edit after the outage and waits for its effect. */
  async function isRightAgain(context: TestContext): Promise<void> {
    const since = Date.now();
    await edited();
    told(context, 'right again', since);
    await whenQuiet(api);
  }

  test('the API server is away', async (context) => {
    await api.takeAway('kube-apiserver');
    await lasts(AWAY_MS);
    await api.giveBack('kube-apiserver');
    await isRightAgain(context);
  });

  test('etcd is restarted', async (context) => {
    await api.takeAway('etcd');
    await lasts(FULL ? 10_000 : 1_000);
    await api.giveBack('etcd');
    await isRightAgain(context);
  });

  test('the network swallows everything, and what was open stays dead; others edit and delete meanwhile', async (context) => {
    const policy = {
      method: 'GET',
      path: `/api/v1/namespaces/${NAMESPACE}/configmaps/relay-policy`,
    } as const;
    const { metadata: before } = await api.admin.request<KubeObject>(policy);
    wire.swallow(true);
    await edit();
    await api.admin.request({ ...policy, method: 'DELETE' });
    await lasts(AWAY_MS);
    assert.equal(await exists(policy), false, 'it was not cut off');
    wire.swallow(false);
    const since = Date.now();
    await until('the deleted object', () => exists(policy), PATIENCE_MS);
    await whenSettled(api, NAMESPACE, 'relay', PATIENCE_MS);
    told(context, 'the edit and the deletion are seen', since);
    const { metadata, data } = await api.admin.request<KubeObject & { data: object }>(policy);
    assert.notEqual(metadata.uid, before.uid);
    assert.match(JSON.stringify(data), new RegExp(`recipients[^,]*${100 + edits}`));
    await isRightAgain(context);
  });

  test('it is ready when the caches are complete, and not before', async () => {
    let open = false;
    const late = new Wire(api, { faultOf: () => (open ? undefined : { kind: 'reset' }) });
    const server = await late.start();
    const other = await Operator.start(api, { identity: 'late', server });
    await until('its health', async () => (await other.health('/healthz')).status === 200, PATIENCE_MS);
    assert.equal((await other.health('/readyz')).status, 503);
    open = true;
    await until('it to be ready', async () => (await other.health('/readyz')).status === 200, PATIENCE_MS);
    await other.end('SIGTERM');
    await late.stop();
  });

  // This takes a minute and a half: only missing bookmarks show the fault, and they come once a minute.
  if (FULL) {
    test('only the watches fall silent', async (context) => {
      wire.silenceWatches();
      await lasts(SILENCE_MS);
      await isRightAgain(context);
    });
  }
});

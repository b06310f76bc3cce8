/** An answer that an admission webhook changed is accepted for some time, and then asked for again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MailRelayStatus } from '#crds/status.ts';
import { recordingDeps } from '#test/fixtures/deps.ts';
import { settledWorld } from '#test/fixtures/world.ts';
import { Answers } from './answers.ts';
import type { KubeObject, Request } from './kube/client.ts';
import { reconcile } from './reconcile.ts';
import { renderStatus } from './report/status.ts';

const MINUTE = 60_000;
const SERVICE = 'Service/relay';

/** A cluster whose webhook rewrites the Service at each write, until it is gone. */
class Cluster {
  webhook: ((writes: number) => string) | undefined;
  writes = 0;
  readonly #answers = new Answers();
  #world = settledWorld();

  constructor(webhook: (writes: number) => string) {
    this.webhook = webhook;
    const status = renderStatus({ ...this.#world, obstacles: [] }) as MailRelayStatus;
    this.#world = { ...this.#world, relay: { ...this.#world.relay, status } };
    const metadata = { ...this.live.metadata, uid: 'uid-of-this-service' };
    this.#store({ ...this.live, metadata, spec: { ...(this.live['spec'] as object), type: 'NodePort' } });
  }

  get live(): KubeObject {
    return this.#world.objects.get(SERVICE) as KubeObject;
  }

  /** One look at the relay, so many minutes after the first. Gives the minutes until it is looked at again. */
  async look(minutes: number): Promise<number | undefined> {
    const deps = recordingDeps((request) => this.#answer(request));
    const now = settledWorld().now + minutes * MINUTE;
    const { lookAgainMs } = await reconcile({ ...this.#world, now }, { ...deps, answers: this.#answers });
    return lookAgainMs === undefined ? undefined : lookAgainMs / MINUTE;
  }

  #answer({ method, path, body }: Request): unknown {
    if (method !== 'PATCH' || !path.endsWith('/services/relay')) return {};
    this.writes += 1;
    const { metadata, ...rest } = body as KubeObject;
    const type = this.webhook?.(this.writes);
    const spec = { ...(rest['spec'] as object), ...(type === undefined ? {} : { type }) };
    this.#store({ ...rest, metadata: { ...this.live.metadata, ...metadata }, spec });
    return this.live;
  }

  #store(object: KubeObject): void {
    this.#world = { ...this.#world, objects: new Map([...this.#world.objects, [SERVICE, object]]) };
  }
}

test('the answer of a webhook stands for ten minutes, and the relay is looked at again then', async () => {
  const cluster = new Cluster(() => 'LoadBalancer');
  assert.equal(await cluster.look(0), 10);
  assert.equal(await cluster.look(4), 6);
  assert.equal(cluster.writes, 1);
  assert.equal(await cluster.look(10), 10);
  assert.equal(cluster.writes, 2);
  await cluster.look(11);
  assert.equal(cluster.writes, 2);
});

test('an object is as wanted soon after the webhook that changed it is gone', async () => {
  const cluster = new Cluster(() => 'LoadBalancer');
  await cluster.look(0);
  assert.deepEqual((cluster.live['spec'] as { type: string }).type, 'LoadBalancer');
  cluster.webhook = undefined;
  assert.equal(await cluster.look(10), undefined);
  assert.deepEqual((cluster.live['spec'] as { type: string }).type, 'ClusterIP');
  await cluster.look(60);
  assert.equal(cluster.writes, 2);
});

test('a webhook that answers anew each time is asked less and less often', async () => {
  const cluster = new Cluster((writes) => `Kind${writes}`);
  const pauses: (number | undefined)[] = [];
  for (const minutes of [0, 10, 30, 70]) pauses.push(await cluster.look(minutes));
  assert.deepEqual(pauses, [10, 20, 40, 80]);
  assert.equal(cluster.writes, 4);
});

test('a clock that was set back does not make an answer stand for longer', async () => {
  const cluster = new Cluster(() => 'LoadBalancer');
  await cluster.look(0);
  assert.equal(await cluster.look(-600), 10);
});

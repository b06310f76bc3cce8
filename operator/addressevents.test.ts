/** Why a Service gets no address from outside: its events are read, and told where that is told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { liveObjects, relayObject, settledWorld } from '#test/fixtures/world.ts';
import { type KubeEvent, ReadEvents } from './complaints.ts';
import { judge } from './judge/chain.ts';
import type { KubeObject, Request } from './kube/client.ts';

test('a load balancer that gives no address is told with its warning, which is none of the pods', async () => {
  const pending = relayObject({ service: { type: 'LoadBalancer' } });
  const objects = liveObjects(pending);
  objects.set('Service/relay', { ...(objects.get('Service/relay') as KubeObject), status: {} });
  const world = settledWorld({ relay: pending, objects });
  const message = 'Failed to allocate IP for "mail/relay": no available IPs';
  const lastTimestamp = new Date(world.now - 60_000).toISOString();
  const told = async (items: readonly KubeEvent[]) => {
    const asked: unknown[] = [];
    const reader = {
      request: async <T>({ query }: Request) => {
        asked.push(query?.['fieldSelector']);
        return { items } as T;
      },
    };
    const { complaints } = await new ReadEvents(() => 0).complaints(reader, world);
    assert.deepEqual(asked, [
      'involvedObject.kind=Service,involvedObject.name=relay,involvedObject.uid=uid-of-Service',
    ]);
    return judge({ ...world, complaints, obstacles: [] });
  };
  const found = await told([
    { metadata: { name: 'e' }, type: 'Warning', reason: 'AllocationFailed', message, lastTimestamp },
  ]);
  assert.equal(
    found.ConfigurationSound?.message,
    `Service/relay has no address from outside yet: AllocationFailed: ${message}: mend what the message names, or set service.loadBalancerClass or another service.type`,
  );
  assert.deepEqual([found.Ready?.reason, found.Reconciling], ['Serving', undefined]);
  const silent = await told([]);
  assert.match(silent.ConfigurationSound?.message ?? '', /no address from outside yet: see its events, and/);
});

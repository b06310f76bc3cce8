/** A write that gets no answer in time, though the API server answers others, is a fault of this write, which the status tells. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MailRelayStatus } from '#crds/status.ts';
import { asksForRelay, isStatus, recordingDeps } from '#test/fixtures/deps.ts';
import { withStatus } from '#test/fixtures/withstatus.ts';
import { liveObjects, relayObject, settledWorld } from '#test/fixtures/world.ts';
import { ForbiddenWrites } from './forbidden.ts';
import type { KubeObject, Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { AllPaces } from './paces.ts';
import { reconcile } from './reconcile.ts';
import { ReconcileWriter } from './reconcilewriter.ts';

test('a write that fails alone is named in the status, with what may make it slow', async () => {
  const written: Request[] = [];
  const client = {
    request: async <T>(request: Request) => {
      if (asksForRelay(request)) return relayObject() as T;
      if (request.path.endsWith('/services/relay'))
        throw new KubeError(request.failsAlone ? 'failed' : 'unavailable', 'no answer in time');
      written.push(request);
      return request.body as T;
    },
  };
  const writer = new ReconcileWriter({
    client,
    caches: { learn: () => undefined, expectStatus: () => undefined },
    forbidden: new ForbiddenWrites(() => 0),
    paces: new AllPaces(() => 0).of('mail/relay', 3),
    mayWrite: () => true,
    onAnswer: () => undefined,
  });
  const objects = liveObjects(relayObject());
  objects.set('Service/relay', { ...(objects.get('Service/relay') as KubeObject), spec: {} });
  const world = withStatus(settledWorld({ objects }));
  const { failure } = await reconcile(world, { ...recordingDeps(), writer });
  assert.equal(failure?.kind, 'failed');
  const { status } = (written.find(isStatus)?.body ?? {}) as { status?: MailRelayStatus };
  assert.match(
    status?.message ?? '',
    /^WriteFailed: The API server fails at Service\/relay, which is tried again: no answer in time: see which admission webhook/,
  );
});

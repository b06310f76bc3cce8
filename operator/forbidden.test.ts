/** When the operator reports that RBAC forbids it to write. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ForbiddenWrites } from './forbidden.ts';
import type { Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';

const write = (path: string, method: Request['method'] = 'PATCH'): Request => ({ method, path });
const STATUS = write('/apis/mailrelay.dev/v1alpha1/namespaces/mail/mailrelays/relay/status');
const SERVICE = write('/api/v1/namespaces/mail/services/relay');
const forbidden = (message: string) => new KubeError('forbidden', message, 403);
const byRbac = forbidden(
  'services "relay" is forbidden: User "system:serviceaccount:s:m" cannot patch resource "services"',
);

test('what RBAC forbids counts, until a write of its kind succeeds, whatever else does', () => {
  const writes = new ForbiddenWrites(() => 0);
  assert.equal(writes.message, undefined);
  writes.failed(SERVICE, byRbac);
  writes.failed(STATUS, byRbac);
  assert.equal(writes.message, byRbac.message);
  writes.succeeded(write('/api/v1/namespaces/other/services/another'));
  assert.equal(writes.message, byRbac.message, 'the status is forbidden still');
  writes.succeeded(write('/apis/mailrelay.dev/v1alpha1/namespaces/mail/mailrelays/relay/status'));
  assert.equal(writes.message, undefined);
});

test('what is refused for its own sake does not', () => {
  const writes = new ForbiddenWrites(() => 0);
  for (const message of [
    'pods "x" is forbidden: exceeded quota: pods',
    'admission webhook "w" denied the request',
  ])
    writes.failed(SERVICE, forbidden(message));
  writes.failed(SERVICE, new KubeError('unavailable', 'reset'));
  writes.failed(
    SERVICE,
    forbidden('unable to create new content in namespace mail because it is being terminated'),
  );
  assert.equal(writes.message, undefined);
});

for (const kind of ['notFound', 'conflict'] as const) {
  test(`a write that ends with ${kind} was allowed`, () => {
    const writes = new ForbiddenWrites(() => 0);
    writes.failed(SERVICE, byRbac);
    writes.failed(STATUS, new KubeError(kind, 'no'));
    assert.equal(writes.message, byRbac.message, 'of another kind');
    writes.failed(SERVICE, new KubeError(kind, 'no'));
    assert.equal(writes.message, undefined);
  });
}

test('what nobody tries any more counts no longer, and what is tried on does', () => {
  let now = 0;
  const writes = new ForbiddenWrites(() => now);
  const minute = 60_000;
  writes.failed(SERVICE, byRbac);
  writes.failed(STATUS, forbidden(byRbac.message.replaceAll('services', 'mailrelays/status')));
  // The longest pause between two attempts at a write that is wanted.
  now = 4 * minute;
  assert.equal(writes.message, byRbac.message);
  writes.failed(STATUS, forbidden(byRbac.message.replaceAll('services', 'mailrelays/status')));
  now = 6 * minute;
  assert.match(writes.message ?? '', /mailrelays\/status/, 'the Service is wanted no more');
  now = 10 * minute;
  assert.equal(writes.message, undefined);
});

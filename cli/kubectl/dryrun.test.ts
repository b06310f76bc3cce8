/** What an API server is asked, by who has applied the MailRelay before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LiveRelay } from './cluster.ts';
import { planDryRun } from './dryrun.ts';

const ask = (metadata: object | undefined, spec: object) => {
  const live = metadata && ({ metadata, spec: {} } as unknown as LiveRelay);
  return planDryRun(live, { name: 'relay', namespace: 'mail', spec });
};
const noted = (spec: object) => ({
  annotations: { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify({ spec }) },
});

test('what was applied by kubectl and is in the manifest no more goes; what others have set stays', () => {
  const before = {
    hostname: 'a',
    trace: { level: 2 },
    queue: { history: '1d', size: 1 },
    list: [{ a: 1, b: 2 }],
  };
  const after = { hostname: 'b', queue: { size: 1 }, list: [{ a: 1 }], service: { type: 'NodePort' } };
  const { contentType, body, query } = ask(noted(before), after);
  assert.equal(contentType, 'application/merge-patch+json');
  assert.deepEqual(body, {
    spec: {
      trace: null,
      hostname: 'b',
      queue: { history: null, size: 1 },
      list: [{ a: 1 }],
      service: { type: 'NodePort' },
    },
  });
  assert.deepEqual(query, { dryRun: 'All' });
});

test('where somebody applies on the side of the server, the manifest is applied in that name', () => {
  const status = {
    manager: 'operator',
    operation: 'Apply',
    subresource: 'status',
    fieldsV1: { 'f:status': {} },
  };
  const labels = { manager: 'labeller', operation: 'Apply', fieldsV1: { 'f:metadata': {} } };
  const scaler = { manager: 'scaler', operation: 'Update', fieldsV1: { 'f:spec': {} } };
  const flux = { manager: 'kustomize-controller', operation: 'Apply', fieldsV1: { 'f:spec': {} } };
  const managerOf = (metadata: object | undefined) => ask(metadata, {}).query?.['fieldManager'];
  assert.equal(managerOf({ managedFields: [status, labels, scaler, flux] }), 'kustomize-controller');
  assert.equal(managerOf({ managedFields: [status, labels, scaler] }), 'kubectl');
  assert.equal(managerOf({}), 'kubectl');
  assert.equal(managerOf(undefined), 'kubectl');
  assert.equal(
    managerOf({ annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{' } }),
    'kubectl',
  );
  assert.deepEqual(ask(undefined, { hostname: 'a' }).body, {
    apiVersion: 'mailrelay.dev/v1alpha1',
    kind: 'MailRelay',
    metadata: { name: 'relay', namespace: 'mail' },
    spec: { hostname: 'a' },
  });
});

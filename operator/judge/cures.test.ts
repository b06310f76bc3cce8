/** Words of the API server, of controllers and of cert-manager, each with the cure that the message ends with. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import { KubeError } from '../kube/errors.ts';
import type { Obstacle } from '../world.ts';
import { judge } from './chain.ts';
import type { Judged } from './finding.ts';
import { findIssueCure } from './issuecures.ts';

const relay = relayObject();
const judged = (changes: Partial<Judged>) => judge({ obstacles: [], ...settledWorld(changes), ...changes });
const refused = (...obstacles: Obstacle[]) => judged({ obstacles });
const complained = (message: string) =>
  judged({
    pods: [podView('relay-0', podReport(relay))],
    complaints: [{ object: 'StatefulSet/relay', reason: 'FailedCreate', message }],
  }).Ready?.message ?? '';

const QUOTA =
  'pods "relay-1" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1';
const PRIORITY = 'pods "relay-1" is forbidden: no PriorityClass with name gold was found';

describe('warnings of controllers', () => {
  for (const [message, cure] of [
    [QUOTA, /: raise the quota of the namespace$/],
    [PRIORITY, /: create that PriorityClass, or correct pod\.priorityClassName$/],
    [
      'storageclass.storage.k8s.io "fast" not found',
      /: create that StorageClass, or make a second MailRelay with another queue\.storage\.className$/,
    ],
    [
      'failed to provision volume with StorageClass "fast": rpc error',
      /: mend the StorageClass or its provisioner$/,
    ],
    [
      // The class is there.
      'failed to provision volume with StorageClass "fast": rpc error: code = NotFound desc = pool "rbd" not found',
      /: mend the StorageClass or its provisioner$/,
    ],
    [
      'pods "relay-1" is forbidden: violates PodSecurity "restricted:latest": seccompProfile',
      /: change what the policy refuses, or the policy$/,
    ],
    [
      'error looking up service account mail/relay: serviceaccount "relay" not found',
      /: create that ServiceAccount again$/,
    ],
    [
      'no persistent volumes available for this claim and no storage class is set',
      /: make a StorageClass the default, or make a second MailRelay with queue\.storage\.className$/,
    ],
    [
      "Waiting for a volume to be created either by the external provisioner 'x' or manually",
      /: see whether that provisioner runs$/,
    ],
    [
      'Multi-Attach error for volume "pvc" Volume is already exclusively attached to one node',
      /until its pod there has ended; if "kubectl get node" shows the node as NotReady, bring the node back, or delete it if it is gone for good$/,
    ],
    ['MountVolume.SetUp failed for volume "policy" : configmap "relay-policy" not found', /: create it$/],
    ...['configmap', 'secret'].map(
      (kind) =>
        [
          `MountVolume.SetUp failed for volume "policy" : failed to sync ${kind} cache: timed out waiting for the condition`,
          /: the kubelet tries again by itself; if it goes on, see whether the node reaches the API server$/,
        ] as const,
    ),
    [
      'MountVolume.MountDevice failed for volume "pvc" : rpc error',
      /: mend the volume, or its driver on the node$/,
    ],
    [
      'Failed to create pod sandbox: rpc error: plugin type="calico" failed',
      /: mend the network plugin or the runtime of the node$/,
    ],
    ['Node is not ready', /: bring the node back, or delete it if it is gone for good$/],
    [
      'pods "relay-1" is forbidden: failed quota: compute: must specify limits.cpu for: relay; limits.memory for: relay',
      /: set these in pod\.resources .*, or give the namespace a LimitRange with defaults$/,
    ],
    [
      'pods "relay-1" is forbidden: minimum memory usage per Container is 512Mi, but request is 192Mi',
      /: change pod\.resources .*, or the LimitRange of the namespace$/,
    ],
    [
      'pods "relay-1" is forbidden: cpu max limit to request ratio per Container is 2, but provided ratio is 4.000000',
      /: change pod\.resources .*, or the LimitRange of the namespace$/,
    ],
    [
      'persistentvolumeclaims "spool-relay-1" is forbidden: maximum storage usage per PersistentVolumeClaim is 512Mi, but request is 1Gi',
      /: change queue\.storage\.size, or the LimitRange of the namespace$/,
    ],
    [
      'pods "relay-1" is forbidden: unable to validate against any security context constraint: [provider "restricted-v2": .spec.securityContext.fsGroup: Invalid value: 65532: 65532 is not an allowed group',
      /: set pod\.userIDs: Assigned, or openshift: true in the chart of the operator, /,
    ],
    [
      'Pod "relay-1" is invalid: spec.containers[0].resources.requests: Invalid value: "192Mi": must be less than or equal to memory limit of 128Mi',
      /: set limits in pod\.resources .*, or change the LimitRange of the namespace$/,
    ],
    [
      'create Pod relay-1 in StatefulSet relay failed error: pods "relay-1" is forbidden: unable to create new content in namespace mail because it is being terminated',
      /: the namespace is being deleted, and this MailRelay with it; if it stays, /,
    ],
    ['something that nobody knows', /: mend what the message names$/],
  ] as const)
    test(message, () => {
      assert.match(complained(message), /StatefulSet\/relay: FailedCreate: /);
      assert.match(complained(message), cure);
    });
});

describe('refusals of the API server', () => {
  const denied = (message: string) =>
    refused({ kind: 'denied', object: 'Service/relay', message }).Stalled?.message ?? '';
  const failed = (message: string) =>
    refused({ kind: 'failed', object: 'Service/relay', error: new KubeError('failed', message, 500) })
      .Reconciling?.message ?? '';

  test('a denied object', () => {
    assert.match(denied(QUOTA), /: raise the quota of the namespace$/);
    assert.match(denied('admission webhook "no.example" denied the request: no'), /, or the policy$/);
    const port = 'Service "relay" is invalid: spec.ports[0].nodePort: Invalid value: 30025:';
    assert.match(
      denied(`${port} provided port is already allocated`),
      /: set another nodePort for that listener, or remove the field$/,
    );
    const going = 'is forbidden: create not allowed while custom resource definition is terminating';
    assert.match(denied(going), /: wait until that CRD is gone, and install it again$/);
    const ending =
      'services "relay" is forbidden: unable to create new content in namespace mail because it is being terminated';
    assert.match(
      denied(ending),
      /: the namespace is being deleted, and this MailRelay with it; if it stays, /,
    );
    assert.match(denied('spec.ports: Required value'), /: correct the field that it names$/);
    const unknown =
      'failed to create typed patch object (mail/relay; v1, Kind=X): .spec.a: field not declared in schema';
    assert.match(denied(unknown), /: remove that field, or bring the CRD of this kind up to date$/);
    assert.match(
      denied(
        'Service "relay" is invalid: spec.loadBalancerClass: Invalid value: "b": may not change once set',
      ),
      /: set that field back, or delete the object, and the operator makes it again \(/,
    );
  });

  test('a write that fails', () => {
    const away = 'failed calling webhook "away.example": Post "https://away": connection refused';
    assert.match(failed(away), /: mend that webhook, or remove its configuration$/);
    assert.match(failed('etcdserver: no leader'), /etcdserver: no leader: see the log of the API server/);
  });
});

describe('words of cert-manager', () => {
  const asked = { field: 'tls.internal.issuerRef', issuer: 'ClusterIssuer ca' };
  const cure = (message: string, isFailed = false) =>
    findIssueCure({ message, isFailed, isReady: false, revision: '0', notAfter: undefined }, asked);

  test('a fault has a cure', () => {
    const absent = 'Referenced "ClusterIssuer" not found: clusterissuer.cert-manager.io "ca" not found';
    assert.equal(cure(absent, true), 'create ClusterIssuer ca, or correct tls.internal.issuerRef');
    for (const message of [
      'Referenced secret mail/ca-key not found: secret "ca-key" not found',
      'Required secret resource not found: secrets "vault-token" not found',
    ])
      assert.equal(cure(message, true), 'create the Secret that it names, or correct ClusterIssuer ca');
    const called =
      'Referenced "ClusterIssuer" not found: clusterissuer.cert-manager.io "my-secret" not found';
    assert.match(cure(called, true) ?? '', /^create ClusterIssuer ca/);
    assert.match(
      cure('Referenced issuer does not have a Ready status condition') ?? '',
      /^mend ClusterIssuer ca/,
    );
    assert.match(
      cure('The CertificateRequest was denied by an approval controller') ?? '',
      /^let the approver/,
    );
    assert.match(
      cure('Waiting on certificate issuance from order mail/relay-1: "pending"') ?? '',
      /see the challenges/,
    );
    assert.match(cure('the vault is sealed', true) ?? '', /ClusterIssuer ca$/);
  });

  test('work that goes on has none', () => {
    assert.equal(cure('Issuing certificate as Secret does not exist'), undefined);
  });
});

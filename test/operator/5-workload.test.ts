/**
 * The fields of a MailRelay about pods and Service, on a real API server: each field arrives, is removed again, leaves
 * the additions of others alone, and, if the API server refuses it, the status has the message of the API server.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { KubeObject } from '#operator/kube/client.ts';
import { isKubeError } from '#operator/kube/errors.ts';
import { apiPath, CERTIFICATE, MAIL_RELAY, OWNED, POD, STATEFUL_SET } from '#operator/kube/kinds.ts';
import { AFFINITY, POD_SAID, SAID, SERVICE_SAID } from '#test/fixtures/workloadsaid.ts';
import { until } from '#test/kit/wait.ts';
import { type Plane, plane } from './plane.ts';
import { Pods } from './pods.ts';
import { Operator } from './process.ts';
import { putRelay, relayNamed, whenQuiet, whenSettled } from './relays.ts';

const NAMESPACE = 'workload';
const SERVICE = OWNED.find(({ kind }) => kind === 'Service') ?? assert.fail();
const FOREIGN = 'cloud.example/id';

interface Template {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: Readonly<Record<string, unknown>> & {
    readonly containers: readonly { resources: unknown }[];
  };
}

describe('what a MailRelay says of its workload', { concurrency: false }, () => {
  let api: Plane;
  let pods: Pods;
  let operator: Operator;

  const get = (kind: typeof POD, name = 'relay') =>
    api.admin.request<KubeObject>({ method: 'GET', path: apiPath(kind, NAMESPACE, name) });
  const templateOf = (set: KubeObject) => (set['spec'] as { template: Template }).template;
  const put = (changes: Readonly<Record<string, unknown>>) =>
    putRelay(api, relayNamed(NAMESPACE, 'relay', changes));

  async function settledWith(changes: Readonly<Record<string, unknown>>): Promise<void> {
    await put(changes);
    await whenSettled(api, NAMESPACE, 'relay');
    await whenQuiet(api);
  }

  async function stalledWith(changes: Readonly<Record<string, unknown>>): Promise<string> {
    await put(changes);
    return until('a refusal', async () => {
      const { metadata, status } = await get(MAIL_RELAY);
      const { conditions = [] } = (status ?? {}) as {
        conditions?: { type: string; reason: string; message: string; observedGeneration: number }[];
      };
      return conditions.find(
        ({ type, reason, observedGeneration }) =>
          type === 'Stalled' && reason === 'Denied' && observedGeneration === metadata.generation,
      )?.message;
    });
  }

  before(async () => {
    api = await plane();
    pods = new Pods(api);
    await pods.start();
    operator = await Operator.start(api, { identity: 'workload' });
    await api.makeNamespace(NAMESPACE);
    await settledWith(SAID);
  });
  after(async () => {
    await operator.end('SIGTERM');
    await pods.stop();
  });

  test('all of it is on the StatefulSet and on the Service, and nothing is sent twice', async () => {
    const { metadata, spec } = templateOf(await get(STATEFUL_SET));
    assert.deepEqual(metadata.annotations, POD_SAID.annotations);
    assert.deepEqual(spec.containers[0]?.resources, {
      requests: { cpu: '500m', memory: '512Mi' },
      limits: { cpu: '2', memory: '1Gi' },
    });
    const { nodeSelector, tolerations, affinity, priorityClassName } = spec;
    assert.deepEqual(
      { nodeSelector, tolerations, affinity, priorityClassName },
      {
        nodeSelector: POD_SAID.nodeSelector,
        tolerations: POD_SAID.tolerations,
        affinity: { ...AFFINITY, nodeAffinity: {} },
        priorityClassName: 'mail',
      },
    );
    const service = await get(SERVICE);
    for (const [field, value] of Object.entries({ ...SERVICE_SAID, annotations: undefined }))
      if (value !== undefined)
        assert.deepEqual((service['spec'] as Record<string, unknown>)[field], value, field);
    const since = Date.now();
    await settledWith({ ...SAID, trace: { level: 1 } });
    const sent = api.calls(since).filter(({ kind }) => kind === 'write');
    assert.deepEqual(
      sent.filter(({ resource }) => resource === 'services' || resource === 'statefulsets'),
      [],
      'it differs from what is stored for ever',
    );
    assert.ok(
      sent.some(({ resource }) => resource === 'configmaps'),
      'it did not look',
    );
  });

  test('an annotation of the Service changes or goes, that of others stays, and no pod is touched', async () => {
    await settledWith(SAID);
    const set = await get(STATEFUL_SET);
    const pod = await get(POD, 'relay-0');
    await api.admin.request({
      method: 'PATCH',
      path: apiPath(SERVICE, NAMESPACE, 'relay'),
      contentType: 'application/merge-patch+json',
      body: { metadata: { annotations: { [FOREIGN]: '1' } } },
    });
    const annotations = { 'example.com/internal': 'false' };
    await settledWith({ ...SAID, service: { ...SERVICE_SAID, annotations } });
    const { annotations: all = {} } = (await get(SERVICE)).metadata;
    const found = Object.fromEntries(
      Object.entries(all).filter(([key]) => !key.startsWith('mailrelay.dev/')),
    );
    assert.deepEqual(found, { ...annotations, [FOREIGN]: '1' });
    assert.equal((await get(STATEFUL_SET)).metadata.generation, set.metadata.generation);
    assert.equal((await get(POD, 'relay-0')).metadata.resourceVersion, pod.metadata.resourceVersion);
  });

  test('an annotation of the pods goes from their template', async () => {
    const { annotations: _, ...rest } = POD_SAID;
    await settledWith({ ...SAID, pod: rest });
    assert.equal(templateOf(await get(STATEFUL_SET)).metadata.annotations, undefined);
  });

  const REFUSED: Readonly<Record<string, { changes: Readonly<Record<string, unknown>>; says: RegExp }>> = {
    'an affinity without the field that it needs': {
      changes: {
        pod: { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{}] } } },
      },
      says: /StatefulSet\/relay: .*topologyKey: Required value/,
    },
    'an affinity that Kubernetes does not know': {
      changes: { pod: { affinity: { nodeAfinity: {} } } },
      says: /StatefulSet\/relay: .*\.nodeAfinity: field not declared in schema/,
    },
    'a toleration with a key that is none': {
      changes: { pod: { tolerations: [{ operator: 'Exists', key: 'a'.repeat(64) }] } },
      says: /StatefulSet\/relay: .*tolerations\[0\]/,
    },
    'an annotation with a key that is none': {
      changes: { service: { annotations: { 'two words': 'x' } } },
      says: /Service\/relay: .*two words/,
    },
  };

  for (const [what, { changes, says }] of Object.entries(REFUSED)) {
    test(`${what} is Stalled in the words of the API server, and the pods stay as they are`, async () => {
      await settledWith({});
      const template = templateOf(await get(STATEFUL_SET));
      assert.match(await stalledWith(changes), says);
      assert.deepEqual(templateOf(await get(STATEFUL_SET)), template);
      await whenQuiet(api);
    });
  }

  test('another class of load balancer is refused, until the Service is deleted', async () => {
    await settledWith(SAID);
    const changes = { ...SAID, service: { ...SERVICE_SAID, loadBalancerClass: 'example.com/other' } };
    assert.match(await stalledWith(changes), /Service\/relay: .*loadBalancerClass.*may not change once set/);
    await api.admin.request({ method: 'DELETE', path: apiPath(SERVICE, NAMESPACE, 'relay') });
    await whenSettled(api, NAMESPACE, 'relay');
    const { loadBalancerClass } = (await get(SERVICE))['spec'] as { loadBalancerClass?: string };
    assert.equal(loadBalancerClass, 'example.com/other');
  });

  test('a size that was never granted can be taken back, and only a real shrink is refused', async () => {
    const fixed = {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      provisioner: 'mailrelay.test/none',
    };
    await api.put({ ...fixed, metadata: { name: 'fixed' } } as KubeObject, 'storageclasses');
    const storageOf = (size: string) => ({ queue: { storage: { size, className: 'fixed' } } });
    const name = 'sized';
    const state = async () => {
      const { metadata, status } = await get(MAIL_RELAY, name);
      const { conditions = [] } = (status ?? {}) as {
        conditions?: { type: string; reason: string; message: string; observedGeneration: number }[];
      };
      const stalled = conditions.find(({ type }) => type === 'Stalled');
      return stalled?.observedGeneration === metadata.generation ? stalled : undefined;
    };
    const putSize = (size: string) => putRelay(api, relayNamed(NAMESPACE, name, storageOf(size)));
    await putSize('10Gi');
    await whenSettled(api, NAMESPACE, name);
    const { metadata } = await get(STATEFUL_SET, name);
    await putSize('10Ti');
    assert.equal((await until('the class to refuse', state)).reason, 'Denied');
    await putSize('10Gi');
    await whenSettled(api, NAMESPACE, name);
    await putSize('5Gi');
    const stalled = await until('a refusal', state);
    assert.equal(stalled.reason, 'StorageCannotShrink');
    assert.match(stalled.message, /spool-sized-0.*: set 10Gi or more/);
    await whenQuiet(api);
    await putSize('10Gi');
    await whenSettled(api, NAMESPACE, name);
    assert.equal((await get(STATEFUL_SET, name)).metadata.uid, metadata.uid, 'it was made anew');
  });

  test('what is taken away goes back to its default, and the Service and its address outlive a pause of the listeners', async () => {
    const name = 'paused';
    const settledAs = async (changes: Readonly<Record<string, unknown>>) => {
      await putRelay(api, relayNamed(NAMESPACE, name, changes));
      await whenSettled(api, NAMESPACE, name);
    };
    const spec = async () => (await get(SERVICE, name))['spec'] as Record<string, unknown>;
    await settledAs({ service: { ipFamilyPolicy: 'PreferDualStack' } });
    assert.equal((await spec())['ipFamilyPolicy'], 'PreferDualStack');
    await settledAs({});
    const before = await spec();
    assert.equal(before['ipFamilyPolicy'], 'SingleStack');
    await settledAs({ inbound: { enabled: false, listeners: [{ name: 'smtp', port: 25 }] } });
    assert.deepEqual(await spec(), before);
  });

  test('two relays that name one Secret: the first fills it, the other says so, and nobody writes on', async () => {
    const tls = { secretName: 'shared', issuerRef: { name: 'ca' } };
    await putRelay(api, relayNamed(NAMESPACE, 'first', { tls }));
    await whenSettled(api, NAMESPACE, 'first');
    await putRelay(api, relayNamed(NAMESPACE, 'second', { tls }));
    const stalled = await until('the second to be told', async () => {
      const { status } = await get(MAIL_RELAY, 'second');
      const { conditions = [] } = (status ?? {}) as {
        conditions?: { type: string; reason: string; message: string }[];
      };
      return conditions.find(({ type }) => type === 'Stalled');
    });
    assert.equal(stalled.reason, 'NameTaken');
    assert.match(stalled.message, /^Secret\/shared is filled for MailRelay first already/);
    await whenQuiet(api);
    const certificates = await api.admin.request<{ items: KubeObject[] }>({
      method: 'GET',
      path: apiPath(CERTIFICATE, NAMESPACE),
    });
    const names = certificates.items.map(({ metadata }) => metadata.name);
    assert.deepEqual(
      names.filter((name) => ['first', 'second'].includes(name)),
      ['first'],
    );
  });

  test('a certificate for other names has a Certificate and a mount while the spec has it', async () => {
    const name = 'named';
    const hostnames = ['b.example', '*.b.example'];
    const settledAs = async (changes: Readonly<Record<string, unknown>>) => {
      await putRelay(api, relayNamed(NAMESPACE, name, { tls: { secretName: 'named-tls', ...changes } }));
      await whenSettled(api, NAMESPACE, name);
    };
    await settledAs({ certificates: [{ hostnames, issuerRef: { name: 'ca' } }] });
    const { secretName } = await until('the certificate in the status', async () => {
      const { status } = await get(MAIL_RELAY, name);
      return (status as { sniCertificates?: { secretName: string }[] }).sniCertificates?.[0];
    });
    const certificate = await get(CERTIFICATE, secretName);
    const { dnsNames } = certificate['spec'] as { dnsNames: string[] };
    assert.deepEqual(dnsNames, hostnames);
    assert.match(JSON.stringify(await get(STATEFUL_SET, name)), new RegExp(`"secretName":"${secretName}"`));
    await whenQuiet(api);
    await settledAs({});
    await until('the Certificate to go', () =>
      get(CERTIFICATE, secretName).then(
        () => false,
        (error) => isKubeError(error, 'notFound'),
      ),
    );
  });

  test('and when it is taken back, all is well', () => settledWith({}));
});

/**
 * Several operators on one API server. One of them manages each MailRelay, and at rest nobody writes. If two could
 * manage it, the first does and the other writes an event; classes choose; a person can move a MailRelay. Also cases of
 * a single operator: a namespace that is gone, a MailRelay that is deleted and created again at once, a webhook that
 * changes objects.
 */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, afterEach, before, describe, test } from 'node:test';
import type { MailRelayStatus } from '#crds/status.ts';
import type { KubeObject } from '#operator/kube/client.ts';
import { isKubeError } from '#operator/kube/errors.ts';
import { apiPath, type Kind, MAIL_RELAY, STATEFUL_SET } from '#operator/kube/kinds.ts';
import { makeAuthority } from '#test/kit/ca.ts';
import { until } from '#test/kit/wait.ts';
import { type Plane, plane } from './plane.ts';
import { Pods } from './pods.ts';
import { Operator } from './process.ts';
import { putRelay, relayNamed, whenQuiet, whenSettled } from './relays.ts';
import { eventsOf } from './snapshot.ts';
import { Wire } from './wire.ts';

const WEBHOOKS = 'mutatingwebhookconfigurations';
const REGISTRATION = 'admissionregistration.k8s.io/v1';

describe('several installations', { concurrency: false }, () => {
  let api: Plane;
  let pods: Pods;
  const operators: Operator[] = [];

  const start = async (release: string, ...args: string[]) => startAt(api.server, release, ...args);
  const startAt = async (server: string, release: string, ...args: string[]) => {
    const settings = ['--release', release, '--no-leader-election', ...args];
    const operator = await Operator.start(api, { identity: release, server, args: settings });
    operators.push(operator);
    await operator.leads();
    return operator;
  };
  const get = async (kind: Kind, namespace: string, name = 'relay') => {
    try {
      return await api.admin.request<KubeObject>({ method: 'GET', path: apiPath(kind, namespace, name) });
    } catch (error) {
      if (isKubeError(error, 'notFound')) return undefined;
      throw error;
    }
  };
  const status = async (namespace: string) =>
    ((await get(MAIL_RELAY, namespace))?.['status'] ?? {}) as MailRelayStatus;
  const annotate = (namespace: string, annotations: Record<string, string>) =>
    api.admin.request({
      method: 'PATCH',
      path: apiPath(MAIL_RELAY, namespace, 'relay'),
      contentType: 'application/merge-patch+json',
      body: { metadata: { annotations } },
    });
  const isHeldBy = (namespace: string, release: string) =>
    until(`${release} to look after it`, async () =>
      (await status(namespace)).installation?.endsWith(`/${release}`),
    );
  async function end(): Promise<void> {
    for (const operator of operators.splice(0)) await operator.end('SIGTERM');
  }

  before(async () => {
    api = await plane();
    pods = new Pods(api);
    await pods.start();
  });
  afterEach(end);
  after(() => pods.stop());

  test('of two default ones the first keeps a MailRelay, the other tells it, and at rest nobody writes', async () => {
    await start('one');
    await api.makeNamespace('twice');
    await putRelay(api, relayNamed('twice', 'relay'));
    await whenSettled(api, 'twice', 'relay');
    const two = await start('two');
    await until('it to be told', () => two.said('left_alone'));
    await putRelay(api, relayNamed('twice', 'relay', { replicas: 1 }));
    for (const name of ['at-once-1', 'at-once-2', 'at-once-3'])
      await putRelay(api, relayNamed('twice', name));
    for (const name of ['relay', 'at-once-1', 'at-once-2', 'at-once-3'])
      await whenSettled(api, 'twice', name);
    await whenQuiet(api, 5_000);
    assert.match((await status('twice')).installation ?? '', /\/one$/);
    const told = (await eventsOf(api, 'twice')).filter((event) => /OtherInstallation.*relay /.test(event));
    assert.ok(
      told.some((event) => event.includes('mailrelay.dev/installation=')),
      told.join(),
    );
    assert.equal(
      (await get(STATEFUL_SET, 'twice'))?.metadata.annotations?.['mailrelay.dev/installation'],
      'mailrelay-system/one',
    );
  });

  test('a person hands over by an annotation, and by the class', async () => {
    for (const release of ['one', 'two']) await start(release);
    await annotate('twice', { 'mailrelay.dev/installation': 'mailrelay-system/two' });
    await isHeldBy('twice', 'two');
    await end();
    await start('blue', '--class-name', 'blue', '--no-default-class');
    await start('green', '--class-name', 'green');
    await api.makeNamespace('classes');
    for (const className of ['blue', 'green', 'blue']) {
      await putRelay(api, relayNamed('classes', 'relay', { className }));
      await isHeldBy('classes', className);
      await whenSettled(api, 'classes', 'relay');
    }
    await whenQuiet(api);
  });

  test('a MailRelay that is deleted and made again at once is in progress, and never stalled', async () => {
    await start('one');
    await api.makeNamespace('again');
    await putRelay(api, relayNamed('again', 'relay'));
    const { metadata } = await whenSettled(api, 'again', 'relay');
    const seen = new Set<string>();
    await api.admin.request({ method: 'DELETE', path: apiPath(MAIL_RELAY, 'again', 'relay') });
    await until('it to be gone', async () => (await get(MAIL_RELAY, 'again'))?.metadata.uid !== metadata.uid);
    await putRelay(api, relayNamed('again', 'relay'));
    await until(
      'it to settle',
      async () => {
        const { conditions = [], observedGeneration } = await status('again');
        for (const { type, reason } of conditions) seen.add(`${type} ${reason}`);
        const is = (type: string) => conditions.find((condition) => condition.type === type)?.status;
        if (is('Ready') === 'True')
          assert.ok(await get(STATEFUL_SET, 'again'), 'it is ready without a StatefulSet');
        return observedGeneration && is('Ready') === 'True' && is('Reconciling') === undefined;
      },
      120_000,
    );
    assert.deepEqual(
      [...seen].filter((one) => one.startsWith('Stalled')),
      [],
    );
  });

  test('a namespace that is gone keeps the operator from no other, and is taken up when it is back', async (context) => {
    let isGone = true;
    const wire = new Wire(api, {
      faultOf: ({ uri }) =>
        isGone && uri.includes('/namespaces/gone/') ? { kind: 'answer', status: 403 } : undefined,
    });
    context.after(() => wire.stop());
    for (const namespace of ['here', 'gone']) {
      await api.makeNamespace(namespace);
      await putRelay(api, relayNamed(namespace, 'relay'));
    }
    const operator = await startAt(await wire.start(), 'one', '--namespaces', 'here,gone');
    await whenSettled(api, 'here', 'relay');
    const watched = async (namespace: string) =>
      new RegExp(`namespace_watched{namespace="${namespace}"} (\\d)`).exec(
        (await operator.health('/metrics')).text,
      )?.[1];
    assert.deepEqual([await watched('here'), await watched('gone')], ['1', '0']);
    assert.equal((await operator.health('/readyz')).status, 200);
    await until('the word that it is away', () => operator.said('namespace_away'));
    assert.equal(operator.log.filter(({ event }) => event === 'namespace_away').length, 1);
    isGone = false;
    await whenSettled(api, 'gone', 'relay');
    await until('it to be watched', async () => (await watched('gone')) === '1', 60_000);
    const back = await until('the word of it', () => operator.said('namespace_back'), 60_000);
    assert.equal(back['namespace'], 'gone');
  });

  test('a webhook that rewrites StatefulSets lets turns end, and gives no write at rest', async (context) => {
    const webhook = await mutatingWebhook('mutated');
    context.after(() => webhook.server.close());
    await api.makeNamespace('mutated');
    await api.put(webhook.configuration, WEBHOOKS);
    await start('one', '--rolling-relays', '1', '--relay-image', 'mailrelay.test/relay:1');
    for (const name of ['a', 'b', 'c']) await putRelay(api, relayNamed('mutated', name));
    for (const name of ['a', 'b', 'c']) await whenSettled(api, 'mutated', name);
    await end();
    await start('one', '--rolling-relays', '1', '--relay-image', 'mailrelay.test/relay:2');
    const imageOf = async (name: string) =>
      JSON.stringify((await get(STATEFUL_SET, 'mutated', name))?.['spec']);
    for (const name of ['a', 'b', 'c'])
      await until(`${name} to have its turn`, async () => (await imageOf(name)).includes('relay:2'), 60_000);
    for (const name of ['a', 'b', 'c']) await whenSettled(api, 'mutated', name);
    assert.match(await imageOf('a'), /mirror\.test/, 'the webhook was never asked');
    await whenQuiet(api);
    const since = Date.now();
    await annotateAll(['a', 'b', 'c']);
    await whenQuiet(api);
    const writes = api
      .calls(since)
      .filter(({ kind, resource }) => kind === 'write' && resource === 'statefulsets');
    assert.deepEqual(writes, []);
    const path = apiPath({ kind: '', apiVersion: REGISTRATION, plural: WEBHOOKS }, undefined, 'mirror');
    await api.admin.request({ method: 'DELETE', path });
    await end();

    async function annotateAll(names: readonly string[]) {
      for (const name of names)
        await api.admin.request({
          method: 'PATCH',
          path: apiPath(MAIL_RELAY, 'mutated', name),
          contentType: 'application/merge-patch+json',
          body: { metadata: { annotations: { look: 'again' } } },
        });
    }
  });
});

interface Review {
  readonly request: { readonly uid: string; readonly object: KubeObject };
}

/** A webhook that replaces every image of a StatefulSet by that of a mirror, as some clusters do. */
async function mutatingWebhook(namespace: string): Promise<{ server: Server; configuration: KubeObject }> {
  const authority = await makeAuthority();
  const server = createServer(await authority.issue(['localhost']), (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const review = JSON.parse(Buffer.concat(chunks).toString()) as Review;
      response.setHeader('content-type', 'application/json').end(JSON.stringify(mirrored(review)));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const rule = { apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'] };
  const webhook = {
    name: 'mirror.example.com',
    clientConfig: {
      url: `https://localhost:${(server.address() as AddressInfo).port}/`,
      caBundle: Buffer.from(authority.cert).toString('base64'),
    },
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
    rules: [{ ...rule, resources: [STATEFUL_SET.plural] }],
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
  };
  const head = {
    apiVersion: REGISTRATION,
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: 'mirror' },
  };
  return { server, configuration: { ...head, webhooks: [webhook] } };
}

function mirrored({ request: { uid, object } }: Review) {
  const { template } = object['spec'] as { template: { spec: { containers: { image: string }[] } } };
  const [{ image } = { image: '' }] = template.spec.containers;
  const value = image.replace('mailrelay.test/', 'mirror.test/');
  const patch = [{ op: 'replace', path: '/spec/template/spec/containers/0/image', value }];
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: {
      ...{ uid, allowed: true, patchType: 'JSONPatch' },
      patch: Buffer.from(JSON.stringify(patch)).toString('base64'),
    },
  };
}

/**
 * An API server that does not list the kinds of cert-manager, as with a role that is too small or a broken CRD. The
 * operator leads. Relays with Secrets of their own do not notice; those with an issuer say what is wrong, are looked
 * after in all else, and keep their Certificates.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { MailRelayStatus } from '#crds/status.ts';
import type { KubeObject } from '#operator/kube/client.ts';
import { apiPath, CERTIFICATE, MAIL_RELAY } from '#operator/kube/kinds.ts';
import { until } from '#test/kit/wait.ts';
import { type Plane, plane } from './plane.ts';
import { Pods } from './pods.ts';
import { Operator } from './process.ts';
import { putRelay, relayNamed, whenSettled } from './relays.ts';
import { type Fault, Wire } from './wire.ts';

const NAMESPACE = 'unlisted';
const SENDERS = {
  inbound: { listeners: [{ name: 'smtp', port: 25 }], clients: { networks: ['10.0.0.0/8'] } },
};
const ISSUED = { ...SENDERS, tls: { issuerRef: { name: 'ca' } } };

describe('kinds of cert-manager that cannot be listed', { concurrency: false }, () => {
  let api: Plane;
  let pods: Pods;
  let wire: Wire;
  let operator: Operator;
  let isBroken = true;

  const put = (name: string, spec: object) => putRelay(api, relayNamed(NAMESPACE, name, { ...spec }));
  const get = (kind: typeof MAIL_RELAY, name: string) =>
    api.admin.request<KubeObject>({ method: 'GET', path: apiPath(kind, NAMESPACE, name) });
  const conditionsOf = async (name: string) =>
    ((await get(MAIL_RELAY, name))['status'] as MailRelayStatus | undefined)?.conditions ?? [];

  before(async () => {
    api = await plane();
    pods = new Pods(api);
    await pods.start();
    await api.makeNamespace(NAMESPACE);
    operator = await Operator.start(api, { identity: 'unlisted' });
    await put('issued', ISSUED);
    await whenSettled(api, NAMESPACE, 'issued');
    await operator.end('SIGTERM');
    wire = new Wire(api, {
      faultOf: ({ uri }): Fault | undefined =>
        isBroken && uri.startsWith('/apis/cert-manager.io/v1/certificate')
          ? { kind: 'answer', status: uri.includes('requests') ? 403 : 503 }
          : undefined,
    });
    operator = await Operator.start(api, { identity: 'unlisted', server: await wire.start() });
  });
  after(async () => {
    await operator.end('SIGTERM');
    await wire.stop();
    await pods.stop();
  });

  test('the operator leads, and relays with Secrets of their own are made', async () => {
    await operator.leads();
    await put('own', { ...SENDERS, tls: { secretName: 'own' } });
    await whenSettled(api, NAMESPACE, 'own');
  });

  test('a relay with an issuer names the kinds, obeys an edit, and keeps its Certificate', async () => {
    const before = (await get(CERTIFICATE, 'issued')).metadata;
    await put('issued', { ...ISSUED, trace: { level: 1 } });
    const { generation } = (await get(MAIL_RELAY, 'issued')).metadata;
    const of = await until('the edit to be in force', async () => {
      const found = new Map((await conditionsOf('issued')).map((one) => [one.type, one]));
      const applied = found.get('PolicyApplied');
      const isDone = applied?.status === 'True' && applied.observedGeneration === generation;
      if (!isDone) throw new Error(JSON.stringify([...found.values()]));
      return found;
    });
    const [reconciling, sound] = [of.get('Reconciling'), of.get('ConfigurationSound')];
    assert.deepEqual([reconciling?.status, reconciling?.reason], ['True', 'CertManagerUnlisted']);
    assert.deepEqual([sound?.status, sound?.reason], ['Unknown', 'CertManagerUnlisted']);
    assert.match(sound?.message ?? '', /does not list Certificates and CertificateRequests, which stay/);
    assert.deepEqual([of.get('Ready')?.status, of.get('Stalled')], ['True', undefined]);
    assert.equal((await get(CERTIFICATE, 'issued')).metadata.resourceVersion, before.resourceVersion);
  });

  test('when they are listed again it is settled, with the same Certificate', async () => {
    const before = (await get(CERTIFICATE, 'issued')).metadata;
    isBroken = false;
    await whenSettled(api, NAMESPACE, 'issued');
    // Both kinds are listed again, one after the other.
    const isUnlisted = ({ reason }: { reason: string }) => reason === 'CertManagerUnlisted';
    await until('no kind to be unlisted', async () => !(await conditionsOf('issued')).some(isUnlisted));
    assert.deepEqual((await get(CERTIFICATE, 'issued')).metadata.uid, before.uid);
  });
});

/**
 * The authority inside the cluster is replaced, on a real API server: the new one is published before a pod serves it,
 * the pods are told of it only after that, and the old one goes when no pod serves it any more.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { AUTHORITIES_FILE_NAME, listFingerprints, parseAuthorities } from '#crds/authoritiesfile.ts';
import { apiPath, CONFIG_MAP, MAIL_RELAY } from '#operator/kube/kinds.ts';
import { until } from '#test/kit/wait.ts';
import { type Plane, plane } from './plane.ts';
import { AUTHORITY } from './podreport.ts';
import { Pods } from './pods.ts';
import { Operator } from './process.ts';
import { putRelay, relayNamed, whenQuiet, whenSettled } from './relays.ts';

interface Told {
  readonly status: { readonly conditions: readonly { readonly type: string; readonly message: string }[] };
}

const NAMESPACE = 'authority';
const NEW = '-----BEGIN CERTIFICATE-----\nREPLACED\n-----END CERTIFICATE-----\n';
const BOTH = [AUTHORITY, NEW].map((pem) => listFingerprints(pem)[0] ?? '').toSorted();

describe('another authority inside the cluster', { concurrency: false }, () => {
  let api: Plane;
  let pods: Pods;
  let operator: Operator;

  before(async () => {
    api = await plane();
    pods = new Pods(api);
    await pods.start();
    await api.makeNamespace(NAMESPACE);
    operator = await Operator.start(api, { identity: 'authority' });
    const tls = { secretName: 'relay-tls', internal: { issuerRef: { name: 'ca' } } };
    await putRelay(api, relayNamed(NAMESPACE, 'relay', { replicas: 2, tls }));
    await whenSettled(api, NAMESPACE, 'relay');
  });
  after(async () => {
    await operator.end('SIGTERM');
    await pods.stop();
  });

  const read = async (name: string, file: string) => {
    const path = apiPath(CONFIG_MAP, NAMESPACE, name);
    const { data } = await api.admin.request<{ data: Record<string, string> }>({ method: 'GET', path });
    return data[file] ?? '';
  };
  const listPublished = async () => listFingerprints(await read('relay-ca', 'ca.crt')).toSorted();
  const listTold = async () => parseAuthorities(await read('relay-policy', AUTHORITIES_FILE_NAME)) ?? [];
  /** Those that the pods were told of before they were published. */
  const early: string[] = [];
  const areKnown = (fingerprints: readonly string[]) =>
    until(`${fingerprints.length} published and told`, async () => {
      const told = await listTold();
      const published = await listPublished();
      early.push(...told.filter((one) => fingerprints.includes(one) && !published.includes(one)));
      return [told, published].every((list) => isDeepStrictEqual(list, fingerprints));
    });
  const messageOf = async () => {
    const relay = await api.admin.request<Told>({
      method: 'GET',
      path: apiPath(MAIL_RELAY, NAMESPACE, 'relay'),
    });
    return relay.status.conditions.find(({ type }) => type === 'CertificateReady')?.message ?? '';
  };

  test('what the pods serve is published, and the pods know', async () => {
    await areKnown(listFingerprints(AUTHORITY));
  });

  test('a new one is published while its pair waits, and the status tells when it follows', async () => {
    pods.issueInside(`${NAMESPACE}/relay`, { authority: NEW, servedBy: [] });
    await areKnown(BOTH);
    await until('the status to tell', async () =>
      /inside the cluster 5B follows at 2999-01-01T00:00:00Z/.test(await messageOf()),
    );
    await whenQuiet(api);
    assert.deepEqual(await listPublished(), BOTH);
  });

  test('the old one stays until no pod serves it', async () => {
    pods.issueInside(`${NAMESPACE}/relay`, { authority: NEW, servedBy: [0] });
    await until('the status to tell', async () => /do not serve the same/.test(await messageOf()));
    await whenQuiet(api);
    assert.deepEqual(await listPublished(), BOTH);
    pods.issueInside(`${NAMESPACE}/relay`, { authority: NEW, servedBy: [0, 1] });
    await areKnown(listFingerprints(NEW));
    assert.deepEqual(early, []);
    await until('the status to tell no more', async () => !/follows|same/.test(await messageOf()));
  });
});

/**
 * The DNS records of a relay on a real API server: in the status where nobody takes them, in a DNSEndpoint where the
 * cluster knows the kind, by the permissions of the chart and no more.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { MailRelayStatus } from '#crds/status.ts';
import type { KubeObject } from '#operator/kube/client.ts';
import { isKubeError } from '#operator/kube/errors.ts';
import { apiPath } from '#operator/kube/kinds.ts';
import { until } from '#test/kit/wait.ts';
import { DNS_ENDPOINT, installDnsEndpoint, removeDnsEndpoint } from './dnsendpoint.ts';
import { type Plane, plane } from './plane.ts';
import { Pods } from './pods.ts';
import { Operator } from './process.ts';
import { putRelay, relayNamed, whenQuiet, whenSettled } from './relays.ts';

const NAMESPACE = 'dnsrecords';
const SPEC = {
  inbound: {
    listeners: [{ name: 'smtp', port: 25 }],
    clients: { networks: ['10.20.0.0/16'] },
    acceptDomains: ['example.com'],
  },
  dns: {
    publish: 'DNSEndpoint',
    ttl: '5m',
    tlsa: true,
    mtaSTS: { mode: 'Testing' },
    tlsReports: { rua: ['mailto:tlsrpt@example.com'] },
  },
};
const NAMES = ['_25._tcp.relay.example.com', '_mta-sts.example.com', '_smtp._tls.example.com'];

describe('DNS records', { concurrency: false }, () => {
  let api: Plane;
  let pods: Pods;
  let operator: Operator;

  before(async () => {
    api = await plane();
    pods = new Pods(api);
    await pods.start();
    await api.makeNamespace(NAMESPACE);
    operator = await Operator.start(api, { identity: 'dns-1' });
    await operator.leads();
  });
  after(async () => {
    await operator.end('SIGTERM');
    await pods.stop();
    await removeDnsEndpoint(api);
  });

  const statusOf = async () =>
    (await whenSettled(api, NAMESPACE, 'relay'))['status'] as unknown as MailRelayStatus;
  const reasonIn = (status: MailRelayStatus, type: string) =>
    status.conditions?.find((condition) => condition.type === type)?.reason;
  const readEndpoint = () =>
    api.admin.request<KubeObject>({ method: 'GET', path: apiPath(DNS_ENDPOINT, NAMESPACE, 'relay') });

  test('a cluster that knows no DNSEndpoint: the records are in the status, and the relay is Ready', async () => {
    await putRelay(api, relayNamed(NAMESPACE, 'relay', SPEC));
    const status = await statusOf();
    assert.deepEqual(
      [reasonIn(status, 'Ready'), reasonIn(status, 'Stalled'), reasonIn(status, 'ConfigurationSound')],
      ['Serving', undefined, 'ExternalDNSMissing'],
    );
    assert.deepEqual(
      status.dnsRecords?.map(({ name }) => name),
      NAMES,
    );
  });

  test('a cluster that knows it: the object has what the status has, and nothing more is written', async () => {
    await installDnsEndpoint(api);
    await operator.end('SIGTERM');
    operator = await Operator.start(api, { identity: 'dns-2' });
    await operator.leads();
    const endpoint = await until('the DNSEndpoint', readEndpoint);
    const status = await until('the note to go', async () => {
      const is = await statusOf();
      return reasonIn(is, 'ConfigurationSound') === 'ExternalDNSMissing' ? undefined : is;
    });
    const { endpoints } = endpoint['spec'] as { endpoints: Record<string, unknown>[] };
    assert.deepEqual(
      endpoints.map(({ dnsName, recordType, recordTTL, targets }) => [
        dnsName,
        recordType,
        recordTTL,
        targets,
      ]),
      status.dnsRecords?.map(({ name, type, ttl, values }) => [name, type, ttl, values]),
    );
    await whenQuiet(api);
    assert.equal((await readEndpoint()).metadata.resourceVersion, endpoint.metadata.resourceVersion);
  });

  test('a relay that publishes no more: the object goes, and the status has the records', async () => {
    await putRelay(api, relayNamed(NAMESPACE, 'relay', { ...SPEC, dns: { ...SPEC.dns, publish: 'None' } }));
    const isGone = () =>
      readEndpoint().then(
        () => false,
        (error) => isKubeError(error, 'notFound'),
      );
    await until('it to go', isGone);
    assert.deepEqual(
      (await statusOf()).dnsRecords?.map(({ name }) => name),
      NAMES,
    );
  });
});

/**
 * The DNS records of a relay on a real API server: in the status where nobody takes them, in a DNSEndpoint where the
 * cluster knows the kind, by the permissions of the chart and no more. A published key rolls over when DNS shows both keys,
 * and not because external-dns says that it took them.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { MailRelayStatus } from '#crds/status.ts';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import type { KubeObject } from '#operator/kube/client.ts';
import { isKubeError } from '#operator/kube/errors.ts';
import { apiPath, STATEFUL_SET } from '#operator/kube/kinds.ts';
import { NameServer } from '#test/kit/nameserver.ts';
import { until } from '#test/kit/wait.ts';
import { DNS_ENDPOINT, installDnsEndpoint, removeDnsEndpoint } from './dnsendpoint.ts';
import { type Plane, plane } from './plane.ts';
import { keyIn } from './podreport.ts';
import { Pods } from './pods.ts';
import { Operator } from './process.ts';
import { putRelay, relayNamed, whenQuiet, whenSettled } from './relays.ts';

interface Volume {
  readonly name: string;
  readonly secret?: { readonly secretName: string };
}

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
const TLSA = '_25._tcp.relay.example.com';
const DNS = '127.0.0.1';
const NAMES = [TLSA, '_mta-sts.example.com', '_smtp._tls.example.com'];

describe('DNS records', { concurrency: false }, () => {
  let api: Plane;
  let pods: Pods;
  let operator: Operator;
  let dns: NameServer;
  const inDns = { [TLSA]: { TLSA: [Buffer.from(keyIn('relay-tls'), 'hex')] } };
  const start = async (identity: string) => {
    operator = await Operator.start(api, { identity, nameServer: DNS });
    await operator.leads();
  };

  before(async () => {
    api = await plane();
    pods = new Pods(api);
    await pods.start();
    await api.makeNamespace(NAMESPACE);
    dns = await NameServer.start(inDns, 53, DNS);
    await start('dns-1');
  });
  after(async () => {
    await operator.end('SIGTERM');
    await pods.stop();
    dns.stop();
    await removeDnsEndpoint(api);
  });

  const statusOf = async () =>
    (await whenSettled(api, NAMESPACE, 'relay'))['status'] as unknown as MailRelayStatus;
  const reasonIn = (status: MailRelayStatus, type: string) =>
    status.conditions?.find((condition) => condition.type === type)?.reason;
  const readEndpoint = () =>
    api.admin.request<KubeObject>({ method: 'GET', path: apiPath(DNS_ENDPOINT, NAMESPACE, 'relay') });

  const markIn = ({ metadata }: KubeObject) => metadata.annotations?.[ANNOTATIONS.published];
  const patchEndpoint = (part: string, body: object) =>
    api.admin.request({
      method: 'PATCH',
      path: `${apiPath(DNS_ENDPOINT, NAMESPACE, 'relay')}${part}`,
      contentType: 'application/merge-patch+json',
      body,
    });

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
    await start('dns-2');
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

  test('a key that is published rolls over: both keys, two times to live, and an operator that starts anew in between', async () => {
    const keys = async () => {
      const record = (await statusOf()).dnsRecords?.find(({ name }) => name === TLSA);
      return record?.values.map((value) => value.slice('3 1 1 '.length)).toSorted();
    };
    const served = async () => {
      const set = await api.admin.request<KubeObject>({
        method: 'GET',
        path: apiPath(STATEFUL_SET, NAMESPACE, 'relay'),
      });
      const { volumes } = (set['spec'] as unknown as { template: { spec: { volumes: Volume[] } } }).template
        .spec;
      return volumes.find(({ name }) => name === 'certificate')?.secret?.secretName;
    };
    const reasonIs = (reason: string) => async () =>
      reasonIn(await statusOf(), 'ConfigurationSound') === reason;
    const both = [keyIn('relay-tls'), keyIn('second')].toSorted();
    await putRelay(api, relayNamed(NAMESPACE, 'relay', { ...SPEC, tls: { secretName: 'second' } }));
    await until('both keys to be told', async () => isDeepStrictEqual(await keys(), both));
    assert.ok(await reasonIs('KeyRollsOver')());
    assert.equal(await served(), 'relay-tls');
    // As external-dns does when it has read the object. Its provider leaves TLSA out.
    const { generation } = (await readEndpoint()).metadata;
    await patchEndpoint('/status', { status: { observedGeneration: generation } });
    await until('a look-up to show what DNS lacks', async () => {
      const { conditions = [] } = await statusOf();
      const { message = '' } = conditions.find(({ type }) => type === 'ConfigurationSound') ?? {};
      return message.includes(`${TLSA} has no TLSA record 3 1 1 ${keyIn('second')}`);
    });
    assert.deepEqual(await markIn(await readEndpoint()), undefined, 'DNS has one key');
    await operator.end('SIGTERM');
    inDns[TLSA]?.TLSA.push(Buffer.from(keyIn('second'), 'hex'));
    await start('dns-3');
    const mark = await until('the time to be noted', async () => markIn(await readEndpoint()));
    assert.equal(mark.split('@')[0], keyIn('second'));
    assert.equal(await served(), 'relay-tls');
    await operator.end('SIGTERM');
    const longAgo = `${keyIn('second')}@2026-01-01T00:00:00Z`;
    await patchEndpoint('', { metadata: { annotations: { [ANNOTATIONS.published]: longAgo } } });
    await start('dns-4');
    await until('the next certificate to be served', async () => (await served()) === 'second');
    await until('the old key to go', async () => isDeepStrictEqual(await keys(), [keyIn('second')]));
    const questions = dns.asked.length;
    await until('the mark to go', async () => (await markIn(await readEndpoint())) === undefined);
    await whenQuiet(api);
    assert.equal(dns.asked.length, questions, 'nothing is looked up when nothing waits');
  });

  test('the key of a certificate that is published changes only with its Secret', async () => {
    const tls = (secretName: string, algorithm?: string) => ({
      secretName,
      issuerRef: { name: 'ca' },
      ...(algorithm === undefined ? {} : { privateKey: { algorithm } }),
    });
    const put = (one: object) =>
      putRelay(api, relayNamed(NAMESPACE, 'other', { dns: { tlsa: true }, tls: one }));
    await put(tls('one'));
    await put(tls('one', 'ECDSA'));
    await assert.rejects(
      put(tls('one', 'RSA')),
      /dns\.tlsa publishes the key.*: give tls\.secretName another name/,
    );
    await put(tls('two', 'RSA'));
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

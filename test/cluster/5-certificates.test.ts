/**
 * The certificates of a relay on a real cluster: asked of issuers that do not exist and of some that do, two on one port,
 * renewed, and every fault of a Secret that a user fills. The steps build on each other and run in order.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Authority, makeAuthority, type Pair } from '#test/kit/ca.ts';
import { kstatus } from '#test/kit/kstatus.ts';
import { SmtpClient, type TlsWish } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import {
  apply,
  conditionOf,
  get,
  installOperator,
  kubectl,
  makeNamespace,
  podStatus,
  podsOf,
  relayOf,
  renew,
  secretText,
  serviceAddress,
  statusUntil,
  waitReady,
} from './kube.ts';

const SOAK = process.env['MAILRELAY_SOAK'] !== undefined;
/** So late a kubelet shows a changed ConfigMap to a workload. */
const MOUNTED_AFTER_MS = 90_000;
const NAMESPACE = 'certs';
const HOSTNAME = 'relay.example.com';
const INSIDE = `relay.${NAMESPACE}.svc`;
const SELF_SIGNED = '{kind: ClusterIssuer, name: self}';

const manifest = (name: string, tls: string) => `
apiVersion: mailrelay.dev/v1alpha1
kind: MailRelay
metadata: {name: ${name}, namespace: ${NAMESPACE}}
spec:
  hostname: ${HOSTNAME}
  tls: ${tls}
  inbound: {listeners: [{name: smtp, port: 25}]}
`;

/** The certificate that a client gets, by the name that it asks for. Rejects when the client does not trust it. */
async function certificateFor(name: string, wish: TlsWish) {
  const client = await SmtpClient.connect(25, serviceAddress(NAMESPACE, name));
  try {
    await client.hello();
    await client.secure(wish);
    const { serialNumber, bits, valid_from, valid_to } = client.tls?.getPeerCertificate() ?? {};
    const hours = (Date.parse(valid_to ?? '') - Date.parse(valid_from ?? '')) / 3_600_000;
    return { serialNumber, bits, hours };
  } finally {
    client.close();
  }
}

const authorityInside = () =>
  get<{ data: Record<string, string> }>('configmap', 'relay-ca', NAMESPACE).data['ca.crt'] ?? '';

describe('certificates of issuers', { concurrency: false }, () => {
  before(() => {
    installOperator();
    makeNamespace(NAMESPACE);
    // On a cluster that is kept: Secrets outlive their relays.
    kubectl(['delete', 'secret', 'relay-tls', 'relay-internal-tls', '-n', NAMESPACE, '--ignore-not-found']);
    apply(
      'apiVersion: cert-manager.io/v1\nkind: ClusterIssuer\nmetadata: {name: self}\nspec: {selfSigned: {}}\n',
    );
  });

  after(() => {
    kubectl(['delete', 'mailrelay', '--all', '-n', NAMESPACE]);
    kubectl(['delete', 'clusterissuer', 'self']);
  });

  test('an issuer that does not exist is Stalled in the words of cert-manager', () => {
    apply(manifest('relay', '{issuerRef: {name: nobody}, internal: {issuerRef: {name: ca}}}'));
    kubectl(['wait', 'mr/relay', '-n', NAMESPACE, '--for=condition=Stalled', '--timeout=120s']);
    const relay = relayOf(NAMESPACE);
    assert.equal(kstatus(relay), 'Failed');
    for (const type of ['Stalled', 'Ready', 'CertificateReady']) {
      assert.equal(conditionOf(relay, type)?.reason, 'CertificateNotIssued', type);
      assert.match(conditionOf(relay, type)?.message ?? '', /issuer\.cert-manager\.io "nobody" not found/);
    }
  });

  test('when one is named that does exist, the certificate is as the spec says', async () => {
    const times = 'duration: 24h, renewBefore: 6h, privateKey: {algorithm: RSA}';
    apply(manifest('relay', `{issuerRef: ${SELF_SIGNED}, ${times}, internal: {issuerRef: {name: ca}}}`));
    waitReady(NAMESPACE);
    assert.equal(conditionOf(relayOf(NAMESPACE), 'Stalled'), undefined);
    assert.equal(conditionOf(relayOf(NAMESPACE), 'CertificateReady')?.status, 'True');
    await until('the Service to reach the pod', () => certificateFor('relay', {}), 60_000);
    const { bits, hours } = await certificateFor('relay', { servername: HOSTNAME });
    assert.deepEqual({ bits, hours }, { bits: 2048, hours: 24 });
  });

  test('a workload inside verifies the relay by the authority that is published, on the same port', async () => {
    const ca = await until('the authority', authorityInside);
    const inside = await certificateFor('relay', { servername: INSIDE, ca });
    assert.equal(inside.bits, 256);
    for (const name of ['relay', `relay.${NAMESPACE}`, `${INSIDE}.cluster.local`]) {
      const { serialNumber } = await certificateFor('relay', { servername: name, ca });
      assert.equal(serialNumber, inside.serialNumber);
    }
    await assert.rejects(certificateFor('relay', { servername: HOSTNAME, ca }), /self-signed certificate/);
    assert.doesNotMatch(ca, /PRIVATE/);
  });

  test('either is renewed by itself, without a restart of anything', async () => {
    const [pod] = podsOf(NAMESPACE);
    const { tasks } = await podStatus(pod?.ip ?? '');
    const ca = authorityInside();
    const serials = async () => {
      const [host, inside] = [{ servername: HOSTNAME }, { servername: INSIDE, ca }];
      const served = await Promise.all([certificateFor('relay', host), certificateFor('relay', inside)]);
      return served.map(({ serialNumber }) => serialNumber);
    };
    const before = await serials();
    renew(NAMESPACE, 'relay-internal');
    await until('another one inside', async () => (await serials())[1] !== before[1], 60_000);
    assert.equal((await serials())[0], before[0]);
    renew(NAMESPACE, 'relay');
    await until('another one of the host name', async () => (await serials())[0] !== before[0], 60_000);
    const { status } = await statusUntil('the status to tell', NAMESPACE, (relay) => {
      const { certificate, internalCertificate } = relay.status;
      return ![certificate?.serial, internalCertificate?.serial].some((serial) => before.includes(serial));
    });
    assert.deepEqual([status.certificate?.serial, status.internalCertificate?.serial], await serials());
    assert.equal(authorityInside(), ca);
    assert.deepEqual((await podStatus(pod?.ip ?? '')).tasks, tasks);
    assert.deepEqual(podsOf(NAMESPACE), [pod]);
  });

  test('workloads that read late verify the relay all the time while its authority is replaced', {
    skip: !SOAK,
  }, async () => {
    const before = authorityInside();
    const published = [{ at: 0, ca: before }];
    const mounted = () => published.findLast(({ at }) => at <= Date.now() - MOUNTED_AFTER_MS)?.ca ?? '';
    const serial = async (ca: string) =>
      (await certificateFor('relay', { servername: INSIDE, ca })).serialNumber;
    const first = await serial(before);
    const readAuthority = () => secretText(NAMESPACE, 'ca', 'tls.crt');
    const issued = readAuthority();
    renew(NAMESPACE, 'ca');
    await until('another authority', () => readAuthority() !== issued, 60_000);
    renew(NAMESPACE, 'relay-internal');
    const failures: string[] = [];
    const told = new Set<string>();
    const look = async () => {
      published.push({ at: Date.now(), ca: authorityInside() });
      told.add(conditionOf(relayOf(NAMESPACE), 'CertificateReady')?.message.match(/follows \w+/)?.[0] ?? '');
      const served = await serial(mounted()).catch((error: Error) => {
        failures.push(error.message);
        return first;
      });
      return failures.length > 0 || served !== first;
    };
    await until('the new certificate', look, 300_000);
    assert.deepEqual(failures, []);
    assert.ok(told.has('follows at'), [...told].join());
    await until('the old authority to go', () => !authorityInside().includes(before.trim()), 60_000);
    await serial(authorityInside());
  });
});

describe('the certificate of a Secret that a user fills', { concurrency: false }, () => {
  let authority: Authority;
  let good: Pair;
  let touches = 0;

  before(async () => {
    authority = await makeAuthority();
    good = await authority.issue([HOSTNAME]);
    apply(manifest('own', '{secretName: own-pair}'));
  });

  after(() => kubectl(['delete', 'mailrelay', 'own', '-n', NAMESPACE]));

  function fill({ cert, key }: Pick<Pair, 'cert' | 'key'>): void {
    const encoded = (text: string) => Buffer.from(text).toString('base64');
    apply(`
apiVersion: v1
kind: Secret
metadata: {name: own-pair, namespace: ${NAMESPACE}}
type: kubernetes.io/tls
data: {tls.crt: ${encoded(cert)}, tls.key: ${encoded(key)}}
`);
  }

  /** A kubelet looks at mounted Secrets every minute or so, and at once when the pod changes: nobody waits for that here. */
  function touchPod(): void {
    const pods = ['-l', 'app.kubernetes.io/instance=own', '-n', NAMESPACE];
    kubectl(['annotate', 'pods', ...pods, '--overwrite', `test/touched=${++touches}`]);
  }

  const condition = (type: string) => conditionOf(relayOf(NAMESPACE, 'own'), type);

  async function untilReason(reason: string): Promise<void> {
    await until(
      reason,
      () => {
        touchPod();
        return condition('CertificateReady')?.reason === reason;
      },
      60_000,
    );
  }

  test('without it the relay is Stalled, and says which Secret is missing', () => {
    kubectl(['wait', 'mr/own', '-n', NAMESPACE, '--for=condition=Stalled', '--timeout=120s']);
    assert.equal(condition('Ready')?.status, 'False');
    assert.equal(condition('Ready')?.reason, 'CertificateMissing');
    assert.match(condition('Ready')?.message ?? '', /Secret own-pair: /);
  });

  test('with it the relay is Ready and serves it', async () => {
    fill(good);
    await untilReason('CertificateServed');
    waitReady(NAMESPACE, 'own');
    assert.equal(condition('Stalled'), undefined);
    const wish = { servername: HOSTNAME, ca: authority.cert };
    await until('the Service to reach the pod', () => certificateFor('own', wish), 60_000);
  });

  for (const [reason, makeFaulty] of [
    ['CertificateExpired', () => authority.issue([HOSTNAME], { from: -30, until: -1 })],
    ['CertificateExpiringSoon', () => authority.issue([HOSTNAME], { from: -88, until: 2 })],
    ['CertificateNotYetValid', () => authority.issue([HOSTNAME], { from: 2 })],
    ['HostnameNotCovered', () => authority.issue(['other.example.com'])],
  ] as const) {
    test(`${reason}: it is served all the same, and the relay stays Ready`, async () => {
      const faulty = await makeFaulty();
      fill(faulty);
      await untilReason(reason);
      assert.equal((await certificateFor('own', {})).serialNumber, faulty.serial);
      assert.equal(condition('CertificateReady')?.status, 'False');
      assert.equal(condition('Ready')?.status, 'True');
    });
  }

  test('a pair that cannot be used, or none, leaves the last good one in service', async () => {
    fill(good);
    await untilReason('CertificateServed');
    const stays = async (reason: string) => {
      await untilReason(reason);
      assert.match(condition('CertificateReady')?.message ?? '', /the last good pair stays in service/);
      assert.equal((await certificateFor('own', {})).serialNumber, good.serial);
      assert.equal(condition('Ready')?.status, 'True');
    };
    const other = await authority.issue([HOSTNAME]);
    fill({ cert: other.cert, key: good.key });
    await stays('KeyMismatch');
    fill({ cert: 'no certificate', key: good.key });
    await stays('CertificateUnreadable');
    kubectl(['delete', 'secret', 'own-pair', '-n', NAMESPACE]);
    await stays('CertificateMissing');
  });
});

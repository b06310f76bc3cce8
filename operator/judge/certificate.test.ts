import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ConditionType } from '#crds/conditions.ts';
import { effectivePolicy, listSniCertificates } from '#crds/effective.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import type { PodStatus } from '#crds/podstatus.ts';
import { podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { KubeObject } from '../kube/client.ts';
import { judge } from './chain.ts';

const OWN = relayObject();
const ISSUED = relayObject({ tls: { issuerRef: { name: 'ca' } } });
const BOTH = relayObject({ tls: { secretName: 'relay-tls', internal: { issuerRef: { name: 'ca' } } } });

const SERVING_POLICY = relayObject({
  inbound: { listeners: [{ name: 'smtp', port: 25 }], acceptDomains: ['example.com'] },
  dns: { mtaSTS: { mode: 'Testing', serve: { issuerRef: { name: 'ca' } } } },
});

const MISSING = { certificate: null, certificateProblem: { reason: 'CertificateMissing', message: 'none' } };
const UNUSABLE = { certificate: null, certificateProblem: { reason: 'KeyMismatch', message: 'no match' } };
const blemished = (reason: string) => ({ certificateProblem: { reason, message: 'as it says' } });

/** A Certificate with a status as cert-manager writes it, and its CertificateRequest. */
function issuing(
  name: string,
  { ready = 'False', issuing: under = 'True', request = '' } = {},
): readonly KubeObject[] {
  const message = `word on ${name}`;
  const conditions = [
    { type: 'Ready', status: ready, message },
    ...(ready === 'True' ? [] : [{ type: 'Issuing', status: under, message }]),
  ];
  const metadata = (annotations: Record<string, string>) => ({ name: `${name}-1`, annotations });
  const requestOf = (revision: string, text: string): KubeObject => ({
    kind: 'CertificateRequest',
    metadata: {
      ...metadata({
        'cert-manager.io/certificate-name': name,
        'cert-manager.io/certificate-revision': revision,
      }),
      name: `${name}-${revision}`,
    },
    status: { conditions: [{ type: 'Ready', status: 'False', reason: 'Pending', message: text }] },
  });
  return [
    { kind: 'Certificate', metadata: { name }, status: { conditions } },
    ...(request ? [requestOf('9', 'of an earlier issue'), requestOf('10', request)] : []),
  ];
}

function verdict(
  relay: MailRelay,
  type: ConditionType,
  report: Partial<PodStatus>,
  cluster: readonly KubeObject[] = [],
) {
  const base = settledWorld({ relay, policy: effectivePolicy(relay.metadata, relay.spec) });
  const objects = new Map([
    ...base.objects,
    ...cluster.map((object): [string, KubeObject] => [`${object.kind}/${object.metadata.name}`, object]),
  ]);
  const pods = [0, 1].map((n) => podView(`relay-${n}`, podReport(relay, report)));
  return judge({ ...base, objects, pods, obstacles: [] })[type];
}

describe('CertificateReady', () => {
  for (const reason of [
    'CertificateExpired',
    'CertificateExpiringSoon',
    'CertificateNotYetValid',
    'HostnameNotCovered',
    'KeyMismatch',
    'CertificateUnreadable',
  ]) {
    test(`is False with ${reason} where the pods say so, and names pod and Secret; mail flows`, () => {
      const finding = verdict(OWN, 'CertificateReady', blemished(reason));
      assert.equal(finding?.status, 'False');
      assert.equal(finding.reason, reason);
      assert.equal(finding.message, 'Pod relay-0, Secret relay-tls: as it says');
      assert.equal(verdict(OWN, 'Ready', blemished(reason))?.status, 'True');
      assert.equal(verdict(OWN, 'Stalled', blemished(reason)), undefined);
    });
  }

  test('quotes cert-manager where a certificate should have been renewed', () => {
    const renewing = issuing('relay', { request: 'the CA is asleep' });
    const finding = verdict(ISSUED, 'CertificateReady', blemished('CertificateExpiringSoon'), renewing);
    assert.match(finding?.message ?? '', /as it says; cert-manager: the CA is asleep$/);
  });

  test('is False while nothing is issued, in the words of the newest request, else of the Certificate', () => {
    const words = (request: string) =>
      verdict(ISSUED, 'CertificateReady', MISSING, issuing('relay', { request }));
    assert.equal(words('')?.reason, 'CertificateNotIssued');
    assert.match(words('')?.message ?? '', /: word on relay$/);
    assert.match(words('waiting for approval')?.message ?? '', /: waiting for approval$/);
  });

  test('tells the certificate inside the cluster after that of the host name', () => {
    const problem = { reason: 'CertificateMissing', message: 'none' };
    const report = { internalCertificateProblem: problem };
    const mine = verdict(BOTH, 'CertificateReady', report, issuing('relay-internal'));
    assert.equal(mine?.reason, 'CertificateNotIssued');
    assert.match(mine.message, /the certificate inside the cluster: word on relay-internal$/);
    assert.equal(
      verdict(BOTH, 'Stalled', report, issuing('relay-internal', { issuing: 'False' })),
      undefined,
    );
    const both = verdict(BOTH, 'CertificateReady', { ...report, ...blemished('CertificateExpired') });
    assert.equal(both?.reason, 'CertificateExpired');
  });

  test('tells the certificate inside the cluster that waits until clients know its authority', () => {
    const { certificate } = podReport(BOTH);
    assert.ok(certificate);
    const message = (...follows: readonly (string | null)[]) => {
      const pods = follows.map((when, n) => {
        const nextInternalCertificate = { ...certificate, serial: '5B', authority: 'pem', follows: when };
        const report = { internalCertificate: certificate, nextInternalCertificate };
        return podView(`relay-${n}`, podReport(BOTH, report));
      });
      return judge({ ...settledWorld({ relay: BOTH, pods }), obstacles: [] }).CertificateReady?.message ?? '';
    };
    const [soon, later] = ['2026-01-01T00:01:00Z', '2026-01-01T00:02:00Z'];
    assert.match(
      message(later, soon),
      /; inside the cluster 5B follows at 2026-01-01T00:02:00Z, when clients/,
    );
    assert.match(message(null, soon), /5B follows two minutes after ConfigMap relay-ca has its authority$/);
    assert.doesNotMatch(verdict(BOTH, 'CertificateReady', {})?.message ?? '', /follows/);
  });

  test('is Unknown while the pods do not serve the same certificate inside the cluster', () => {
    const finding = verdict(BOTH, 'CertificateReady', {});
    assert.equal(finding?.reason, 'CertificateUpdating');
  });
});

describe('Stalled', () => {
  test('a Secret of the user without a usable pair waits for the user', () => {
    for (const [report, reason] of [
      [MISSING, 'CertificateMissing'],
      [UNUSABLE, 'KeyMismatch'],
    ] as const) {
      assert.equal(verdict(OWN, 'Stalled', report)?.reason, reason);
      assert.equal(verdict(OWN, 'Ready', report)?.reason, reason);
      assert.equal(verdict(OWN, 'Reconciling', report), undefined);
    }
  });

  test('an issuer that is asked waits for nobody, one that failed or does not exist waits for a person', () => {
    const stalled = (...args: Parameters<typeof issuing>) =>
      verdict(ISSUED, 'Stalled', MISSING, issuing(...args))?.reason;
    assert.equal(stalled('relay'), undefined);
    assert.equal(stalled('relay', { request: 'waiting for approval' }), undefined);
    assert.equal(stalled('relay', { issuing: 'False' }), 'CertificateNotIssued');
    assert.equal(
      stalled('relay', { request: 'Referenced "Issuer" not found: issuer.cert-manager.io "ca" not found' }),
      'CertificateNotIssued',
    );
  });
});

test('the certificate of the policy host is judged too, and mail flows without it', () => {
  const names = { reason: 'HostnameNotCovered', message: 'issue one for mta-sts.example.com' };
  const found = verdict(SERVING_POLICY, 'CertificateReady', { policyHostCertificateProblem: names });
  assert.equal(found?.reason, 'HostnameNotCovered');
  assert.match(
    found?.message ?? '',
    /Secret relay-mta-sts-tls: issue one for mta-sts\.example\.com; cert-manager: /,
  );
  const report = { policyHostCertificateProblem: { reason: 'CertificateMissing', message: 'none' } };
  const missing = verdict(SERVING_POLICY, 'CertificateReady', report, issuing('relay-mta-sts'));
  assert.equal(missing?.reason, 'CertificateNotIssued');
  assert.match(
    missing?.message ?? '',
    /the certificate of the policy host of MTA-STS: word on relay-mta-sts$/,
  );
  assert.equal(verdict(SERVING_POLICY, 'Ready', report)?.status, 'True');
});

const NAMED = relayObject({
  tls: {
    secretName: 'relay-tls',
    certificates: [
      { hostnames: ['b.example'], secretName: 'b-tls' },
      { hostnames: ['c.example', '*.c.example'], issuerRef: { name: 'ca' } },
    ],
  },
});
const [OF_B, OF_C] = listSniCertificates('relay', NAMED.spec).map(({ secret, hostnames }) => ({
  secret,
  names: hostnames,
  certificate: podReport(NAMED).certificate,
  problem: null,
}));
assert.ok(OF_B && OF_C);

test('the certificate of another name is judged too, named by its Secret, and mail flows without it', () => {
  const report = (ofC: object) => ({ sniCertificates: [OF_B, { ...OF_C, ...ofC }] });
  const told = (ofC: object, cluster?: readonly KubeObject[]) =>
    verdict(NAMED, 'CertificateReady', report(ofC), cluster);
  assert.equal(told({})?.reason, 'CertificateServed');
  const expired = told({ problem: { reason: 'CertificateExpired', message: 'as it says' } });
  assert.equal(expired?.reason, 'CertificateExpired');
  assert.match(expired.message, new RegExp(`^Pod relay-0, Secret ${OF_C.secret}: as it says`));
  const missing = { certificate: null, problem: { reason: 'CertificateMissing', message: 'none' } };
  const unissued = told(missing, issuing(OF_C.secret));
  assert.equal(unissued?.reason, 'CertificateNotIssued');
  assert.match(unissued.message, /the certificate for c\.example, \*\.c\.example: word on /);
  assert.equal(verdict(NAMED, 'Ready', report(missing))?.status, 'True');
  assert.equal(told({ certificate: null })?.reason, 'CertificateUpdating');
  assert.equal(verdict(NAMED, 'CertificateReady', {})?.reason, 'CertificateUpdating', 'of an older relay');
});

test('a certificate of any name that has ended by our clock is told, before a pod tells it', () => {
  const ended = {
    ...podReport(NAMED).certificate,
    notAfter: '2020-01-01T00:00:00Z',
  } as typeof OF_B.certificate;
  const found = verdict(NAMED, 'CertificateReady', {
    sniCertificates: [OF_C, { ...OF_B, certificate: ended }],
  });
  assert.equal(found?.reason, 'CertificateExpired');
  assert.match(found.message, /ended on 2020-01-01T00:00:00Z: renew Secret b-tls$/);
});

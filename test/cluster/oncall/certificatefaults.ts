/** Faults of the certificate that a relay serves: of its Secret, and of the issuer that fills it. */
import type { Pair } from '#test/kit/ca.ts';
import { until } from '#test/kit/wait.ts';
import type { Fault } from './fault.ts';
import { makeSecret, type Site, TLS_INBOUND } from './site.ts';

const HOSTNAME = 'relay.example.com';
const pairSecret = ({ name }: Site, { cert, key }: Pick<Pair, 'cert' | 'key'>) =>
  makeSecret(name, { 'tls.crt': cert, 'tls.key': key }, 'kubernetes.io/tls');
const ownPair = (name: string) => ({ tls: { secretName: name }, inbound: TLS_INBOUND });
const issued = (name: string) => ({ tls: { issuerRef: { name } }, inbound: TLS_INBOUND });
const SHARED = { tls: { issuerRef: { name: 'ca' }, secretName: 'issued-tls' }, inbound: TLS_INBOUND };
const other = (site: Site) => ({
  ...site.manifest({ replicas: 0 }),
  metadata: { name: 'first-of-two', namespace: site.namespace },
});

export const CERTIFICATE_FAULTS: readonly Fault[] = [
  {
    name: 'no-secret',
    what: 'The Secret of the certificate does not exist',
    isQuick: true,
    spec: ownPair('no-secret'),
    row: /\/1 +CertificateMissing +Ready,Stalled,CertificateReady/,
    command: 'wide',
    shows: /Pod no-secret-0, Secret no-secret: .*does not exist.*: create it, of type kubernetes.io\/tls/,
  },
  {
    name: 'no-key',
    what: 'The Secret of the certificate lacks tls.key',
    spec: ownPair('no-key'),
    prepare: (site) => site.apply(makeSecret('no-key', { 'tls.crt': 'anything' })),
    row: /\/1 +CertificateMissing +Ready,Stalled,CertificateReady/,
    command: 'wide',
    shows: /Pod no-key-0, Secret no-key: it lacks tls\.key: add it, from the same issue/,
  },
  {
    name: 'no-pem',
    what: 'The certificate cannot be read',
    spec: ownPair('no-pem'),
    prepare: async (site) => {
      const { key } = await site.authority.issue([HOSTNAME]);
      await site.apply(pairSecret(site, { cert: 'no certificate', key }));
    },
    row: /\/1 +CertificateUnreadable +Ready,Stalled,CertificateReady/,
    command: 'wide',
    shows: /Pod no-pem-0, Secret no-pem: tls.crt is not a PEM certificate: write its PEM text/,
  },
  {
    name: 'other-key',
    what: 'The key does not belong to the certificate',
    spec: ownPair('other-key'),
    prepare: async (site) => {
      const [{ cert }, { key }] = [
        await site.authority.issue([HOSTNAME]),
        await site.authority.issue([HOSTNAME]),
      ];
      await site.apply(pairSecret(site, { cert, key }));
    },
    row: /\/1 +KeyMismatch +Ready,Stalled,CertificateReady/,
    command: 'wide',
    shows: /Pod other-key-0, Secret other-key: .*does not belong to tls.crt; write both from the same issue/,
  },
  {
    name: 'expired',
    what: 'The certificate has ended',
    isQuick: true,
    spec: ownPair('expired'),
    prepare: async (site) =>
      site.apply(pairSecret(site, await site.authority.issue([HOSTNAME], { from: -30, until: -1 }))),
    row: /1\/1 +Serving +CertificateReady/,
    command: 'wide',
    shows: /Pod expired-0, Secret expired: the certificate expired on .*: renew it/,
  },
  {
    name: 'other-name',
    what: 'The certificate has another name',
    spec: ownPair('other-name'),
    prepare: async (site) => site.apply(pairSecret(site, await site.authority.issue(['other.example.com']))),
    row: /1\/1 +Serving +CertificateReady/,
    command: 'wide',
    shows: /Pod other-name-0, Secret other-name: .*: issue one for relay\.example\.com/,
  },
  {
    name: 'no-issuer',
    what: 'The issuer does not exist',
    isQuick: true,
    spec: issued('nobody'),
    row: /\/1 +CertificateNotIssued +Ready,Stalled,CertificateReady/,
    command: 'wide',
    shows:
      /cert-manager has not issued the certificate: .*"nobody" not found: create Issuer nobody, or correct tls.issuerRef/,
  },
  {
    name: 'issuer-waits',
    what: 'The issuer is not ready',
    spec: issued('waits'),
    prepare: (site) =>
      site.apply({
        apiVersion: 'cert-manager.io/v1',
        kind: 'Issuer',
        metadata: { name: 'waits' },
        spec: { ca: { secretName: 'nothing' } },
      }),
    row: /CertificateReady/,
    command: 'wide',
    shows:
      /cert-manager has not issued the certificate: .* does not have a Ready status condition: mend Issuer waits/,
  },
  {
    name: 'one-secret',
    what: 'Two relays fill one Secret',
    spec: SHARED,
    prepare: async (site) => {
      await site.apply(other(site));
      await until('the first one', async () => /issued-tls/.test(await site.kubectl('get', 'certificate')));
    },
    row: /NameTaken +Ready,Stalled/,
    command: 'wide',
    shows: /is filled for .* already: set another secretName/,
  },
];

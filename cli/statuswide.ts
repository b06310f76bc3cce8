/** What `mailrelay status -o wide` adds to the text: tables with exact values of what the text tells in short. Pure. */
import type { PodStatus } from '#crds/podstatus.ts';
import { describeTable } from './terminal.ts';

type Row = readonly (string | number | boolean | null | undefined)[];

/** Each table begins with an empty line. One without rows is left out. */
export function describeWideTables(status: PodStatus): string {
  return [
    listPod(status),
    ...listPolicy(status),
    listCertificates(status),
    listDkimKeys(status),
    listWaits(status),
  ]
    .filter(({ length }) => length > 1)
    .map((rows) => `\n${describeTable(rows.map((row) => row.map(showCell)))}`)
    .join('');
}

function listPod({ identity, revision }: PodStatus): Row[] {
  const head = ['POD', 'UID', 'NAMESPACE', 'RELAY', 'REVISION'];
  if (!identity) return [head];
  return [head, [identity.pod, identity.uid, identity.namespace, identity.relay, revision]];
}

function listPolicy({ policy: { summary } }: PodStatus): Row[][] {
  if (!summary) return [];
  return [
    [
      ['LISTENER', 'PORT', 'STARTTLS', 'IMPLICIT-TLS', 'LOGIN', 'LINE-ENDINGS'],
      ...summary.listeners.map(
        (one): Row => [one.name, one.port, one.starttls, one.implicitTLS, one.auth, one.lineEndings],
      ),
    ],
    [
      ['CLIENT-NETWORKS', 'STARTTLS', 'MIN-TLS', 'LINE-ENDINGS'],
      ...summary.clientPolicies.map(
        (one): Row => [one.networks.join(','), one.starttls, one.minTlsVersion, one.lineEndings],
      ),
    ],
  ];
}

function listCertificates(status: PodStatus): Row[] {
  const named = [
    ['host name', status.certificate],
    ['next', status.nextCertificate],
    ['internal', status.internalCertificate],
    ['next internal', status.nextInternalCertificate],
    ...(status.sniCertificates ?? []).map(
      ({ names, certificate }) => [names.join(','), certificate] as const,
    ),
    ['mta-sts', status.policyHostCertificate],
  ] as const;
  return [
    ['CERTIFICATE', 'NOT-BEFORE', 'NOT-AFTER', 'SERIAL', 'FINGERPRINT', 'TLSA-3-1-1'],
    ...named.flatMap(([name, facts]) =>
      facts
        ? [[name, facts.notBefore, facts.notAfter, facts.serial, facts.fingerprint, facts.publicKeySha256]]
        : [],
    ),
  ];
}

function listDkimKeys({ dkimKeys = [] }: PodStatus): Row[] {
  return [
    ['DKIM-DOMAIN', 'SELECTOR', 'TYPE'],
    ...dkimKeys.map(({ domain, selector, type }): Row => [domain, selector, type]),
  ];
}

function listWaits({ queue: { waits = [] } }: PodStatus): Row[] {
  return [
    ['DESTINATION', 'BY', 'SECONDS-WITHOUT-SUCCESS', 'REASON'],
    ...waits.map(
      (one): Row => [
        one.destination,
        one.configured ? 'manifest' : 'MX',
        Math.round(one.withoutSuccessSeconds),
        one.message,
      ],
    ),
  ];
}

function showCell(value: Row[number]): string {
  return value === undefined || value === null || value === '' ? '-' : `${value}`;
}

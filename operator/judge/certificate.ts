/**
 * The checks of the certificates: first that of the host name, then the internal one, those for other host names and
 * that of the policy host if the spec has them. The reports of the pods decide. Messages also quote cert-manager if it has issued a reason. Pure.
 */
import { listIssuerFields } from '#crds/certificatesecrets.ts';
import { REASONS, type ReasonName } from '#crds/conditions.ts';
import { certificateSecretName, internalSecretName, needsKeyPair } from '#crds/effective.ts';
import { policyHostSecretName } from '#crds/effectivedns.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import type { PodStatus } from '#crds/podstatus.ts';
import type { NamedPair } from '#crds/policyfile.ts';
import type { CertificateSource } from '#crds/tls.ts';
import { findCertificateName } from '../records/certificates.ts';
import { objectNames } from '../render/metadata.ts';
import type { World } from '../world.ts';
import { type Check, is, reported } from './finding.ts';
import { type Issue, readIssue } from './issue.ts';
import { findIssueCure } from './issuecures.ts';
import { countedAmong, every, listed, quoted, verb } from './words.ts';

interface Face {
  readonly what: string;
  /** The field of its source in the spec. */
  readonly field: 'tls' | 'tls.internal' | 'dns.mtaSTS.serve' | `tls.certificates[${number}]`;
  readonly source: (spec: MailRelay['spec']) => Pick<CertificateSource, 'issuerRef'> | undefined;
  /** Name of the Certificate, if there is an issuer. */
  readonly certificate: (world: World) => string;
  readonly secret: (relay: MailRelay) => string | undefined;
  readonly facts: (report: PodStatus) => PodStatus['certificate'];
  readonly problem: (report: PodStatus) => PodStatus['certificateProblem'];
}

const HOST: Face = {
  what: 'the certificate',
  field: 'tls',
  source: ({ tls }) => tls,
  certificate: (world) => findCertificateName(world, HOST.secret(world.relay)),
  secret: ({ metadata, spec }) => certificateSecretName(metadata.name, spec),
  facts: ({ certificate }) => certificate,
  problem: ({ certificateProblem }) => certificateProblem,
};

const INTERNAL: Face = {
  what: 'the certificate inside the cluster',
  field: 'tls.internal',
  source: ({ tls }) => tls?.internal,
  certificate: ({ relay: { metadata } }) => objectNames.internalCertificate(metadata.name),
  secret: ({ metadata, spec }) => internalSecretName(metadata.name, spec),
  facts: ({ internalCertificate }) => internalCertificate,
  problem: ({ internalCertificateProblem }) => internalCertificateProblem,
};

const POLICY_HOST: Face = {
  what: 'the certificate of the policy host of MTA-STS',
  field: 'dns.mtaSTS.serve',
  source: ({ dns }) => dns?.mtaSTS?.serve,
  certificate: ({ relay: { metadata } }) => objectNames.policyHostCertificate(metadata.name),
  secret: ({ metadata, spec }) => policyHostSecretName(metadata.name, spec),
  facts: ({ policyHostCertificate }) => policyHostCertificate,
  problem: ({ policyHostCertificateProblem }) => policyHostCertificateProblem,
};

const makeSniFace = ({ secret, names }: NamedPair, index: number): Face => {
  const find = ({ sniCertificates = [] }: PodStatus) => sniCertificates.find((one) => one.secret === secret);
  return {
    what: `the certificate for ${names.join(', ')}`,
    field: `tls.certificates[${index}]`,
    source: ({ tls }) => tls?.certificates?.[index],
    certificate: () => secret,
    secret: () => secret,
    facts: (report) => find(report)?.certificate ?? null,
    problem: (report) => find(report)?.problem ?? null,
  };
};

const listFaces = ({ policy }: World): Face[] => [
  HOST,
  ...(policy?.inbound.internalTls ? [INTERNAL] : []),
  ...(policy?.inbound.sniCertificates ?? []).map(makeSniFace),
  ...(policy?.policyHost ? [POLICY_HOST] : []),
];

/** False for a relay without pods: nobody serves a certificate then, and nothing is wrong with it. */
export function wantsCertificate({ policy, relay }: World): boolean {
  return policy !== undefined && needsKeyPair(policy) && relay.spec.replicas > 0;
}

export function wantsIssuer({ spec }: MailRelay): boolean {
  return listIssuerFields(spec).length > 0;
}

export const certManagerMissing: Check = ({ relay, absentKinds }) => {
  const fields = listIssuerFields(relay.spec);
  if (fields.length === 0 || !absentKinds.includes('Certificate')) return undefined;
  const [are, secrets, them] = fields.length === 1 ? ['is', 'Secret', 'it'] : ['are', 'Secrets', 'them'];
  const cure = `install it, or fill the ${secrets} yourself and remove ${them}`;
  return is(
    'True',
    'CertManagerMissing',
    `${listed(fields)} ${are} set, but there is no cert-manager: ${cure}`,
  );
};

/** No pod serves a certificate, and none is under way. */
export const certificateStalled: Check = (world) => {
  const unserved = listProblems(world, HOST).find(({ report }) => HOST.facts(report) === null);
  if (!unserved) return undefined;
  const { issuerRef } = world.relay.spec.tls ?? {};
  if (!issuerRef) return is('True', readReason(unserved.problem), unserved.text);
  const issue = readIssue(world, HOST.certificate(world));
  return issue?.isFailed ? is('True', 'CertificateNotIssued', notIssued(world, HOST, issue)) : undefined;
};

export const certificateFault: Check = (world) => {
  for (const face of listFaces(world)) {
    const [found] = listProblems(world, face);
    if (!found) continue;
    const issue = readIssue(world, face.certificate(world));
    if (issue && found.problem.reason === 'CertificateMissing')
      return is('False', 'CertificateNotIssued', notIssued(world, face, issue));
    const quote = issue && !issue.isReady ? `; cert-manager: ${explainIssue(world, face, issue)}` : '';
    return is('False', readReason(found.problem), `${found.text}${quote}`);
  }
  return undefined;
};

export const certificateUpdating: Check = (world) => {
  const { replicas } = world.relay.spec;
  const told = reported(world).length;
  if (told < replicas || told < world.pods.length || told === 0) {
    const text = `What is served is known of ${countedAmong(told, replicas, 'pod')}, as pods start or do not answer`;
    return is('Unknown', 'CertificateUpdating', text);
  }
  const differing = listFaces(world).find((face) => {
    const serials = new Set(world.pods.map(({ report }) => report && face.facts(report)?.serial));
    return serials.size > 1 || serials.has(undefined);
  });
  const text = `Pods do not serve the same certificate yet, while a new one arrives: ${differing?.what}`;
  return differing && is('Unknown', 'CertificateUpdating', text);
};

/** A certificate has expired by the clock of the API server, even if no report of a pod says so yet. */
export const certificateEnded: Check = (world) => {
  for (const face of listFaces(world)) {
    const ends = reported(world).flatMap(({ name, report }) => {
      const notAfter = report && face.facts(report)?.notAfter;
      return notAfter !== undefined && Date.parse(notAfter) <= world.now ? [{ name, notAfter }] : [];
    });
    const [ended] = ends;
    if (!ended) continue;
    const text = `Pod ${ended.name} serves a certificate that ended on ${ended.notAfter}`;
    return is('False', 'CertificateExpired', `${text}: renew Secret ${face.secret(world.relay)}`);
  }
  return undefined;
};

export const certificateServed: Check = (world) => {
  const { pods } = world;
  const facts = pods[0]?.report?.certificate;
  const serve = verb(pods.length, 'serves', 'serve');
  const text = `${every(pods.length, 'pod')} ${serve} ${facts?.serial}, valid until ${facts?.notAfter}`;
  return is('True', 'CertificateServed', `${text}${describeNextInternal(world)}`);
};

/** The certificate inside the cluster that waits, by the pod that waits longest. */
function describeNextInternal({ relay, pods }: World): string {
  const waiting = pods.flatMap(({ report }) => report?.nextInternalCertificate ?? []);
  const inOrder = ({ follows, serial }: (typeof waiting)[number]) => `${follows ?? '~'} ${serial}`;
  const last = waiting.toSorted((a, b) => (inOrder(a) < inOrder(b) ? -1 : 1)).at(-1);
  if (!last) return '';
  const when =
    last.follows === null
      ? `two minutes after ConfigMap ${objectNames.authority(relay.metadata.name)} has its authority`
      : `at ${last.follows}, when clients have read its authority`;
  return `; inside the cluster ${last.serial} follows ${when}`;
}

function listProblems(world: World, face: Face) {
  return reported(world).flatMap(({ name, report }) => {
    const problem = report && face.problem(report);
    if (!problem) return [];
    return [{ report, problem, text: `Pod ${name}, Secret ${face.secret(world.relay)}: ${problem.message}` }];
  });
}

function notIssued(world: World, face: Face, issue: Issue): string {
  return `cert-manager has not issued ${face.what}: ${explainIssue(world, face, issue)}`;
}

/** The words of cert-manager, and the cure. */
function explainIssue({ relay: { spec } }: World, { field, source }: Face, issue: Issue): string {
  const { issuerRef } = source(spec) ?? {};
  const issuer = `${issuerRef?.kind ?? 'Issuer'} ${issuerRef?.name ?? ''}`.trim();
  const cure = findIssueCure(issue, { field: `${field}.issuerRef`, issuer });
  return cure === undefined ? quoted(issue.message) : `${quoted(issue.message)}: ${cure}`;
}

function readReason({ reason }: { readonly reason: string }): ReasonName {
  return reason in REASONS ? (reason as ReasonName) : 'CertificateUnreadable';
}

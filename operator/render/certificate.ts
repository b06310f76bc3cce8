/**
 * The cert-manager Certificates that fill the Secrets, if the MailRelay names issuers: one for the host name, one for
 * the names inside the cluster, those for other host names, one for the policy host of MTA-STS. They ask only for
 * serverAuth, because public issuers no longer issue clientAuth. They have a duration only if the spec sets it, because
 * ACME issuers decide it themselves. A key that DNS publishes stays with each renewal. Pure.
 */
import { certificateSecretName, internalSecretName, listSniCertificates } from '#crds/effective.ts';
import { effectiveDns, policyHostSecretName } from '#crds/effectivedns.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import type { Policy } from '#crds/policyfile.ts';
import type { CertificateSource } from '#crds/tls.ts';
import { goDuration } from '#crds/units.ts';
import { findCertificateName, listHostCertificates } from '../records/certificates.ts';
import type { KeyPlan } from '../records/keyplan.ts';
import type { World } from '../world.ts';
import { objectNames, renderMetadata } from './metadata.ts';
import type { Rendered } from './rendered.ts';

const MOST_COMMON_NAME = 64;

const NO_OBJECTS: World['objects'] = new Map();

export function renderCertificates(
  relay: MailRelay,
  policy: Policy,
  keys?: KeyPlan,
  objects: World['objects'] = NO_OBJECTS,
): Rendered[] {
  const { metadata, spec } = relay;
  const { internalTls } = policy.inbound;
  const policyHost = {
    name: objectNames.policyHostCertificate(metadata.name),
    secretName: policyHostSecretName(metadata.name, spec),
  };
  const inside = {
    name: objectNames.internalCertificate(metadata.name),
    secretName: internalSecretName(metadata.name, spec),
  };
  return [
    ...hostCertificates(relay, keys, objects),
    ...certificate(relay, inside, internalTls?.names ?? [], spec.tls?.internal),
    ...listSniCertificates(metadata.name, spec).flatMap(({ secret, hostnames, issuerRef }) =>
      certificate(relay, { name: secret, secretName: secret }, hostnames, { issuerRef }),
    ),
    ...certificate(relay, policyHost, policy.policyHost?.hosts ?? [], spec.dns?.mtaSTS?.serve),
  ];
}

/** The newest one has the key that the spec asks for, an older one keeps the key that it has. */
function hostCertificates(
  relay: MailRelay,
  keys: KeyPlan | undefined,
  objects: World['objects'],
): Rendered[] {
  const { metadata, spec } = relay;
  const served = certificateSecretName(metadata.name, spec);
  const newest = keys?.next?.secret ?? served;
  const live = listHostCertificates({ relay, objects });
  const secrets = new Set([served, newest, ...(keys?.former ?? [])]);
  return [...secrets].flatMap((secretName) => {
    const name = findCertificateName({ relay, objects }, secretName);
    const known = live.find(({ secret }) => secret === secretName)?.privateKey;
    const source = secretName === newest || !known ? spec.tls : { ...spec.tls, privateKey: known };
    const rotation = effectiveDns(spec).tlsa ? 'Never' : 'Always';
    return certificate(relay, { name, secretName }, namesOfHost(spec), source, rotation);
  });
}

function certificate(
  relay: MailRelay,
  { name, secretName }: { readonly name: string; readonly secretName: string | undefined },
  dnsNames: readonly string[],
  source: CertificateSource | undefined,
  rotationPolicy: 'Always' | 'Never' = 'Always',
): Rendered[] {
  const issuer = source?.issuerRef;
  if (!issuer || secretName === undefined) return [];
  return [
    {
      apiVersion: 'cert-manager.io/v1',
      kind: 'Certificate',
      metadata: renderMetadata(relay, name),
      spec: {
        secretName,
        ...commonName(dnsNames),
        dnsNames,
        issuerRef: {
          name: issuer.name,
          kind: issuer.kind ?? 'Issuer',
          group: issuer.group ?? 'cert-manager.io',
        },
        ...renderKey(source, rotationPolicy),
        ...renderTimes(source),
      },
    },
  ];
}

function namesOfHost({ hostname, tls }: MailRelay['spec']): string[] {
  return [...new Set([hostname, ...(tls?.dnsNames ?? [])])];
}

/**
 * The first name that X.509 has room for. Some issuers (Vault with require_cn) refuse a request without a common name,
 * and each wants it among the names.
 */
function commonName(names: readonly string[]) {
  const name = names.find(({ length }) => length <= MOST_COMMON_NAME);
  return name === undefined ? {} : { commonName: name };
}

/** RSA keys have one more usage, because TLS before 1.3 can use them to encrypt in the key exchange. */
function renderKey({ privateKey }: CertificateSource, rotationPolicy: 'Always' | 'Never') {
  const algorithm = privateKey?.algorithm ?? 'ECDSA';
  const size = privateKey?.size ?? { ECDSA: 256, RSA: 2048, Ed25519: undefined }[algorithm];
  return {
    usages: ['digital signature', ...(algorithm === 'RSA' ? ['key encipherment'] : []), 'server auth'],
    privateKey: { algorithm, ...(size === undefined ? {} : { size }), rotationPolicy },
  };
}

/** Without renewBefore every version of cert-manager renews when a third of the time is left. */
function renderTimes({ duration, renewBefore }: CertificateSource) {
  return {
    ...(duration === undefined ? {} : { duration: goDuration(duration) }),
    ...(renewBefore === undefined ? {} : { renewBefore: goDuration(renewBefore) }),
  };
}

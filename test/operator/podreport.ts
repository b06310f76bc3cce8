/**
 * What a pod of pods.ts reports: the policy of the ConfigMap and the certificates of the StatefulSet as served, and the end
 * of an evacuation where the scale file does not want the pod.
 */
import { createHash } from 'node:crypto';
import { listFingerprints } from '#crds/authoritiesfile.ts';
import { identifyStsPolicy } from '#crds/effectivedns.ts';
import type { PodStatus } from '#crds/podstatus.ts';
import { hashContent, type Policy } from '#crds/policyfile.ts';
import { podReport, relayObject } from '#test/fixtures/world.ts';

const SERVED = podReport(relayObject());
/** A certificate that is valid for many years. */
const REPORT = {
  ...SERVED,
  certificate: SERVED.certificate && { ...SERVED.certificate, notAfter: '2999-01-01T00:00:00Z' },
};
export const AUTHORITY = '-----BEGIN CERTIFICATE-----\nAUTHORITY\n-----END CERTIFICATE-----\n';

/** What the pods of one relay read: the policy, the scale file and the authorities file. */
export interface Orders {
  readonly policy: Policy;
  readonly published: readonly string[];
  readonly replicas: number;
  readonly order: string | undefined;
}

/** The Secrets that the template of a StatefulSet mounts, by volume. */
export type Mounts = Readonly<Record<string, string | undefined>>;

/** A new pair inside the cluster, its authority, and the ordinals of the pods that serve it; the others wait. */
export interface NewInside {
  readonly authority: string;
  readonly servedBy: readonly number[];
}

/** The hash of the public key in a Secret: each has its own. */
export function keyIn(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

function factsOf(secret: string | undefined): PodStatus['certificate'] {
  return secret !== undefined && REPORT.certificate
    ? { ...REPORT.certificate, publicKeySha256: keyIn(secret) }
    : null;
}

export function reportOf({ policy, replicas, order }: Orders, ordinal: number, mounts: Mounts): PodStatus {
  const { certificate, 'next-certificate': next } = mounts;
  const hash = `${hashContent(policy)}.${certificate}.${next}`;
  const leaves = ordinal >= replicas;
  return {
    ...REPORT,
    revision: leaves ? `${hash}.${order}` : hash,
    policy: { hash: hashContent(policy), refused: null },
    certificate: certificate === undefined ? REPORT.certificate : factsOf(certificate),
    nextCertificate:
      next === undefined ? null : ({ ...factsOf(next), secret: next } as PodStatus['nextCertificate']),
    evacuation: leaves ? { state: 'Emptied', message: null, order } : null,
    servedPolicy: policy.policyHost && {
      id: identifyStsPolicy(policy.policyHost.text),
      hosts: policy.policyHost.hosts,
    },
    sniCertificates: policy.inbound.sniCertificates.map((one) => ({
      ...one,
      certificate: REPORT.certificate,
      problem: null,
    })),
  };
}

export function reportInside({ published }: Orders, ordinal: number, given: NewInside | undefined) {
  const { certificate } = REPORT;
  const next = given && certificate && { ...certificate, serial: '5B' };
  if (next && given.servedBy.includes(ordinal))
    return { internalCertificate: next, internalAuthority: given.authority };
  const isPublished = listFingerprints(given?.authority ?? '').every((one) => published.includes(one));
  const follows = isPublished ? '2999-01-01T00:00:00Z' : null;
  return {
    internalCertificate: certificate,
    internalAuthority: AUTHORITY,
    nextInternalCertificate: next && { ...next, authority: given.authority, follows },
  };
}

/**
 * Reads from the objects of cert-manager whether a Certificate is issued, under way or failed, and the message about
 * it. The newest CertificateRequest counts before the Certificate, which reports "issuing" even if the issuer does not
 * exist. Pure.
 */
import type { KubeObject } from '../kube/client.ts';
import type { World } from '../world.ts';

export interface Issue {
  readonly isReady: boolean;
  /** True if waiting does not help. */
  readonly isFailed: boolean;
  readonly message: string;
  /** A text that changes with every issued certificate. */
  readonly revision: string;
  readonly notAfter: string | undefined;
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

/** On a CertificateRequest: its Certificate, and how often that was issued. */
export const CERTIFICATE_NAME = 'cert-manager.io/certificate-name';
export const CERTIFICATE_REVISION = 'cert-manager.io/certificate-revision';

export function readIssue({ objects }: World, certificateName: string): Issue | undefined {
  const certificate = objects.get(`Certificate/${certificateName}`);
  if (!certificate) return undefined;
  const { revision = 0, notAfter } = (certificate['status'] ?? {}) as {
    revision?: number;
    notAfter?: string;
  };
  const [ready, issuing] = [findCondition(certificate, 'Ready'), findCondition(certificate, 'Issuing')];
  const isReady = ready?.status === 'True';
  const request = isReady ? undefined : findRequest(objects, certificateName);
  return {
    isReady,
    isFailed: !isReady && (issuing?.status === 'False' || isRefused(request)),
    message:
      request?.message ??
      issuing?.message ??
      ready?.message ??
      'nobody has looked at the Certificate yet: see whether cert-manager runs ("kubectl get pods -n cert-manager")',
    revision: String(revision),
    notAfter,
  };
}

/** The condition that says why the newest request waits, or why it was refused. */
function findRequest(objects: World['objects'], certificateName: string): Condition | undefined {
  const [newest] = [...objects.values()]
    .filter(
      ({ kind, metadata }) =>
        kind === 'CertificateRequest' && metadata.annotations?.[CERTIFICATE_NAME] === certificateName,
    )
    .toSorted((a, b) => readRevision(b) - readRevision(a));
  const ready = newest && findCondition(newest, 'Ready');
  if (!newest || ready?.status === 'True') return undefined;
  return findRefusal(newest) ?? ready ?? findWait(newest);
}

/** An issuer from outside cert-manager may say nothing of a request that an approver, or itself, has refused. */
function findRefusal(request: KubeObject): Condition | undefined {
  for (const [type, words] of REFUSALS) {
    const found = findCondition(request, type);
    if (found?.status !== 'True') continue;
    const { name } = request.metadata;
    const why = found.message ? `: ${found.message}` : '';
    return { ...found, message: `CertificateRequest ${name} ${words}${why}` };
  }
  return undefined;
}

const REFUSALS = [
  ['Denied', 'was denied'],
  ['InvalidRequest', 'is invalid'],
] as const;

/** Nobody has signed the request, and nobody says why. */
function findWait(request: KubeObject): Condition {
  const { name } = request.metadata;
  const message =
    findCondition(request, 'Approved')?.status === 'True'
      ? `no controller has looked at CertificateRequest ${name}, which is approved`
      : `nobody has approved CertificateRequest ${name}`;
  return { type: 'Ready', status: 'False', message };
}

function isRefused(request: Condition | undefined): boolean {
  const { type = '', reason, message = '' } = request ?? {};
  if (REFUSALS.some(([refusal]) => refusal === type)) return true;
  return reason === 'Failed' || reason === 'Denied' || (reason === 'Pending' && / not found$/.test(message));
}

function readRevision({ metadata }: KubeObject): number {
  return Number(metadata.annotations?.[CERTIFICATE_REVISION] ?? 0);
}

function findCondition(object: KubeObject, type: string): Condition | undefined {
  const { conditions = [] } = (object['status'] ?? {}) as { conditions?: Condition[] };
  return conditions.find((condition) => condition.type === type);
}

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
  return ready?.status === 'True' ? undefined : ready;
}

function isRefused(request: Condition | undefined): boolean {
  const { reason, message = '' } = request ?? {};
  return reason === 'Failed' || reason === 'Denied' || (reason === 'Pending' && / not found$/.test(message));
}

function readRevision({ metadata }: KubeObject): number {
  return Number(metadata.annotations?.[CERTIFICATE_REVISION] ?? 0);
}

function findCondition(object: KubeObject, type: string): Condition | undefined {
  const { conditions = [] } = (object['status'] ?? {}) as { conditions?: Condition[] };
  return conditions.find((condition) => condition.type === type);
}

/**
 * The kinds of objects that the operator knows: where they are in the API, and how it watches them. Everything it owns
 * carries the managed-by label, so that caches hold nothing of others.
 */
import { FIELD_MANAGER, GROUP, PLURAL, VERSION } from '#crds/wellknown.ts';

export interface Kind {
  readonly kind: string;
  readonly apiVersion: string;
  readonly plural: string;
}

const MANAGED_LABEL = 'app.kubernetes.io/managed-by';
export const OWNED_SELECTOR = `${MANAGED_LABEL}=${FIELD_MANAGER}`;

const kind = (name: string, apiVersion: string, plural: string): Kind => ({ kind: name, apiVersion, plural });

export const MAIL_RELAY = kind('MailRelay', `${GROUP}/${VERSION}`, PLURAL);
export const POD = kind('Pod', 'v1', 'pods');
export const CLAIM = kind('PersistentVolumeClaim', 'v1', 'persistentvolumeclaims');
export const STATEFUL_SET = kind('StatefulSet', 'apps/v1', 'statefulsets');
export const CERTIFICATE = kind('Certificate', 'cert-manager.io/v1', 'certificates');
/** cert-manager's; it carries the labels of its Certificate, and says why nothing is issued. */
export const CERTIFICATE_REQUEST = kind('CertificateRequest', 'cert-manager.io/v1', 'certificaterequests');
const POD_MONITOR = kind('PodMonitor', 'monitoring.coreos.com/v1', 'podmonitors');

/**
 * What a cluster may not know, and how often it is looked for until it does, in milliseconds: relays may be waiting for
 * cert-manager; nobody waits for a PodMonitor, and rest shall cost nothing.
 */
export const OPTIONAL: ReadonlyMap<Kind, number> = new Map([
  [CERTIFICATE, 30_000],
  [CERTIFICATE_REQUEST, 30_000],
  [POD_MONITOR, 3_600_000],
]);

/** What a MailRelay owns, in the order in which it is applied: the pods last, when all they need is there. */
export const OWNED: readonly Kind[] = [
  kind('ServiceAccount', 'v1', 'serviceaccounts'),
  kind('ConfigMap', 'v1', 'configmaps'),
  CERTIFICATE,
  kind('NetworkPolicy', 'networking.k8s.io/v1', 'networkpolicies'),
  kind('PodDisruptionBudget', 'policy/v1', 'poddisruptionbudgets'),
  kind('Service', 'v1', 'services'),
  POD_MONITOR,
  STATEFUL_SET,
];

/** `/apis/apps/v1/namespaces/mail/statefulsets/relay`; without a name the collection, without a namespace all of them. */
export function apiPath({ apiVersion, plural }: Kind, namespace?: string, name?: string): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const scope = namespace === undefined ? '' : `/namespaces/${namespace}`;
  return `${root}${scope}/${plural}${name === undefined ? '' : `/${name}`}`;
}

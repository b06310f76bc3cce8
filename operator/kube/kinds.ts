/**
 * The kinds of objects that the operator knows: their paths in the API, and how the operator watches them. All its
 * objects carry the managed-by label, so that the caches hold no objects of others. Pure.
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
export const CONFIG_MAP = kind('ConfigMap', 'v1', 'configmaps');
export const STATEFUL_SET = kind('StatefulSet', 'apps/v1', 'statefulsets');
export const CERTIFICATE = kind('Certificate', 'cert-manager.io/v1', 'certificates');
/** cert-manager creates it with the labels of the Certificate. It says why no certificate is issued. */
export const CERTIFICATE_REQUEST = kind('CertificateRequest', 'cert-manager.io/v1', 'certificaterequests');
/** Of external-dns, which brings its records into DNS. */
export const DNS_ENDPOINT = kind('DNSEndpoint', 'externaldns.k8s.io/v1alpha1', 'dnsendpoints');
const POD_MONITOR = kind('PodMonitor', 'monitoring.coreos.com/v1', 'podmonitors');

/**
 * Kinds that a cluster may lack, each with the pause in milliseconds between two looks for it. Relays may wait for
 * cert-manager. Mail waits for neither DNSEndpoint nor PodMonitor, but a person who has just installed one does. The look is a
 * watch, so an idle operator still asks for nothing else.
 */
export const OPTIONAL: ReadonlyMap<Kind, number> = new Map([
  [CERTIFICATE, 30_000],
  [CERTIFICATE_REQUEST, 30_000],
  [DNS_ENDPOINT, 60_000],
  [POD_MONITOR, 60_000],
]);

/**
 * The kinds of objects that a MailRelay owns, in the order of their apply: the StatefulSet last, after all that its
 * pods need.
 */
export const OWNED: readonly Kind[] = [
  kind('ServiceAccount', 'v1', 'serviceaccounts'),
  CONFIG_MAP,
  CERTIFICATE,
  kind('NetworkPolicy', 'networking.k8s.io/v1', 'networkpolicies'),
  kind('PodDisruptionBudget', 'policy/v1', 'poddisruptionbudgets'),
  kind('Service', 'v1', 'services'),
  DNS_ENDPOINT,
  POD_MONITOR,
  STATEFUL_SET,
];

/**
 * `/apis/apps/v1/namespaces/mail/statefulsets/relay`; without a name the collection, without a namespace that of all
 * namespaces.
 */
export function apiPath({ apiVersion, plural }: Kind, namespace?: string, name?: string): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const scope = namespace === undefined ? '' : `/namespaces/${namespace}`;
  return `${root}${scope}/${plural}${name === undefined ? '' : `/${name}`}`;
}

/**
 * Names that several rooms must spell alike: API group, labels, annotations, mounted paths and ports. The only
 * behaviour is to derive one name from another. A changed value here concerns upgrades.
 */
export const GROUP = 'mailrelay.dev';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;
export const KIND = 'MailRelay';
export const PLURAL = 'mailrelays';

/** The single field manager of everything that the operator applies. */
export const FIELD_MANAGER = 'mailrelay-operator';

/** Where a relay finds its inputs and keeps its state inside a pod. */
export const POD_PATHS = {
  policy: '/etc/mailrelay/policy',
  certificate: '/etc/mailrelay/tls',
  /** A folder for each Secret, and each ConfigMap, that the policy names. */
  secrets: '/etc/mailrelay/secrets',
  configMaps: '/etc/mailrelay/configmaps',
  state: '/var/spool/mailrelay',
} as const;

/** In the state folder: where `mailrelay queue` reaches the relay. */
export const CONTROL_SOCKET = 'queue.sock';

/** Health, metrics and status of a relay: plain HTTP, for kubelet, operator and Prometheus only. */
export const ADMIN_PORT = 9090;
/** What pods and Services call it. */
export const ADMIN_PORT_NAME = 'admin';

/** Where a relay takes over the queue of a sibling that leaves: TLS, both ends with the certificate of the relay. */
export const HANDOVER_PORT = 9465;

/** Ports below 1024 are served at 10000 + port, in pods and by `mailrelay run`, so that nothing needs root. */
export function servedPort(port: number): number {
  return port < 1024 ? port + 10_000 : port;
}

export const ANNOTATIONS = {
  /** On a pod: touched so that its kubelet refreshes mounted files at once (otherwise 60 to 90 s). */
  refresh: `${GROUP}/refresh`,
  /** On a MailRelay: "true" pauses reconciling. */
  paused: `${GROUP}/paused`,
  /**
   * On an object of a relay: namespace and release of the operator that made it. On a MailRelay, by a person: the only
   * one that may look after it.
   */
  installation: `${GROUP}/installation`,
  /** On a claim: the uid of the pod that reported it empty, or that it never had a volume. */
  emptied: `${GROUP}/emptied`,
} as const;

/**
 * On a pod, written by the operator: whether clients are to be sent to it. A pod that leaves stays ready, because the
 * StatefulSet controller would wait for it, and goes out of Services and budget by this label.
 */
export const SERVING_LABEL = `${GROUP}/serving`;

/** What Services and the disruption budget select: the pods that take mail. */
export function servingLabels(relayName: string): Record<string, string> {
  return { ...selectorLabels(relayName), [SERVING_LABEL]: 'true' };
}

/** Labels of every object that belongs to one MailRelay; selectors use exactly these three. */
export function selectorLabels(relayName: string): Record<string, string> {
  return {
    'app.kubernetes.io/name': 'mailrelay',
    'app.kubernetes.io/instance': relayName,
    'app.kubernetes.io/component': 'relay',
  };
}

/** Labels that the operator gives its objects itself: nobody else may. */
export const OWN_LABELS: readonly string[] = [
  ...Object.keys(selectorLabels('')),
  'app.kubernetes.io/managed-by',
  'app.kubernetes.io/part-of',
];

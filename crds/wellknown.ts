/**
 * Names that several rooms must spell in the same way: API group, labels, annotations, mounted paths and ports. The
 * only functions derive one name from another. Before you change a value here, think of upgrades.
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
  /** A folder for the Secret whose certificate will be served, while the key rolls over. */
  nextCertificate: '/etc/mailrelay/tls-next',
  /** A folder for each Secret, and each ConfigMap, that the policy names. */
  secrets: '/etc/mailrelay/secrets',
  configMaps: '/etc/mailrelay/configmaps',
  state: '/var/spool/mailrelay',
  /** Of the resolver beside the relay: its configuration, and its own folder of the volume. */
  resolver: '/etc/mailrelay/resolver',
  resolverState: '/var/lib/mailrelay-resolver',
} as const;

/** The socket in the state folder on which the relay answers `mailrelay queue`. */
export const CONTROL_SOCKET = 'queue.sock';

/** Health, metrics and status of a relay: plain HTTP, for kubelet, operator and Prometheus only. */
export const ADMIN_PORT = 9090;
/** Name of that port in pods and Services. */
export const ADMIN_PORT_NAME = 'admin';

/**
 * The port on which a pod takes over the queue of a sibling that leaves: TLS, both ends with the certificate of the
 * relay.
 */
export const HANDOVER_PORT = 9465;

/** Name of the port at which senders get the policy of MTA-STS, in the Service. No listener may have it then. */
export const POLICY_PORT_NAME = 'mta-sts';

/** Names of the containers in the pods of a relay. */
export const RELAY_CONTAINER = 'relay';
export const SIDECAR_CONTAINER = 'resolver';

/** Where the resolver of outbound.resolver.sidecar listens. */
export const SIDECAR_SERVER = { address: '127.0.0.1', port: 10_053 } as const;

/** Ports below 1024 are served at 10000 + port, in pods and by `mailrelay run`, so that nothing needs root. */
export function servedPort(port: number): number {
  return port < 1024 ? port + 10_000 : port;
}

export const ANNOTATIONS = {
  /**
   * On a pod: the operator changes it, so that the kubelet refreshes mounted files at once (otherwise after 60 to 90
   * s).
   */
  refresh: `${GROUP}/refresh`,
  /** On a MailRelay: "true" pauses reconciling. */
  paused: `${GROUP}/paused`,
  /**
   * On an object of a relay: namespace and release of the operator that made it. On a MailRelay: a person names the
   * only operator that may manage it.
   */
  installation: `${GROUP}/installation`,
  /** On the ConfigMap of the policy: the Secret whose certificate the pods serve, where DNS publishes its key. */
  certificate: `${GROUP}/certificate`,
  /**
   * DIGEST@TIME, the next key and since when it is in DNS: on a DNSEndpoint, or on the ConfigMap of the policy where a
   * person publishes the records. On a MailRelay it is the word of a person, which stands for the look-ups of the operator.
   */
  published: `${GROUP}/tlsa-published`,
  /** On the same objects, until there is the former: DIGEST@TIME, the next key and since when its proof is awaited. */
  awaited: `${GROUP}/tlsa-awaited`,
  /** On a DNSEndpoint and the ConfigMap of the policy: until when senders may have copies of records that lived longer. */
  copiesUntil: `${GROUP}/copies-until`,
  /** On a claim: the uid of the pod that reported it empty, or a word for a claim that never had a volume. */
  emptied: `${GROUP}/emptied`,
  /** On a claim: SIZE/CAPACITY, the last queue.storage.size that was granted, and what the volume had then. */
  granted: `${GROUP}/granted`,
} as const;

/**
 * On a pod, written by the operator: whether Services send clients to it. A pod that leaves stays ready, because the
 * StatefulSet controller would wait for an unready one. This label takes it out of Services and the disruption budget.
 */
export const SERVING_LABEL = `${GROUP}/serving`;

/** The labels that Services and the disruption budget select: those of pods that take mail. */
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

/** Labels that the operator sets on its objects. A spec may not set them. */
export const OWN_LABELS: readonly string[] = [
  ...Object.keys(selectorLabels('')),
  'app.kubernetes.io/managed-by',
  'app.kubernetes.io/part-of',
];

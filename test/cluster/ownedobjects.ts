/** The objects that a MailRelay owns, each with an edit by hand, and objects of someone else under their names. */

/** Stands for that of the Prometheus operator, which is not installed here. */
export const POD_MONITORS = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: podmonitors.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: {kind: PodMonitor, plural: podmonitors}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`;

/** Each object of a relay, an edit by hand, and what shows that it was made good. */
export const objectsOf = (relay: string): readonly { object: string; edit: string; shows: string }[] => [
  {
    object: `serviceaccount/${relay}`,
    edit: '{"automountServiceAccountToken":true}',
    shows: 'automountServiceAccountToken',
  },
  { object: `configmap/${relay}-policy`, edit: '{"data":{"policy.v1.json":"{}"}}', shows: 'data' },
  { object: `configmap/${relay}-ca`, edit: '{"data":{"ca.crt":"nobody"}}', shows: 'data' },
  { object: `certificate/${relay}`, edit: '{"spec":{"dnsNames":["a.example"]}}', shows: 'spec.dnsNames' },
  { object: `certificate/${relay}-internal`, edit: '{"spec":{"usages":["any"]}}', shows: 'spec.usages' },
  { object: `networkpolicy/${relay}`, edit: '{"spec":{"ingress":[{}]}}', shows: 'spec.ingress' },
  {
    object: `poddisruptionbudget/${relay}`,
    edit: '{"spec":{"minAvailable":9}}',
    shows: 'spec.minAvailable',
  },
  {
    object: `service/${relay}-pods`,
    edit: '{"spec":{"publishNotReadyAddresses":false}}',
    shows: 'spec.publishNotReadyAddresses',
  },
  { object: `service/${relay}`, edit: '{"spec":{"selector":{"team":"other"}}}', shows: 'spec.selector' },
  {
    object: `podmonitor/${relay}`,
    edit: '{"spec":{"podMetricsEndpoints":[]}}',
    shows: 'spec.podMetricsEndpoints',
  },
  {
    object: `statefulset/${relay}`,
    edit: '{"metadata":{"labels":{"app.kubernetes.io/part-of":"other"}}}',
    shows: 'metadata.labels',
  },
];

/** Objects of someone else under every name that the relay wants; one of them looks like ours, but for its owner. */
export function foreign(namespace: string, relay: string): string[] {
  const bodies: Readonly<Record<string, string>> = {
    serviceaccount: 'apiVersion: v1\nkind: ServiceAccount',
    configmap: 'apiVersion: v1\nkind: ConfigMap',
    certificate:
      'apiVersion: cert-manager.io/v1\nkind: Certificate\nspec: {secretName: foreign, dnsNames: [a.example], issuerRef: {name: ca}}',
    networkpolicy:
      'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nspec: {podSelector: {matchLabels: {a: b}}}',
    poddisruptionbudget:
      'apiVersion: policy/v1\nkind: PodDisruptionBudget\nspec: {selector: {matchLabels: {a: b}}}',
    service: 'apiVersion: v1\nkind: Service\nspec: {ports: [{port: 1}]}',
    podmonitor: 'apiVersion: monitoring.coreos.com/v1\nkind: PodMonitor',
    statefulset:
      'apiVersion: apps/v1\nkind: StatefulSet\nspec: {replicas: 0, serviceName: x, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: a}]}}}',
  };
  return objectsOf(relay).map(({ object }) => {
    const [kind = '', name] = object.split('/');
    const labels =
      kind === 'service'
        ? `, labels: {app.kubernetes.io/managed-by: mailrelay-operator, app.kubernetes.io/instance: ${relay}}`
        : '';
    return `${bodies[kind]}\nmetadata: {name: ${name}, namespace: ${namespace}${labels}}\n`;
  });
}

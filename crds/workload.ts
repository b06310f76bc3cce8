/**
 * The pods and the Service of a MailRelay and the objects around them: size, placement and access. Shapes and bounds.
 * Part of the single source, see mailrelay.ts. The fields have the names of Kubernetes. Values that only the API server
 * can check (an affinity, or whether a class exists) are passed on unchanged, and a refusal becomes a condition.
 */
import { z } from 'zod';
import { peers } from './peers.ts';
import { cidr, cpu, labelKey, labelValue, map, objectName, size, text } from './shapes.ts';

/** The default resource requests of a pod. */
export const DEFAULT_REQUESTS = { cpu: '100m', memory: '192Mi' } as const;

const ANNOTATION_LENGTH = 4096;
const annotations = () => map(z.string().max(ANNOTATION_LENGTH));
const labels = () => map(labelValue());

export const USER_IDS = ['Fixed', 'Assigned'] as const;
export type UserIDs = (typeof USER_IDS)[number];

const toleration = z.object({
  key: labelKey().optional().describe('Key of the taint. Default: all taints, with operator Exists.'),
  operator: z.enum(['Exists', 'Equal']).optional().describe('Default: Equal.'),
  value: labelValue().min(1).optional().describe('Value of the taint, with operator Equal.'),
  effect: z
    .enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])
    .optional()
    .describe('Effect of the taint. Default: all of them.'),
  tolerationSeconds: z
    .int()
    .min(0)
    .max(1_000_000_000)
    .optional()
    .describe('How long a taint of effect NoExecute is tolerated. Default: for ever.'),
});

export const amounts = (cpuMeaning: string, memoryMeaning: string) =>
  z.object({
    cpu: cpu().optional().describe(cpuMeaning),
    memory: size().optional().describe(memoryMeaning),
  });

export const pod = z
  .object({
    resources: z
      .object({
        requests: amounts(
          `Cores that are set aside. Default: ${DEFAULT_REQUESTS.cpu}.`,
          `Memory that is set aside. Default: ${DEFAULT_REQUESTS.memory}.`,
        )
          .optional()
          .describe('Resources that the scheduler reserves for a pod.'),
        limits: amounts(
          'Most cores; one listener process is started for each whole core but one, at least one. Default: unlimited, with at most 4 listener processes.',
          'Most memory; a pod that takes more is killed, and comes back with its queue. Default: unlimited.',
        )
          .optional()
          .describe('Most that a pod may use; not below its requests.'),
      })
      .optional()
      .describe('CPU and memory of a pod, see docs/scaling.md.'),
    nodeSelector: map(labelValue()).optional().describe('Labels that a node must have.'),
    tolerations: z
      .array(toleration)
      .min(1)
      .max(32)
      .optional()
      .describe('Taints of nodes that the pods may run on all the same.'),
    affinity: z
      .record(z.string(), z.unknown(), 'must be an object, as the affinity of a pod')
      .meta({ 'x-kubernetes-preserve-unknown-fields': true })
      .optional()
      .describe(
        'Affinity as in any pod, passed on as it is: see "kubectl explain pod.spec.affinity". Pods are spread over nodes without it.',
      ),
    priorityClassName: objectName().optional().describe('PriorityClass of the pods.'),
    annotations: annotations()
      .optional()
      .describe('Annotations of the pods, for meshes and scrapers. Not under mailrelay.dev/.'),
    labels: labels()
      .optional()
      .describe('Labels of the pods beside those of the operator, for meshes, policies and cost reports.'),
    userIDs: z
      .enum(USER_IDS)
      .optional()
      .describe(
        'Fixed: the pods run as user and group 65532, and their volumes belong to that group. Assigned: the pods ask for no user and no group, because the cluster assigns them, as the SCC restricted-v2 of OpenShift does. Default: what the operator was installed with, mostly Fixed.',
      ),
  })
  .describe(
    'Size and place of the pods. A change replaces them one at a time, and each is drained before it goes.',
  );

export const service = z
  .object({
    type: z
      .enum(['ClusterIP', 'NodePort', 'LoadBalancer'])
      .optional()
      .describe('Type of the Service. Default: ClusterIP.'),
    externalTrafficPolicy: z
      .enum(['Cluster', 'Local'])
      .optional()
      .describe(
        'Local keeps the address of the client, which clients.networks and clientPolicies need. Only for NodePort and LoadBalancer. Default: Local.',
      ),
    annotations: annotations()
      .optional()
      .describe(
        'Annotations of the Service, for the controller of the load balancer. Not under mailrelay.dev/; those that others add stay.',
      ),
    labels: labels()
      .optional()
      .describe('Labels of the Service beside those of the operator, for controllers that select by them.'),
    loadBalancerClass: labelKey()
      .optional()
      .describe(
        'Which implementation makes the load balancer. Only for LoadBalancer; Kubernetes changes it on a new Service alone. Default: that of the cluster.',
      ),
    loadBalancerSourceRanges: z
      .array(cidr())
      .min(1)
      .max(64)
      .optional()
      .describe(
        'Networks that the load balancer lets in, where it can tell. Only for LoadBalancer. Default: all.',
      ),
    ipFamilyPolicy: z
      .enum(['SingleStack', 'PreferDualStack', 'RequireDualStack'])
      .optional()
      .describe('Whether the Service has addresses of both families. Default: SingleStack.'),
  })
  .describe('The Service that clients connect to. A change never touches a pod.');

export const serviceAccount = z
  .object({
    annotations: annotations()
      .optional()
      .describe('Annotations of the ServiceAccount. Not under mailrelay.dev/; those that others add stay.'),
  })
  .describe('The ServiceAccount of the pods. It has no rights, and no token of it is mounted.');

const rendered = (what: string) => z.boolean().optional().describe(`${what} Default: true.`);

export const networkPolicy = z
  .object({
    enabled: rendered(
      'Whether there is a NetworkPolicy for the pods: listeners from everywhere or from their allowFrom, metrics from metricsFrom, queues of pods that leave from their siblings.',
    ),
    metricsFrom: peers()
      .optional()
      .describe(
        'Peers that may read the metrics (port 9090), beside the operator. Default: namespaces with the label mailrelay.dev/monitoring: "true".',
      ),
  })
  .describe(
    'The NetworkPolicy of the pods. It works where the network of the cluster enforces NetworkPolicies.',
  );

export const podDisruptionBudget = z
  .object({
    enabled: rendered('Whether there is a PodDisruptionBudget: one pod at a time may go for a drained node.'),
  })
  .describe('The PodDisruptionBudget of the pods.');

export const podMonitor = z
  .object({
    enabled: rendered('Whether there is a PodMonitor, where the cluster knows such objects.'),
    labels: labels()
      .optional()
      .describe('Labels of the PodMonitor, such as release: those that your Prometheus selects it by.'),
    interval: text('^[1-9][0-9]{0,4}(s|m|h)$', 6, 'seconds, minutes or hours, such as 30s')
      .optional()
      .describe('How often the metrics are read, such as 30s. Default: what your Prometheus is set to.'),
  })
  .describe('The PodMonitor by which the Prometheus operator finds the metrics of the pods.');

export type Resources = NonNullable<z.infer<typeof pod>['resources']>;
export type Amounts = NonNullable<Resources['limits']>;

/**
 * What a MailRelay says of its pods and of its Service: how large, where, and how they are reached. Shapes and bounds; part
 * of the one source of truth, see mailrelay.ts. The fields are those of Kubernetes, by the same names. What only the API
 * server can judge (an affinity, whether a class exists) is passed on as it is, and its refusal becomes a condition.
 */
import { z } from 'zod';
import { cidr, cpu, labelValue, map, objectName, size, text } from './shapes.ts';

/** What a pod asks for unless it is told. */
export const DEFAULT_REQUESTS = { cpu: '100m', memory: '192Mi' } as const;

const LABEL_KEY = '^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$';
const labelKey = () => text(LABEL_KEY, 317, 'a name such as example.com/mail');

const ANNOTATION_LENGTH = 4096;
const annotations = () => map(z.string().max(ANNOTATION_LENGTH));

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

const amounts = (cpuMeaning: string, memoryMeaning: string) =>
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
          .describe('What the scheduler sets aside for a pod.'),
        limits: amounts(
          'Most cores; one listener process is started for each whole core but one, at least one. Default: unlimited, with at most 4 listener processes.',
          'Most memory; a pod that takes more is killed, and comes back with its queue. Default: unlimited.',
        )
          .optional()
          .describe('What a pod may use at most; not below its requests.'),
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

export type Resources = NonNullable<z.infer<typeof pod>['resources']>;
export type Amounts = NonNullable<Resources['limits']>;

/**
 * The StatefulSet of the relay pods: Pod Security level restricted, no token, one claim each for the queue. It has
 * neither the ports of the listeners nor a checksum of the policy, so that a changed policy never replaces a pod
 * (crds/restart.ts). Secrets and ConfigMaps are mounted `optional`, so that a missing object is a reason in the status
 * and the pod does not hang. Pure.
 */
import { certificateSecretName, DEFAULT_STORAGE_SIZE } from '#crds/effective.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import type { Policy } from '#crds/policyfile.ts';
import { listNames, listReferences } from '#crds/references.ts';
import {
  ADMIN_PORT,
  ADMIN_PORT_NAME,
  POD_PATHS,
  RELAY_CONTAINER,
  SERVING_LABEL,
  selectorLabels,
} from '#crds/wellknown.ts';
import { DEFAULT_REQUESTS, type Resources } from '#crds/workload.ts';
import { RESTRICTED, renderResources } from './container.ts';
import { given, withLabels } from './given.ts';
import { managedLabels, objectNames, renderMetadata } from './metadata.ts';
import { canonicalQuantity } from './quantity.ts';
import type { Rendered, RenderSettings } from './rendered.ts';
import { renderSidecar, renderSidecarVolume } from './resolver.ts';

/** The variable with the uid of the pod. */
export const POD_UID = 'POD_UID';
const USER = 65532;
/** A cluster that assigns user ids (restricted-v2 of OpenShift) refuses a pod with fixed ones. */
const FIXED_IDS = { runAsUser: USER, runAsGroup: USER, fsGroup: USER };
const SPREAD_OVER = ['topology.kubernetes.io/zone', 'kubernetes.io/hostname'];
/** Grace, drain of sessions, drain of deliveries, and a margin: see `mailrelay relay --help`. */
const TERMINATION_SECONDS = 360;

export function renderStatefulSet(
  relay: MailRelay,
  policy: Policy,
  settings: RenderSettings,
  { replicas, nextSecret }: { readonly replicas: number; readonly nextSecret?: string | undefined },
): Rendered {
  const { name } = relay.metadata;
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: renderMetadata(relay, name),
    spec: {
      replicas,
      serviceName: objectNames.pods(name),
      // With the other policy, a first pod that is not ready would hold back the other pods and a corrected template.
      podManagementPolicy: 'Parallel',
      // With their defaults, so that what a person sets by hand does not keep pods old, or give them other numbers.
      // Not so maxUnavailable: servers without that feature drop it, and it only lets more pods be replaced at a time.
      minReadySeconds: 0,
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
      ordinals: { start: 0 },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
      selector: { matchLabels: selectorLabels(name) },
      template: {
        metadata: {
          ...withLabels(
            { labels: { ...managedLabels(name), [SERVING_LABEL]: 'true' } },
            relay.spec.pod?.labels,
          ),
          ...given(relay.spec.pod, ['annotations']),
        },
        spec: podSpec(relay, settings, [...listNext(nextSecret), ...listMounts(policy)]),
      },
      ...(isCutThrough(relay) ? {} : { volumeClaimTemplates: [claimTemplate(relay)] }),
    },
  };
}

function podSpec(relay: MailRelay, settings: RenderSettings, references: readonly Mounted[]) {
  const { name } = relay.metadata;
  const sidecar = relay.spec.outbound?.resolver?.sidecar;
  return {
    serviceAccountName: name,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: TERMINATION_SECONDS,
    securityContext: {
      runAsNonRoot: true,
      ...((relay.spec.pod?.userIDs ?? settings.userIDs) === 'Fixed' ? FIXED_IDS : {}),
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    },
    ...(settings.imagePullSecrets.length > 0
      ? { imagePullSecrets: settings.imagePullSecrets.map((secret) => ({ name: secret })) }
      : {}),
    // Rendered for any number of pods, so that scaling does not change the template.
    topologySpreadConstraints: SPREAD_OVER.map((topologyKey) => ({
      maxSkew: 1,
      topologyKey,
      whenUnsatisfiable: 'ScheduleAnyway',
      labelSelector: { matchLabels: selectorLabels(name) },
    })),
    ...given(relay.spec.pod, ['nodeSelector', 'tolerations', 'affinity', 'priorityClassName']),
    ...(sidecar ? { initContainers: [renderSidecar(sidecar, settings)] } : {}),
    containers: [container(name, settings, references, relay.spec.pod?.resources)],
    volumes: volumes(relay, references),
  };
}

function container(
  relayName: string,
  settings: RenderSettings,
  references: readonly Mounted[],
  resources: Resources | undefined,
) {
  const probe = (path: string) => ({ httpGet: { path, port: ADMIN_PORT, scheme: 'HTTP' } });
  return {
    name: RELAY_CONTAINER,
    image: settings.relayImage,
    imagePullPolicy: settings.imagePullPolicy,
    // The last lines of the log go into the status of the pod, for people who look why it ended.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    args: ['relay'],
    env: identity(relayName),
    ports: [{ name: ADMIN_PORT_NAME, containerPort: ADMIN_PORT, protocol: 'TCP' }],
    securityContext: RESTRICTED,
    resources: renderResources(resources, DEFAULT_REQUESTS),
    // A damaged queue is rebuilt before the first answer, at about 25 MB a second.
    startupProbe: { ...probe('/healthz'), periodSeconds: 1, failureThreshold: 3600 },
    livenessProbe: { ...probe('/healthz'), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 },
    readinessProbe: { ...probe('/readyz'), periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 2 },
    volumeMounts: [
      { name: 'policy', mountPath: POD_PATHS.policy, readOnly: true },
      { name: 'certificate', mountPath: POD_PATHS.certificate, readOnly: true },
      ...references.map(({ volume, path }) => ({ name: volume, mountPath: path, readOnly: true })),
      { name: 'spool', mountPath: POD_PATHS.state },
    ],
  };
}

/** The variables by which a pod reports its identity. Where they are set, no report counts without it. */
function identity(relayName: string) {
  const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  return [
    field('POD_NAME', 'metadata.name'),
    field(POD_UID, 'metadata.uid'),
    field('POD_NAMESPACE', 'metadata.namespace'),
    { name: 'RELAY_NAME', value: relayName },
  ];
}

function volumes(relay: MailRelay, references: readonly Mounted[]) {
  const secretName = certificateSecretName(relay.metadata.name, relay.spec);
  return [
    { name: 'policy', configMap: { name: objectNames.policy(relay.metadata.name) } },
    // 0440: only the group of the pod can read the key.
    {
      name: 'certificate',
      ...(secretName ? { secret: { secretName, optional: true, defaultMode: 0o440 } } : { emptyDir: {} }),
    },
    ...references.map(({ volume, source }) => ({ name: volume, ...source })),
    ...(isCutThrough(relay) ? [{ name: 'spool', emptyDir: {} }] : []),
    ...(relay.spec.outbound?.resolver?.sidecar ? [renderSidecarVolume(relay)] : []),
  ];
}

interface Mounted {
  readonly volume: string;
  readonly path: string;
  readonly source: Readonly<Record<string, unknown>>;
}

/** The certificate that the pods will serve when its key has been in DNS for long enough. */
function listNext(secretName: string | undefined): Mounted[] {
  const source = { secret: { secretName, optional: true, defaultMode: 0o440 } };
  return secretName === undefined
    ? []
    : [{ volume: 'next-certificate', path: `${POD_PATHS.nextCertificate}/${secretName}`, source }];
}

/** The volumes have numbers in their names, because names of objects can be too long for a volume, and have dots. */
function listMounts(policy: Policy): Mounted[] {
  const references = listReferences(policy);
  return [
    ...listNames(references, 'Secret').map((name, index) => ({
      volume: `secret-${index}`,
      path: `${POD_PATHS.secrets}/${name}`,
      source: { secret: { secretName: name, optional: true, defaultMode: 0o440 } },
    })),
    ...listNames(references, 'ConfigMap').map((name, index) => ({
      volume: `configmap-${index}`,
      path: `${POD_PATHS.configMaps}/${name}`,
      source: { configMap: { name, optional: true } },
    })),
  ];
}

/** In mode CutThrough the relay keeps no queue, so a folder that ends with the pod is enough. */
function isCutThrough({ spec }: MailRelay): boolean {
  return spec.queue?.mode === 'CutThrough';
}

/** The size that each claim asks for, in a mode with claims. */
export function storageRequest({ queue }: MailRelay['spec']): string {
  return canonicalQuantity(queue?.storage?.size ?? DEFAULT_STORAGE_SIZE);
}

function claimTemplate(relay: MailRelay) {
  const { className } = relay.spec.queue?.storage ?? {};
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'spool', labels: managedLabels(relay.metadata.name) },
    spec: {
      accessModes: ['ReadWriteOnce'],
      ...(className ? { storageClassName: className } : {}),
      resources: { requests: { storage: storageRequest(relay.spec) } },
    },
  };
}

/**
 * The relay pods: restricted, without a token, one claim each for the queue. Container ports are not rendered, and no
 * checksum of the policy either, so that a changed policy never replaces a pod (crds/restart.ts). Secret and ConfigMaps
 * are mounted `optional`, because a missing one shall be a reason in the status and not a pod that hangs. Pure.
 */
import { certificateSecretName, DEFAULT_STORAGE_SIZE } from '#crds/effective.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import { ADMIN_PORT, POD_PATHS, selectorLabels } from '#crds/wellknown.ts';
import { labelsOf, metadataOf, objectNames } from './metadata.ts';
import type { Rendered, RenderSettings } from './rendered.ts';

const USER = 65532;
/** Grace, drain of sessions, drain of deliveries, and a margin: see `mailrelay relay --help`. */
const TERMINATION_SECONDS = 360;

export function renderStatefulSet(relay: MailRelay, settings: RenderSettings): Rendered {
  const { name } = relay.metadata;
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: metadataOf(relay, name),
    spec: {
      replicas: relay.spec.replicas,
      serviceName: objectNames.pods(name),
      // A first pod that is not ready must not hold back the others, nor a corrected template.
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'RollingUpdate' },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
      selector: { matchLabels: selectorLabels(name) },
      template: { metadata: { labels: labelsOf(name) }, spec: podSpec(relay, settings) },
      volumeClaimTemplates: [claimTemplate(relay)],
    },
  };
}

function podSpec(relay: MailRelay, settings: RenderSettings) {
  const { name } = relay.metadata;
  return {
    serviceAccountName: name,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: TERMINATION_SECONDS,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER,
      runAsGroup: USER,
      fsGroup: USER,
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    },
    ...(settings.imagePullSecrets.length > 0
      ? { imagePullSecrets: settings.imagePullSecrets.map((secret) => ({ name: secret })) }
      : {}),
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: 'kubernetes.io/hostname',
        whenUnsatisfiable: 'ScheduleAnyway',
        labelSelector: { matchLabels: selectorLabels(name) },
      },
    ],
    containers: [container(settings)],
    volumes: volumes(relay),
  };
}

function container(settings: RenderSettings) {
  const probe = (path: string) => ({ httpGet: { path, port: ADMIN_PORT, scheme: 'HTTP' } });
  return {
    name: 'relay',
    image: settings.relayImage,
    imagePullPolicy: settings.imagePullPolicy,
    args: ['relay'],
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    resources: { requests: { cpu: '100m', memory: '192Mi' } },
    startupProbe: { ...probe('/healthz'), periodSeconds: 1, failureThreshold: 60 },
    livenessProbe: { ...probe('/healthz'), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 },
    readinessProbe: { ...probe('/readyz'), periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 2 },
    volumeMounts: [
      { name: 'policy', mountPath: POD_PATHS.policy, readOnly: true },
      { name: 'certificate', mountPath: POD_PATHS.certificate, readOnly: true },
      { name: 'trust', mountPath: POD_PATHS.trust, readOnly: true },
      { name: 'spool', mountPath: POD_PATHS.state },
    ],
  };
}

function volumes(relay: MailRelay) {
  const secretName = certificateSecretName(relay.metadata.name, relay.spec);
  const trust = relay.spec.outbound?.tls?.trustConfigMapName;
  return [
    { name: 'policy', configMap: { name: objectNames.policy(relay.metadata.name) } },
    // 0440: the key is read by the pod's group and by nobody else.
    {
      name: 'certificate',
      ...(secretName ? { secret: { secretName, optional: true, defaultMode: 0o440 } } : { emptyDir: {} }),
    },
    { name: 'trust', ...(trust ? { configMap: { name: trust, optional: true } } : { emptyDir: {} }) },
  ];
}

function claimTemplate(relay: MailRelay) {
  const { size = DEFAULT_STORAGE_SIZE, className } = relay.spec.queue?.storage ?? {};
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'spool', labels: labelsOf(relay.metadata.name) },
    spec: {
      accessModes: ['ReadWriteOnce'],
      ...(className ? { storageClassName: className } : {}),
      resources: { requests: { storage: size } },
    },
  };
}

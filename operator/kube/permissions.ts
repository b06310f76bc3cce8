/**
 * Everything that the operator may do, in one table; the RBAC of the chart is generated from it. No Secrets, no
 * pods/exec, no wildcards: pods mount what is secret, and report what they serve. Pure data.
 */
import { LEASE_NAME } from './lease.ts';

export interface Permission {
  readonly group: string;
  readonly resources: readonly string[];
  /** Of these names alone. */
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
  readonly why: string;
}

/** In each namespace whose MailRelays it reconciles. */
export const RELAY_PERMISSIONS: readonly Permission[] = [
  {
    group: 'mailrelay.dev',
    resources: ['mailrelays'],
    verbs: ['get', 'list', 'watch'],
    why: 'what is wanted',
  },
  { group: 'mailrelay.dev', resources: ['mailrelays/status'], verbs: ['patch'], why: 'what is' },
  {
    group: '',
    resources: ['serviceaccounts', 'configmaps', 'services'],
    verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'],
    why: 'objects of a relay',
  },
  {
    group: 'apps',
    resources: ['statefulsets'],
    verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'],
    why: 'the pods of a relay',
  },
  {
    group: 'policy',
    resources: ['poddisruptionbudgets'],
    verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'],
    why: 'objects of a relay',
  },
  {
    group: 'networking.k8s.io',
    resources: ['networkpolicies'],
    verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'],
    why: 'objects of a relay',
  },
  {
    group: 'cert-manager.io',
    resources: ['certificates'],
    verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'],
    why: 'the certificate of a relay, where it names an issuer',
  },
  {
    group: 'cert-manager.io',
    resources: ['certificaterequests'],
    verbs: ['list', 'watch'],
    why: 'why a certificate is not issued',
  },
  {
    group: 'monitoring.coreos.com',
    resources: ['podmonitors'],
    verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'],
    why: 'where to find the metrics of a relay, where the cluster has such objects',
  },
  {
    group: '',
    resources: ['pods'],
    verbs: ['list', 'watch', 'patch'],
    why: 'addresses, the refresh annotation, and the label by which Services find a pod',
  },
  {
    group: '',
    resources: ['persistentvolumeclaims'],
    verbs: ['get', 'list', 'watch', 'patch', 'delete'],
    why: 'larger queues, and those that were handed over',
  },
  { group: 'events.k8s.io', resources: ['events'], verbs: ['create'], why: 'what happened' },
  {
    group: '',
    resources: ['events'],
    verbs: ['list'],
    why: 'why pods or volumes do not come about: a quota, a missing StorageClass',
  },
];

/** In its own namespace; the second Lease is the one of operators before there were installations. */
export function ownPermissions(leaseName: string): Permission[] {
  return [
    {
      group: 'coordination.k8s.io',
      resources: ['leases'],
      resourceNames: [...new Set([leaseName, LEASE_NAME])],
      verbs: ['get', 'update'],
      why: 'leader election',
    },
    {
      group: 'coordination.k8s.io',
      resources: ['leases'],
      verbs: ['create'],
      why: 'leader election; what is made cannot be limited by name',
    },
  ];
}

/** Of an operator that was not installed by its chart. */
export const OWN_PERMISSIONS = ownPermissions(LEASE_NAME);

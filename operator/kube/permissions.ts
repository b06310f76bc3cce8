/**
 * All permissions of the operator in one table, from which the RBAC of the chart is generated. It has no Secrets, no
 * pods/exec and no wildcards: pods mount the Secrets and report what they serve. Pure data.
 */

/**
 * The Lease of an operator that was not installed by its chart, and of every operator of versions without
 * installations.
 */
export const LEASE_NAME = 'mailrelay-operator';

export interface Permission {
  readonly group: string;
  readonly resources: readonly string[];
  /** The permission is only for objects of these names. */
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
  readonly why: string;
}

/** Permissions in each namespace whose MailRelays the operator reconciles. */
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
    group: 'externaldns.k8s.io',
    resources: ['dnsendpoints'],
    verbs: ['get', 'list', 'watch', 'create', 'patch', 'delete'],
    why: 'the DNS records of a relay, where it publishes them by external-dns',
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
    why: 'addresses, the refresh annotation, the label by which Services find a pod, and labels that somebody took away',
  },
  {
    group: '',
    resources: ['persistentvolumeclaims'],
    verbs: ['get', 'list', 'watch', 'patch', 'delete'],
    why: 'larger queues, those that were handed over, and labels that somebody took away',
  },
  { group: 'events.k8s.io', resources: ['events'], verbs: ['create'], why: 'what happened' },
  {
    group: '',
    resources: ['events'],
    verbs: ['list'],
    why: 'why pods, volumes or addresses do not come about: a quota, a missing StorageClass',
  },
];

/** Permissions in the namespace of the operator. The second Lease is that of versions without installations. */
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

/** The permissions of an operator that was not installed by its chart. */
export const OWN_PERMISSIONS = ownPermissions(LEASE_NAME);

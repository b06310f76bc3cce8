/**
 * The kind DNSEndpoint of external-dns, as far as the operator writes it, with the bounds that its newest version has. An
 * API server refuses what does not fit.
 */
import type { KubeObject } from '#operator/kube/client.ts';
import { apiPath, type Kind } from '#operator/kube/kinds.ts';
import { until } from '#test/kit/wait.ts';
import type { Plane } from './plane.ts';

export const DNS_ENDPOINT: Kind = {
  kind: 'DNSEndpoint',
  apiVersion: 'externaldns.k8s.io/v1alpha1',
  plural: 'dnsendpoints',
};
const CRD: Kind = {
  kind: 'CustomResourceDefinition',
  apiVersion: 'apiextensions.k8s.io/v1',
  plural: 'customresourcedefinitions',
};
const NAME = 'dnsendpoints.externaldns.k8s.io';
const text = (maxLength: number) => ({ type: 'string', minLength: 1, maxLength });

const ENDPOINT = {
  type: 'object',
  required: ['dnsName', 'recordType'],
  properties: {
    dnsName: {
      ...text(253),
      pattern: '^[a-zA-Z0-9_][-a-zA-Z0-9_]{0,62}(\\.[a-zA-Z0-9_][-a-zA-Z0-9_]{0,62})*$',
    },
    recordType: { type: 'string', enum: ['A', 'AAAA', 'CNAME', 'TLSA', 'TXT'] },
    recordTTL: { type: 'integer', format: 'int64', minimum: 0 },
    targets: { type: 'array', maxItems: 1000, items: text(4096) },
  },
};

/** What external-dns has seen. It proves nothing of DNS. */
const STATUS = { type: 'object', properties: { observedGeneration: { type: 'integer', format: 'int64' } } };

export async function installDnsEndpoint(api: Plane): Promise<void> {
  const spec = {
    type: 'object',
    properties: { endpoints: { type: 'array', maxItems: 1000, items: ENDPOINT } },
  };
  const { kind, plural } = DNS_ENDPOINT;
  await api.put(
    {
      apiVersion: CRD.apiVersion,
      kind: CRD.kind,
      metadata: {
        name: NAME,
        // The API server wants it of every kind in a group of Kubernetes.
        annotations: { 'api-approved.kubernetes.io': 'unapproved, for a test' },
      },
      spec: {
        group: 'externaldns.k8s.io',
        scope: 'Namespaced',
        names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase() },
        versions: [
          {
            name: 'v1alpha1',
            served: true,
            storage: true,
            subresources: { status: {} },
            schema: { openAPIV3Schema: { type: 'object', properties: { spec, status: STATUS } } },
          },
        ],
      },
    } as KubeObject,
    CRD.plural,
  );
  await until('DNSEndpoints to be served', () =>
    api.admin.request({ method: 'GET', path: apiPath(DNS_ENDPOINT) }),
  );
}

export async function removeDnsEndpoint(api: Plane): Promise<void> {
  await api.admin.request({ method: 'DELETE', path: apiPath(CRD, undefined, NAME) });
}

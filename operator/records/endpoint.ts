/** The DNSEndpoint from which external-dns brings the records of a relay into DNS. Pure. */
import type { DnsRecord } from '#crds/dnsrecords.ts';
import { effectiveDns } from '#crds/effectivedns.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import { renderMetadata } from '../render/metadata.ts';
import type { Rendered } from '../render/rendered.ts';

export function renderDnsEndpoint(
  relay: MailRelay,
  records: readonly DnsRecord[],
  marks: Readonly<Record<string, string>> = {},
): Rendered | undefined {
  const { endpointTypes } = effectiveDns(relay.spec);
  const endpoints = records.filter(({ type }) => endpointTypes.includes(type));
  if (endpoints.length === 0) return undefined;
  return {
    apiVersion: 'externaldns.k8s.io/v1alpha1',
    kind: 'DNSEndpoint',
    metadata: {
      ...renderMetadata(relay, relay.metadata.name),
      ...(Object.keys(marks).length > 0 ? { annotations: marks } : {}),
    },
    spec: {
      endpoints: endpoints.map(({ name, type, ttl, values }) => ({
        dnsName: name,
        recordType: type,
        recordTTL: ttl,
        targets: values,
      })),
    },
  };
}

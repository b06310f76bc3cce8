/**
 * The records that were published before: those of the DNSEndpoint, or without one those of the status. Records whose
 * values only pods can tell stay as they are while no pod tells them. Pure.
 */
import type { DnsRecord } from '#crds/dnsrecords.ts';
import type { World } from '../world.ts';

interface Endpoint {
  readonly dnsName?: string;
  readonly recordType?: string;
  readonly recordTTL?: number;
  readonly targets?: readonly string[];
}

export function listPublished({ relay, objects }: Pick<World, 'relay' | 'objects'>): DnsRecord[] {
  const live = objects.get(`DNSEndpoint/${relay.metadata.name}`);
  const { endpoints } = (live?.['spec'] ?? {}) as { endpoints?: readonly Endpoint[] };
  if (!endpoints) return [...(relay.status?.dnsRecords ?? [])];
  return endpoints.flatMap(({ dnsName, recordType, recordTTL = 0, targets = [] }) =>
    dnsName !== undefined && (recordType === 'TLSA' || recordType === 'TXT')
      ? [{ name: dnsName, type: recordType, ttl: recordTTL, values: targets }]
      : [],
  );
}

export function valuesOf(records: readonly DnsRecord[], name: string, type: DnsRecord['type']): string[] {
  return records.filter((record) => record.name === name && record.type === type).flatMap((r) => r.values);
}

/**
 * The records that were published before: those of the DNSEndpoint, and where it has not their type those of the status. Records whose
 * values only pods can tell stay as they are while no pod tells them. Pure.
 */
import { type DnsRecord, LONGEST_TTL_SECONDS } from '#crds/dnsrecords.ts';
import { effectiveDns } from '#crds/effectivedns.ts';
import type { KubeObject } from '../kube/client.ts';
import type { World } from '../world.ts';

interface Endpoint {
  readonly dnsName?: string;
  readonly recordType?: string;
  readonly recordTTL?: number;
  readonly targets?: readonly string[];
}

type Observed = Pick<World, 'relay' | 'objects'>;

export function findEndpoint({ relay, objects }: Observed): KubeObject | undefined {
  return objects.get(`DNSEndpoint/${relay.metadata.name}`);
}

export function listPublished(world: Observed): DnsRecord[] {
  const { endpoints } = (findEndpoint(world)?.['spec'] ?? {}) as { endpoints?: readonly Endpoint[] };
  const told = world.relay.status?.dnsRecords ?? [];
  if (!endpoints) return [...told];
  const { endpointTypes } = effectiveDns(world.relay.spec);
  const written = endpoints.flatMap(({ dnsName, recordType, recordTTL = 0, targets = [] }) => {
    const type = endpointTypes.find((one) => one === recordType);
    return dnsName !== undefined && type ? [{ name: dnsName, type, ttl: recordTTL, values: targets }] : [];
  });
  return [...written, ...told.filter(({ type }) => !endpointTypes.includes(type))];
}

export function listValues(records: readonly DnsRecord[], name: string, type: DnsRecord['type']): string[] {
  return records.filter((record) => record.name === name && record.type === type).flatMap((r) => r.values);
}

/**
 * The longest time to live of the TLSA records that were published; 0 if there are none. Somebody can write any figure into a
 * DNSEndpoint.
 */
export function liveTtlSeconds(world: Observed): number {
  const ttls = listPublished(world).flatMap(({ type, ttl }) => (type === 'TLSA' ? [ttl] : []));
  return Math.min(LONGEST_TTL_SECONDS, Math.max(0, ...ttls));
}

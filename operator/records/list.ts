/**
 * The DNS records that belong to a relay: TLSA of the keys that its pods serve and of the next one, the keys of DKIM, MTA-STS and its
 * policy hosts, and TLS reporting. Keys come from the reports of the pods, because the operator reads no Secrets. While a pod is missing or
 * silent, what was published stays beside what the others report: a record that is taken away too early makes mail wait.
 * Pure.
 */
import { type DnsRecord, dkimName, dkimValue, quoteText, tlsaName, tlsaValue } from '#crds/dnsrecords.ts';
import { listenerNeedsKeyPair } from '#crds/effective.ts';
import {
  describeStsPolicy,
  effectiveDns,
  HTTPS_PORT,
  identifyStsPolicy,
  policyHostName,
} from '#crds/effectivedns.ts';
import type { Policy } from '#crds/policyfile.ts';
import type { World } from '../world.ts';
import { servedKeys, toldNextKeys } from './keys.ts';
import { listPublished, listValues } from './published.ts';

type Observed = Pick<World, 'relay' | 'policy' | 'pods' | 'leaving' | 'strangers' | 'lacking' | 'objects'>;

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
/** More keys than this are served by no relay, whatever its pods report. */
const MOST_KEYS = 16;
const LONGEST_NAME = 253;

/** Those of the keys first, because the status has room for a part of many. */
export function listRecords(world: Observed): DnsRecord[] {
  const { relay, policy } = world;
  if (!policy) return listPublished(world);
  const ttl = effectiveDns(relay.spec).ttlSeconds;
  const records = [
    ...listTlsa(world, policy),
    ...listDkim(world, policy),
    ...listMtaSts(world, policy),
    ...listPolicyHosts(policy),
    ...listTlsReporting(relay.spec),
  ];
  return records
    .map((record) => ({ ...record, ttl }))
    .filter(({ name, values }) => values.length > 0 && name.length <= LONGEST_NAME);
}

type Data = Omit<DnsRecord, 'ttl'>;

function listTlsa(world: Observed, { hostname, inbound }: Policy): Data[] {
  if (!effectiveDns(world.relay.spec).tlsa) return [];
  const served = servedKeys(world);
  const digests = [...served.digests, ...toldNextKeys(world)];
  const published = listPublished(world);
  return inbound.listeners.filter(listenerNeedsKeyPair).map(({ port }) => {
    const name = tlsaName(hostname, port);
    const stands = served.isComplete ? [] : listValues(published, name, 'TLSA');
    const values = [...new Set([...digests.map(tlsaValue), ...stands])].toSorted();
    return { name, type: 'TLSA', values: values.slice(0, MOST_KEYS) };
  });
}

/** A key that no pod tells is kept as it was published. Of pods that disagree the first one counts. */
function listDkim(world: Observed, { outbound }: Policy): Data[] {
  const told = [...world.pods, ...world.leaving].flatMap(({ report }) => report?.dkimKeys ?? []);
  const published = listPublished(world);
  const records = outbound.dkim.map(({ domain, selector }): Data => {
    const name = dkimName(domain, selector);
    const key = told.find((one) => one.domain === domain && one.selector === selector);
    const values = key && BASE64.test(key.publicKey) ? [dkimValue(key)] : listValues(published, name, 'TXT');
    return { name, type: 'TXT', values: values.slice(0, 1) };
  });
  return [...new Map(records.map((record) => [record.name, record])).values()];
}

/**
 * Senders fetch the policy when they see a new id. So the id of a policy that the pods serve is listed when every pod
 * serves it under that name. Until then the id before it stays, and a domain that had none gets none.
 */
function listMtaSts(world: Observed, { policyHost }: Policy): Data[] {
  const { spec } = world.relay;
  const { mtaSts } = effectiveDns(spec);
  if (!mtaSts) return [];
  const id = identifyStsPolicy(describeStsPolicy(mtaSts));
  const published = listPublished(world);
  return acceptedDomains(spec).map((domain) => {
    const name = `_mta-sts.${domain}`;
    const isFetchable = policyHost === null || isServedByAll(world, id, policyHostName(domain));
    const values = isFetchable
      ? [quoteText(`v=STSv1; id=${id};`)]
      : listValues(published, name, 'TXT').slice(0, 1);
    return { name, type: 'TXT', values };
  });
}

function isServedByAll({ relay, pods }: Observed, id: string, host: string): boolean {
  const told = pods.map(({ report }) => report?.servedPolicy);
  return (
    pods.length > 0 &&
    pods.length >= relay.spec.replicas &&
    told.every((served) => served?.id === id && served.hosts.includes(host))
  );
}

/** Where to ask for the policy: at the address of the relay itself, if that serves the only port that is asked. */
function listPolicyHosts({ policyHost, hostname }: Policy): Data[] {
  if (policyHost?.port !== HTTPS_PORT) return [];
  return policyHost.hosts
    .filter((host) => host !== hostname)
    .map((name) => ({ name, type: 'CNAME', values: [hostname] }));
}

function listTlsReporting(spec: World['relay']['spec']): Data[] {
  const { rua } = effectiveDns(spec);
  if (rua.length === 0) return [];
  return acceptedDomains(spec).map((domain) => ({
    name: `_smtp._tls.${domain}`,
    type: 'TXT',
    values: [quoteText(`v=TLSRPTv1; rua=${rua.join(',')}`)],
  }));
}

const acceptedDomains = ({ inbound }: World['relay']['spec']) => [...new Set(inbound.acceptDomains ?? [])];

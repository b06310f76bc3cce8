/**
 * The DNS records that belong to a relay: TLSA of the keys that its pods serve and of the next one, the keys of DKIM, MTA-STS and TLS
 * reporting. Keys come from the reports of the pods, because the operator reads no Secrets. While a pod is missing or
 * silent, what was published stays beside what the others report: a record that is taken away too early makes mail wait.
 * Pure.
 */
import { type DnsRecord, quoteText, tlsaName, tlsaValue } from '#crds/dnsrecords.ts';
import { listenerNeedsKeyPair } from '#crds/effective.ts';
import { describeStsPolicy, effectiveDns } from '#crds/effectivedns.ts';
import { hashContent, type Policy } from '#crds/policyfile.ts';
import type { World } from '../world.ts';
import { servedKeys, toldNextKeys } from './keys.ts';
import { listPublished, listValues } from './published.ts';

type Observed = Pick<World, 'relay' | 'policy' | 'pods' | 'leaving' | 'objects'>;

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
    ...listMtaSts(relay.spec),
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
    const name = `${selector}._domainkey.${domain}`;
    const key = told.find((one) => one.domain === domain && one.selector === selector);
    const values =
      key && BASE64.test(key.publicKey)
        ? [quoteText(`v=DKIM1; k=${key.type}; p=${key.publicKey}`)]
        : listValues(published, name, 'TXT');
    return { name, type: 'TXT', values: values.slice(0, 1) };
  });
  return [...new Map(records.map((record) => [record.name, record])).values()];
}

function listMtaSts(spec: World['relay']['spec']): Data[] {
  const { mtaSts } = effectiveDns(spec);
  if (!mtaSts) return [];
  const id = hashContent(describeStsPolicy(mtaSts));
  return acceptedDomains(spec).map((domain) => ({
    name: `_mta-sts.${domain}`,
    type: 'TXT',
    values: [quoteText(`v=STSv1; id=${id};`)],
  }));
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

/**
 * Names that only the cluster or the local network knows. They are looked up by the system: the servers of
 * outbound.resolver would send them to the root of the DNS, which does not know them, and mail would be returned.
 */
import { SYSTEM_DNS } from '../dns/system.ts';
import { plainName } from './hostname.ts';

/** A name without a dot, also below labels such as _mta-sts, and ends that the public DNS never has (RFC 6761, RFC 6762). */
const LOCAL = /^(_[^.]+\.)*[^.]+$|\.(svc|local|localhost|internal)$/;

/** Of the text of resolv.conf that was read last. */
let known = { text: '', ends: [] as readonly string[] };

export function isLocalName(host: string, ends: readonly string[] = findClusterEnds()): boolean {
  const name = plainName(host);
  return LOCAL.test(name) || ends.some((end) => name.endsWith(end));
}

/** `.svc.DOMAIN` of the cluster, whatever its domain is: Kubernetes writes it into the search list of each pod. */
export function listClusterEnds(resolvConf: string): string[] {
  const domains = [...resolvConf.matchAll(/^search\s+(.*)$/gm)].flatMap(([, list = '']) => list.split(/\s+/));
  return domains
    .map(plainName)
    .filter((domain) => domain.startsWith('svc.'))
    .map((domain) => `.${domain}`);
}

function findClusterEnds(): readonly string[] {
  const { text } = SYSTEM_DNS;
  if (text !== known.text) known = { text, ends: listClusterEnds(text) };
  return known.ends;
}

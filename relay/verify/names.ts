/** Asks the DNS as mailauth does: a function of name and type, that rejects with the codes of Node. */
import type { Policy } from '#crds/policyfile.ts';
import { DnsResolver } from '../dns/resolver.ts';
import { SYSTEM_DNS } from '../dns/system.ts';
import { monotonic } from '../task/clock.ts';

// biome-ignore lint/suspicious/noExplicitAny: mailauth takes the records of every type as one type.
export type AskDns = (name: string, type: string) => Promise<any>;

type AskedType = 'A' | 'AAAA' | 'MX' | 'TXT';
const ASKED: readonly string[] = ['A', 'AAAA', 'MX', 'TXT'] satisfies readonly AskedType[];

/** The servers of outbound.resolver, or those of the system. */
export function makeAskDns({ outbound }: Pick<Policy, 'outbound'>): AskDns {
  if (outbound.resolver === null) return (name, type) => SYSTEM_DNS.resolver.resolve(name, type);
  const dns = new DnsResolver({ ...outbound.resolver, clock: monotonic });
  return async (name, type) => {
    // The mechanism ptr of SPF is never a match: "do not use" (RFC 7208 section 5.5).
    if (!isAsked(type)) throw failure('ENODATA', `${type} is not asked`);
    const answer = await dns.lookUp(name, type);
    if (answer.kind === 'records') return answer.records;
    if (answer.kind === 'absent') throw failure(answer.exists ? 'ENODATA' : 'ENOTFOUND', 'there is none');
    throw failure('ESERVFAIL', answer.why);
  };
}

function isAsked(type: string): type is AskedType {
  return ASKED.includes(type);
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

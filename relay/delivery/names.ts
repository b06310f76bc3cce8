/**
 * Who is asked about names of mail hosts: the DNS of the system, or the servers of outbound.resolver (room dns). The
 * DNS of the system proves nothing. c-ares asks for the name unchanged, never the search list or /etc/hosts.
 */
import { Resolver } from 'node:dns/promises';
import type { DnsAnswer } from '../dns/resolver.ts';
import { SYSTEM_DNS } from '../dns/system.ts';
import { isLocalName } from './localnames.ts';

type MailType = 'MX' | 'A' | 'AAAA' | 'TXT';

export interface MailNames {
  lookUp<Type extends MailType>(name: string, type: Type): Promise<DnsAnswer<Type>>;
}

type Records<Type extends MailType> = Extract<DnsAnswer<Type>, { kind: 'records' }>['records'];

const ASK: Readonly<Record<MailType, (by: Resolver, name: string) => Promise<unknown>>> = {
  MX: (by, name) => by.resolveMx(name),
  A: (by, name) => by.resolve4(name),
  AAAA: (by, name) => by.resolve6(name),
  TXT: (by, name) => by.resolveTxt(name),
};

export const SYSTEM_NAMES: MailNames = {
  lookUp: async <Type extends MailType>(name: string, type: Type): Promise<DnsAnswer<Type>> => {
    const by = SYSTEM_DNS.resolver;
    const answer = await ask(by, name, type);
    return isUnasked(answer) ? ((await askEach(by.getServers(), name, type)) ?? answer) : answer;
  },
};

async function ask<Type extends MailType>(by: Resolver, name: string, type: Type): Promise<DnsAnswer<Type>> {
  try {
    const records = (await ASK[type](by, name)) as Records<Type>;
    return { kind: 'records', name, records, isSigned: false };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENODATA' || code === 'ENOTFOUND')
      return { kind: 'absent', name, exists: code === 'ENODATA', isSigned: false };
    const ours = UNASKED.has(code ?? '') ? { isUnasked: true as const } : {};
    return { kind: 'failed', why: explainDns(error), isBogus: false, ...ours };
  }
}

/** c-ares has the first for all that keeps a question from going out, as where no socket can be made. */
const UNASKED = new Set(['ECONNREFUSED', 'ENOMEM']);

/** Of several servers c-ares tells what became of the last one: another may have been reached. Undefined: none was. */
async function askEach<Type extends MailType>(servers: readonly string[], name: string, type: Type) {
  if (servers.length < 2) return undefined;
  const asked = servers.map((server) => {
    const by = new Resolver();
    by.setServers([server]);
    return ask(by, name, type);
  });
  const answers = await Promise.all(asked);
  return answers.find(({ kind }) => kind !== 'failed') ?? answers.find((answer) => !isUnasked(answer));
}

function isUnasked(answer: DnsAnswer<MailType>): boolean {
  return answer.kind === 'failed' && answer.isUnasked === true;
}

/** Asks `servers`, but the system about names that only the cluster or the local network knows. */
export function namesBy(servers: MailNames, system: MailNames = SYSTEM_NAMES): MailNames {
  return { lookUp: (name, type) => (isLocalName(name) ? system : servers).lookUp(name, type) };
}

/** Words for the error codes of c-ares and of the system. */
const DNS_WORDS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'the name does not exist',
  ENODATA: 'the name has no address',
  EAI_AGAIN: 'the name server does not answer',
  ETIMEOUT: 'the name server does not answer',
  ECONNREFUSED: 'the name server cannot be reached',
  ESERVFAIL: 'the name server cannot resolve it (SERVFAIL)',
  EREFUSED: 'the name server refuses to answer (REFUSED)',
};

export function explainDns(error: unknown): string {
  const { code = 'no answer' } = error as NodeJS.ErrnoException;
  return DNS_WORDS[code] ?? code;
}

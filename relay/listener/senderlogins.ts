/**
 * Which senders the client of a session may use, as Postfix's reject_sender_login_mismatch. A login is bound by the
 * Secret of users and by `clients.senderLogins`, and a client without a login by the names of its certificate. Who is
 * named nowhere may use any sender. The null sender is always taken, as bounces have it, but not in the header. Pure,
 * over prebuilt lists.
 */
import type { Clients } from '#crds/policyfile.ts';
import { compileReadableSenders, type SenderMatcher } from '../addresses/senders.ts';
import { nameIsAllowed } from '../auth/certificatenames.ts';
import type { OriginatorFault } from '../headers/originators.ts';
import type { Identity } from './relaying.ts';
import { type Reply, senderMismatch } from './reply.ts';

/** The senders of a client that may not use all. */
export interface OwnSenders {
  /** The client in words: a login, or a name of its certificate. */
  readonly whose: string;
  readonly allows: SenderMatcher;
}

export type FindOwnSenders = (identity: Identity) => OwnSenders | undefined;

export function compileSenderLogins({ senderLogins }: Pick<Clients, 'senderLogins'>): FindOwnSenders {
  const entries = senderLogins.map(({ senders, ...entry }) => ({
    ...entry,
    allows: compileReadableSenders(senders),
  }));
  return ({ login, certificateNames }) => {
    if (entries.length === 0 && !login?.senders) return undefined;
    const named = entries.filter((entry) =>
      login
        ? entry.logins.some((pattern) => matchesLogin(pattern, login.name))
        : nameIsAllowed(certificateNames, entry.certificateNames),
    );
    const matchers = [...(login?.senders ? [login.senders] : []), ...named.map(({ allows }) => allows)];
    if (matchers.length === 0) return undefined;
    const bound = certificateNames.find((name) =>
      named.some((entry) => nameIsAllowed([name], entry.certificateNames)),
    );
    const whose = login ? `login "${login.name}"` : `certificate "${bound}"`;
    return { whose, allows: (address) => matchers.some((allows) => allows(address)) };
  };
}

/** `from` is complete: an address without a domain has got that of the relay. */
export function refusalOfMailFrom(own: OwnSenders | undefined, from: string): Reply | undefined {
  if (!own || from === '' || own.allows(from)) return undefined;
  return senderMismatch(`sender <${from}> is not one of ${own.whose}`);
}

export function refusalOfHeader({ whose }: OwnSenders, fault: OriginatorFault): Reply {
  switch (fault.kind) {
    case 'not allowed':
      return senderMismatch(`${fault.field} address <${fault.address}> is not one of ${whose}`);
    case 'unreadable':
      return senderMismatch(`${fault.field} has no plain address, so it is not one of ${whose}`);
    case 'several':
      return senderMismatch(`there are several ${fault.field} fields, and ${whose} may use only its own`);
    case 'no From':
      return senderMismatch(`there is no From field, and ${whose} must name one of its own`);
    case 'unreadable header':
      return senderMismatch(`the header is too long or not in order, and ${whose} may use only its own From`);
  }
}

function matchesLogin(pattern: string, login: string): boolean {
  return pattern.endsWith('*') ? login.startsWith(pattern.slice(0, -1)) : login === pattern;
}

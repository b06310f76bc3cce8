/**
 * Decides who may relay, and where to. A client in a trusted network, with a login, or with a certificate with an
 * allowed name may send within the restrictions. Every other client may send only to the accepted domains, and to the
 * address for TLS reports. By default no client may send anything. Pure, over prebuilt lists.
 */
import { listCovers, makeBlockList } from '#crds/networks.ts';
import { compilePatterns, type Matcher } from '#crds/patterns.ts';
import type { Clients, Policy } from '#crds/policyfile.ts';
import { isRouting, readMailbox } from '../addresses/address.ts';
import { isSrs } from '../addresses/srs.ts';
import { nameIsAllowed } from '../auth/certificatenames.ts';
import type { Login } from '../auth/users.ts';
import { dropOldest } from '../task/oldest.ts';
import { countedAs } from './clientnetwork.ts';
import { REPLIES, type Reply } from './reply.ts';

/** Clients whose network was looked up. */
const REMEMBERED = 1_000;

/** The known identity of the client of a session. */
export interface Identity {
  readonly client: string;
  /** Set only under TLS. */
  readonly login: Login | null;
  /** The names in a client certificate of a trusted authority. */
  readonly certificateNames: readonly string[];
}

export interface Relaying {
  readonly isInTrustedNetwork: (client: string) => boolean;
  /** The client name for limits. Pods share a /64, so a client of a trusted network is counted by address. */
  readonly countedAs: (client: string) => string;
  readonly mayRelay: (identity: Identity) => boolean;
  /** What the login is counted as, or the certificate that counts as one. Undefined: the client has neither. */
  readonly loginOf: (identity: Identity) => string | undefined;
  /** True for a login, or for a certificate that counts as a login. */
  readonly isLoggedIn: (identity: Identity) => boolean;
  readonly refusalOfRecipient: (identity: Identity, from: string, to: string) => Reply | undefined;
}

export function makeRelaying(
  clients: Clients,
  acceptDomains: readonly string[],
  isReportAddress: Matcher = () => false,
  srsDomain: string | null = null,
): Relaying {
  const trusted = makeBlockList(clients.networks);
  const accepted = new Set(acceptDomains);
  const isAllowedDomain = restriction(clients.senderDomains);
  const isAllowedSender = (from: string) =>
    clients.senderDomains === null || isAllowedDomain(readMailbox(from)?.domain ?? '');
  const isAllowedRecipient = restriction(clients.recipientDomains);
  const isInTrustedNetwork = remember((client) => listCovers(trusted, client));
  const { names: allowedNames = [], trustConfigMap } = clients.certificates ?? {};
  // No two of these are equal: an object has no blank and no colon in its name, and an issuer is a URL.
  const loginOf = ({ login, certificateNames }: Identity) => {
    if (login !== null) return `${login.source} ${login.name}`;
    const allowed = certificateNames.find((name) => nameIsAllowed([name], allowedNames));
    return allowed === undefined ? undefined : `certificates:${trustConfigMap} ${allowed}`;
  };
  const isLoggedIn = (identity: Identity) => loginOf(identity) !== undefined;
  const mayRelay = (identity: Identity) => isLoggedIn(identity) || isInTrustedNetwork(identity.client);
  return {
    isInTrustedNetwork,
    countedAs: (client) => (isInTrustedNetwork(client) ? client : countedAs(client)),
    mayRelay,
    loginOf,
    isLoggedIn,
    refusalOfRecipient: (identity, from, to) => {
      const recipient = readMailbox(to);
      if (!recipient?.domain) return REPLIES.badRecipient;
      // A return address of ours contains a sender, who may be anybody. The hash says whether we wrote it (srssteps.ts).
      const isReturn = recipient.domain === srsDomain && isSrs(recipient);
      if (isRouting(recipient) && !isReturn) return REPLIES.badRecipient;
      if (accepted.has(recipient.domain) || isReportAddress(to)) return undefined;
      if (!mayRelay(identity)) return REPLIES.noRelaying;
      if (from !== '' && !isAllowedSender(from)) return REPLIES.senderNotAllowed;
      return isAllowedRecipient(recipient.domain) ? undefined : REPLIES.recipientNotAllowed;
    },
  };
}

/** The index of the first client policy whose networks contain the client. */
export function findClientPolicy({ clientPolicies }: Policy['inbound']) {
  const lists = clientPolicies.map(({ networks }) => makeBlockList(networks));
  return (client: string) => clientPolicies[lists.findIndex((list) => listCovers(list, client))];
}

/** Each message asks several times for its client. */
function remember(decide: (client: string) => boolean): (client: string) => boolean {
  const known = new Map<string, boolean>();
  return (client) => {
    let decided = known.get(client);
    if (decided === undefined) {
      decided = decide(client);
      known.set(client, decided);
      dropOldest(known, REMEMBERED);
    }
    return decided;
  };
}

function restriction(patterns: readonly string[] | null): Matcher {
  return patterns === null ? () => true : compilePatterns(patterns);
}

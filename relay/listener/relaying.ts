/**
 * Who may relay, and where to. Whoever is in a trusted network, logged in or showed a certificate with an allowed name
 * may send where the restrictions allow; everyone else only to the accepted domains. The default is nobody and nothing.
 * Pure over prebuilt lists.
 */
import { BlockList } from 'node:net';
import { listCovers, networkOf } from '#crds/networks.ts';
import { type Matcher, matcherOf } from '#crds/patterns.ts';
import type { Clients, Policy } from '#crds/policyfile.ts';
import { nameIsAllowed } from '../auth/certificatenames.ts';
import { isRouting, readMailbox } from './address.ts';
import { countedAs } from './clientnetwork.ts';
import { REPLIES, type Reply } from './reply.ts';

/** What is known of whoever is at the other end of a session. */
export interface Identity {
  readonly client: string;
  /** User name, or subject of a token; only ever set under TLS. */
  readonly login: string | null;
  /** Names of a client certificate of a trusted authority. */
  readonly certificateNames: readonly string[];
}

export interface Relaying {
  readonly trustsNetworkOf: (client: string) => boolean;
  /** Whom limits count a client as; pods share a /64, so whoever is trusted by network is counted by address. */
  readonly countedAs: (client: string) => string;
  readonly mayRelay: (identity: Identity) => boolean;
  /** A login, or what counts as one. */
  readonly isLoggedIn: (identity: Identity) => boolean;
  readonly refusalOfRecipient: (identity: Identity, from: string, to: string) => Reply | undefined;
}

export function relayingOf(clients: Clients, acceptDomains: readonly string[]): Relaying {
  const trusted = listOf(clients.networks);
  const accepted = new Set(acceptDomains);
  const isAllowedSender = restriction(clients.senderDomains);
  const isAllowedRecipient = restriction(clients.recipientDomains);
  const trustsNetworkOf = (client: string) => listCovers(trusted, client);
  const isLoggedIn = ({ login, certificateNames }: Identity) =>
    login !== null || nameIsAllowed(certificateNames, clients.certificates?.names ?? []);
  const mayRelay = (identity: Identity) => isLoggedIn(identity) || trustsNetworkOf(identity.client);
  return {
    trustsNetworkOf,
    countedAs: (client) => (trustsNetworkOf(client) ? client : countedAs(client)),
    mayRelay,
    isLoggedIn,
    refusalOfRecipient: (identity, from, to) => {
      const recipient = readMailbox(to);
      if (!recipient?.domain || isRouting(recipient)) return REPLIES.badRecipient;
      if (accepted.has(recipient.domain)) return undefined;
      if (!mayRelay(identity)) return REPLIES.noRelaying;
      if (from !== '' && !isAllowedSender(readMailbox(from)?.domain ?? '')) return REPLIES.senderNotAllowed;
      return isAllowedRecipient(recipient.domain) ? undefined : REPLIES.recipientNotAllowed;
    },
  };
}

/** Which of the client policies is that of a client: the index of the first that names its network. */
export function clientPolicyOf({ clientPolicies }: Policy['inbound']) {
  const lists = clientPolicies.map(({ networks }) => listOf(networks));
  return (client: string) => clientPolicies[lists.findIndex((list) => listCovers(list, client))];
}

export function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) networkOf(network, list);
  return list;
}

function restriction(patterns: readonly string[] | null): Matcher {
  return patterns === null ? () => true : matcherOf(patterns);
}

/**
 * Who may relay. Clients in the trusted networks may send anywhere; everyone else only to the accepted domains. The
 * default is nobody and nothing. Pure over a prebuilt BlockList.
 */
import { BlockList } from 'node:net';
import { listCovers, networkOf } from '#crds/networks.ts';
import type { Policy } from '#crds/policyfile.ts';
import { relayable } from './address.ts';
import { REPLIES, type Reply } from './reply.ts';

export interface Relaying {
  readonly trusts: (client: string) => boolean;
  readonly clientPolicyMatches: (client: string) => (index: number) => boolean;
  readonly refusalOfRecipient: (client: string, address: string) => Reply | undefined;
}

export function relayingOf({ inbound }: Policy): Relaying {
  const trusted = listOf(inbound.relayNetworks);
  const policies = inbound.clientPolicies.map(({ networks }) => listOf(networks));
  const accepted = new Set(inbound.acceptDomains);
  const trusts = (client: string) => listCovers(trusted, client);
  return {
    trusts,
    clientPolicyMatches: (client) => (index) => {
      const list = policies[index];
      return list !== undefined && listCovers(list, client);
    },
    refusalOfRecipient: (client, address) => {
      const recipient = relayable(address);
      if (!recipient) return REPLIES.badRecipient;
      return trusts(client) || accepted.has(recipient.domain) ? undefined : REPLIES.noRelaying;
    },
  };
}

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) networkOf(network, list);
  return list;
}

/**
 * STARTTLS policy and oldest TLS version of one client on each listener, and the part of the spec that decides. Pure.
 */
import { isIP } from 'node:net';
import type { Listener, Policy } from '#crds/policyfile.ts';
import { starttlsOfSession, tlsFloorOfSession } from '#relay/listener/policy.ts';
import { findClientPolicy, makeRelaying } from '#relay/listener/relaying.ts';
import { row } from './terminal.ts';

export interface ClientSession {
  readonly listener: string;
  /** "Implicit": TLS from the first byte. */
  readonly starttls: Listener['starttls'] | 'Implicit';
  readonly minTlsVersion: string;
  /** The part of the spec that decided both. */
  readonly rule: string;
  readonly mayRelayByNetwork: boolean;
}

export const isClient = (text: string) => isIP(text) !== 0;

export function listSessions({ inbound }: Policy, client: string): ClientSession[] {
  const chosen = findClientPolicy(inbound)(client);
  return inbound.listeners.map((listener) => {
    const starttls = starttlsOfSession(listener, chosen);
    const minTlsVersion = tlsFloorOfSession(listener, chosen, inbound.minTlsVersion);
    const isOwn = starttls === listener.starttls && minTlsVersion === inbound.minTlsVersion;
    const trusts = makeRelaying(listener.clients, inbound.acceptDomains).isInTrustedNetwork(client);
    return {
      listener: listener.name,
      starttls: listener.implicitTLS ? 'Implicit' : starttls,
      minTlsVersion,
      rule:
        isOwn || !chosen
          ? `the listener`
          : `inbound.clientPolicies[${inbound.clientPolicies.indexOf(chosen)}]`,
      mayRelayByNetwork: trusts && listener.auth !== 'Required',
    };
  });
}

export function describeSessions(client: string, sessions: readonly ClientSession[]): string {
  const lines = sessions.map(({ listener, starttls, minTlsVersion, rule, mayRelayByNetwork }) => {
    const tls = starttls === 'Implicit' ? 'TLS from the first byte' : `STARTTLS ${starttls}`;
    const relays = mayRelayByNetwork ? 'may relay by its network' : 'may not relay by its network';
    return row(listener, `${tls}, ${minTlsVersion} or later, by ${rule}; ${relays}`);
  });
  return `${[client, ...lines].join('\n')}\n`;
}

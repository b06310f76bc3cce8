/**
 * Fields of a policy that this version does not enforce yet. Each fails closed, and is named with what happens
 * instead: in the status, and by `mailrelay run`. A field leaves this list in the change that makes it work. Pure.
 */
import type { Policy } from './policyfile.ts';

type Gap = (policy: Policy) => string[];

const GAPS: readonly Gap[] = [
  // Logins: a listener that demands one answers 530 to every MAIL.
  ({ inbound }) =>
    inbound.listeners
      .filter(({ auth }) => auth !== 'Disabled')
      .map(({ name, auth }) =>
        auth === 'Required'
          ? `inbound.listeners[${name}].auth: logins do not exist yet, every MAIL is answered 530`
          : `inbound.listeners[${name}].auth: logins do not exist yet, AUTH is not offered`,
      ),
  ({ inbound }) =>
    inbound.usesCredentials ? ['inbound.clients.credentialsSecretName: nobody can log in yet'] : [],
  // Published policies only ever raise a level, so without them the configured level holds.
  ({ outbound }) =>
    outbound.discover.length > 0
      ? [
          `outbound.tls.discover: ${outbound.discover.join(' and ')} are not looked up yet, the configured level holds`,
        ]
      : [],
  // A hop that wants a login is not used at all rather than without one.
  ({ outbound }) =>
    [...outbound.smartHosts, ...outbound.routes.flatMap(({ hosts }) => hosts)]
      .filter(({ needsCredentials }) => needsCredentials)
      .map(
        ({ host }) => `outbound credentials for ${host}: logins do not exist yet, mail for this host waits`,
      ),
  // Without bounces a message that expired would vanish, so it waits.
  ({ queue }) =>
    queue.expireAfterSeconds === null
      ? []
      : ['queue.expireAfter: bounces do not exist yet, mail waits until it is delivered or removed'],
  ({ trace }) => (trace.level > 0 ? ['trace.level: no trace is written yet'] : []),
];

/** One sentence for each field that is not in force; empty when all are. */
export function fieldsNotInForce(policy: Policy): string[] {
  return GAPS.flatMap((gap) => gap(policy));
}

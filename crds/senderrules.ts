/** Rules for `senderLogins` of inbound.clients and of the clients of a listener: see rules.ts. */
import type { MailRelaySpec } from './mailrelay.ts';
import type { Rule } from './rule.ts';

type ClientsSpec = NonNullable<MailRelaySpec['inbound']['clients']>;

/** True in CEL if `holds` is true for every clients of the spec that has senderLogins. `c` is the clients. */
const celEvery = (holds: string) =>
  ['self.inbound', 'l']
    .map((parent) => {
      const c = `${parent}.clients`;
      const one = `!has(${c}) || !has(${c}.senderLogins) || (${holds.replaceAll('c.', `${c}.`)})`;
      return parent === 'l' ? `self.inbound.listeners.all(l, ${one})` : `(${one})`;
    })
    .join(' && ');

const every = ({ inbound }: MailRelaySpec, holds: (clients: ClientsSpec) => boolean) =>
  [inbound, ...inbound.listeners].every(({ clients }) => clients === undefined || holds(clients));

export const SENDER_RULES: readonly Rule[] = [
  {
    path: 'spec.inbound',
    cel: celEvery('c.senderLogins.all(e, has(e.logins) || has(e.certificateNames))'),
    message: 'an entry of clients.senderLogins names nobody: set its logins or its certificateNames',
    holds: (spec) =>
      every(spec, ({ senderLogins = [] }) =>
        senderLogins.every((e) => e.logins !== undefined || e.certificateNames !== undefined),
      ),
  },
  {
    path: 'spec.inbound',
    cel: celEvery("c.senderLogins.all(e, e.senders.all(s, !s.startsWith('*@')))"),
    message:
      'a sender of clients.senderLogins begins with *@: write the domain alone, which stands for all its addresses',
    holds: (spec) =>
      every(spec, ({ senderLogins = [] }) =>
        senderLogins.every(({ senders }) => senders.every((sender) => !sender.startsWith('*@'))),
      ),
  },
  {
    path: 'spec.inbound',
    cel: celEvery('has(c.credentialsSecretName) || has(c.oauth) || c.senderLogins.all(e, !has(e.logins))'),
    message:
      'clients.senderLogins names logins, and nobody can log in: set credentialsSecretName or oauth of the same clients, or remove logins',
    holds: (spec) =>
      every(
        spec,
        ({ credentialsSecretName, oauth, senderLogins = [] }) =>
          credentialsSecretName !== undefined ||
          oauth !== undefined ||
          senderLogins.every(({ logins }) => logins === undefined),
      ),
  },
  {
    path: 'spec.inbound',
    cel: celEvery('has(c.certificates) || c.senderLogins.all(e, !has(e.certificateNames))'),
    message:
      'clients.senderLogins names certificates, and none may relay: set certificates of the same clients, or remove certificateNames',
    holds: (spec) =>
      every(
        spec,
        ({ certificates, senderLogins = [] }) =>
          certificates !== undefined ||
          senderLogins.every(({ certificateNames }) => certificateNames === undefined),
      ),
  },
];

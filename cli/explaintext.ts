/** The way of mail for one address under a policy, as data and as text. Pure. */
import { fieldsNotInForce } from '#crds/notinforce.ts';
import { domainOf } from '#crds/patterns.ts';
import type { Clients, Hop, Listener, Policy } from '#crds/policyfile.ts';
import { findServedName, mapServedNames } from '#crds/sni.ts';
import type { TlsLevel } from '#crds/tlslevel.ts';
import { compileReportFields } from '#relay/addresses/reportfields.ts';
import { compileRoutes } from '#relay/delivery/route.ts';
import { note, row } from './terminal.ts';

/** The way out of the pod. Without source addresses and proxy the system chooses it. */
type Egress = Pick<Hop, 'sourceAddresses' | 'socksProxy'>;

/** Which clients may send mail to an address, by listener. */
type TakenFrom = readonly { readonly listener: string; readonly whom: string }[];

interface Way {
  readonly to: string;
  readonly from: string;
  /** The part of the spec that decides where the mail goes. */
  readonly rule: string;
  /** In the order of the attempts. Empty: the MX hosts of the domain, at `tlsLevel`. */
  readonly hosts: readonly Hop[];
  readonly tlsLevel: TlsLevel | null;
  /** Of connections to MX hosts. */
  readonly egress: Egress;
  /** Published policies that are looked up at each delivery, and may raise the level. */
  readonly raisedBy: readonly string[];
  readonly notes: readonly string[];
}

const LEVEL: Readonly<Record<TlsLevel, string>> = {
  None: 'never TLS',
  Opportunistic: 'TLS where offered, not verified, plain text where not',
  Encrypt: 'TLS, not verified, or the mail waits',
  Verify: 'TLS with a verified chain and name, or the mail waits',
  Dane: 'a TLSA record that matches, or the mail waits',
};

export function findTakenFrom(policy: Policy, to: string): TakenFrom {
  return policy.inbound.listeners.map((listener) => ({
    listener: listener.name,
    whom: describeClients(policy, listener, to),
  }));
}

export function findWay(policy: Policy, from: string, to: string): Way {
  const destination = compileRoutes(policy)(from, to);
  const { rule } = destination;
  return {
    to,
    from,
    rule,
    hosts: destination.kind === 'hops' ? destination.hops.toSorted((a, b) => a.priority - b.priority) : [],
    tlsLevel: destination.kind === 'mx' ? destination.tlsLevel : null,
    egress: destination.kind === 'mx' ? pickEgress(destination) : { sourceAddresses: [], socksProxy: null },
    raisedBy: listRaises(policy),
    notes: listNotes(policy, from, to, rule),
  };
}

export function describeTakenFrom(from: string, to: string, takenFrom: TakenFrom): string {
  const lines = [
    `${to}, from ${from === '' ? '<>' : from}`,
    ...takenFrom.map(({ listener, whom }) => row('taken on', `${listener}: ${whom}`)),
  ];
  return `${lines.join('\n')}\n`;
}

export function describeWay(way: Way): string {
  const { rule, hosts, raisedBy, notes } = way;
  const lines = [
    row('goes by', rule),
    ...hosts.map((hop) => note(describeHop(hop))),
    ...describeMx(way),
    ...raisedBy.map((text) => row('raised by', text)),
    ...notes.map((text) => row('note', text)),
  ];
  return `${lines.join('\n')}\n`;
}

function pickEgress({ sourceAddresses, socksProxy }: Egress): Egress {
  return { sourceAddresses, socksProxy };
}

function describeMx({ to, tlsLevel, egress }: Way): string[] {
  if (tlsLevel === null) return [];
  const domain = domainOf(to);
  const whose = domain.startsWith('[') ? `the address ${domain}` : `MX hosts of ${domain}`;
  const words = [`${whose}: ${tlsLevel}: ${LEVEL[tlsLevel]}`, ...describeEgress(egress)];
  return [note(words.join('; '))];
}

function describeEgress({ sourceAddresses, socksProxy }: Egress): string[] {
  return [
    ...(sourceAddresses.length === 0 ? [] : [`from ${sourceAddresses.join(' or ')}`]),
    ...(socksProxy ? [`through the SOCKS proxy ${socksProxy.host}:${socksProxy.port}`] : []),
  ];
}

function listRaises({ outbound: { discover, resolver } }: Policy): string[] {
  if (!discover.includes('DANE') || !resolver?.trustAD) return [];
  const servers = resolver.servers.map(({ address, port }) => `${address} port ${port}`).join(', ');
  return [
    `DANE: signed TLSA records of the host, looked up at ${servers}; they must match, or the mail waits`,
  ];
}

function describeClients(policy: Policy, { auth, clients }: Listener, to: string): string {
  const { inbound } = policy;
  const reports = compileReportFields(policy)(to);
  const isOwn = reports !== undefined || inbound.acceptDomains.includes(domainOf(to));
  const { networks, usersSecret, certificates, oauth, senderDomains, recipientDomains } = clients;
  const bound = clients.senderLogins.map(
    ({ logins, certificateNames, senders }) =>
      `${[...logins, ...certificateNames].join(', ')} only as ${senders.join(', ')}`,
  );
  const logins = [
    ...(usersSecret === null ? [] : [`users of Secret "${usersSecret}"`]),
    ...(oauth === null ? [] : [describeTokens(oauth)]),
  ];
  const whom = [
    ...(auth === 'Required' ? [] : networks),
    ...(auth === 'Disabled' ? [] : logins),
    ...(certificates === null ? [] : [`certificates for ${certificates.names.join(', ')}`]),
  ];
  if (isOwn && auth !== 'Required') return `anyone (inbound.${reports ?? 'acceptDomains'})`;
  if (whom.length === 0) return 'nobody (no inbound.clients)';
  const held = [
    ...(senderDomains === null ? [] : [`senders in ${senderDomains.join(', ')} only`]),
    ...(recipientDomains === null ? [] : [`recipients in ${recipientDomains.join(', ')} only`]),
  ];
  return [whom.join(', '), ...bound, ...(isOwn ? [] : held)].join('; ');
}

function describeTokens({ issuer, subjects, acceptAsPassword }: NonNullable<Clients['oauth']>): string {
  const how = acceptAsPassword ? ', also as a password' : '';
  return `tokens of ${issuer}${how}, for ${subjects.join(', ')}`;
}

function describeHop({
  host,
  port,
  protocol,
  implicitTLS,
  tlsLevel,
  serverName,
  credentialsSecret,
  priority,
  sourceAddresses,
  socksProxy,
  proxyProtocol,
}: Hop): string {
  const words = [
    `${host}:${port}${protocol === 'LMTP' ? ', LMTP' : ''}${implicitTLS ? ', TLS from the first byte' : ''}`,
    `${tlsLevel}: ${LEVEL[tlsLevel]}`,
    ...(tlsLevel === 'Verify' ? [`name ${serverName ?? host}`] : []),
    ...(credentialsSecret === null ? [] : [`login of Secret "${credentialsSecret}"`]),
    ...(priority === 0 ? [] : [`priority ${priority}`]),
    ...describeEgress({ sourceAddresses, socksProxy }),
    ...(proxyProtocol === null ? [] : [`begins with a PROXY header, ${proxyProtocol}`]),
  ];
  return words.join('; ');
}

function listNotes(policy: Policy, from: string, to: string, rule: string): string[] {
  const { routes, smartHosts } = policy.outbound;
  const bySender = from === '' && routes.some(({ senders }) => senders !== null);
  const { recipient, sendAllTo } = policy.addresses;
  const hasMap = recipient.map.entries.length + recipient.map.tables.length > 0 || sendAllTo !== null;
  const isMapped = hasMap && !to.includes('@');
  const returns =
    rule === 'outbound.smartHosts' &&
    smartHosts.length > 0 &&
    policy.inbound.acceptDomains.includes(domainOf(to));
  return [
    ...(bySender ? ['there are routes by sender, which do not match the null sender: see --from'] : []),
    ...(returns ? ['the domain is accepted and has no route: the smart host may send its mail back'] : []),
    ...(isMapped ? ['addresses may make another of each address in this domain: name a whole one'] : []),
    ...describeCertificateChoice(policy, to),
    ...fieldsNotInForce(policy),
  ];
}

/** Of a name without a mailbox, where there is a choice: the certificate of the relay for clients that ask for it. */
function describeCertificateChoice(policy: Policy, asked: string): string[] {
  const served = mapServedNames(policy);
  if (asked.includes('@') || served.size === 1) return [];
  const name = findServedName(served, asked);
  const secret = name === undefined ? null : (served.get(name) ?? null);
  const whose = secret === null ? `of ${policy.hostname}` : `of Secret "${secret}", for ${name}`;
  return [`a client that asks the relay for ${asked} by SNI gets the certificate ${whose}`];
}

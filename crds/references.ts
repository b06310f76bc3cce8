/**
 * The Secrets and ConfigMaps that a policy names, besides the certificate of the relay: the objects that pods mount
 * beside the policy, and their purpose. The rendering of the pods, `mailrelay run` and the relay use the same list.
 * Pure.
 */
import type { Policy, SocksProxy } from './policyfile.ts';

export interface Reference {
  readonly kind: 'Secret' | 'ConfigMap';
  readonly name: string;
  /** The field that names the object, for messages. */
  readonly field: string;
  /** What does not work without the object. */
  readonly without: string;
}

/** Every referenced object, once for each field that names it, in the order of the policy. */
export function listReferences(policy: Policy): Reference[] {
  return [...listTextReferences(policy), ...tableReferences(policy)];
}

/** The objects that the relay reads as texts: all but the tables of addresses. */
export function listTextReferences(policy: Policy): Reference[] {
  return [
    ...certificateReferences(policy),
    ...inboundReferences(policy),
    ...outboundReferences(policy),
    ...eventsReferences(policy),
  ];
}

/** A table of addresses: one key of an object. */
export interface TableReference extends Reference {
  readonly key: string;
}

export function tableReferences({ addresses }: Policy): TableReference[] {
  const { sender, recipient, senderBcc, recipientBcc } = addresses;
  const maps = {
    sender: sender.map,
    recipient: recipient.map,
    'bcc.sender': senderBcc,
    'bcc.recipient': recipientBcc,
  };
  return Object.entries(maps).flatMap(([path, { tables }]) =>
    tables.map(({ kind, name, key }, index) => ({
      kind,
      name,
      key,
      field: `addresses.${path}.tables[${index}]`,
      without: 'mail that needs the table waits at its client (451)',
    })),
  );
}

export function describeTableFault({ kind, name, key, field }: TableReference, fault: string): string {
  return `${field}: key ${key} of ${kind} "${name}" ${fault}`;
}

/** Names a table. No name of an object and no key has a slash. */
export function nameTable({ kind, name, key }: Pick<TableReference, 'kind' | 'name' | 'key'>): string {
  return `${kind}/${name}/${key}`;
}

/** The Secrets of further certificates. They are separate from the others, because they are judged as certificates. */
function certificateReferences({ inbound, policyHost }: Policy): Reference[] {
  return [
    ...maybe(
      'Secret',
      inbound.internalTls?.secret,
      'tls.internal.secretName',
      'names inside the cluster get the certificate of the host name',
    ),
    ...inbound.sniCertificates.flatMap(({ secret }, index) =>
      maybe(
        'Secret',
        secret,
        `tls.certificates[${index}].secretName`,
        'its names get the certificate of the host name',
      ),
    ),
    ...maybe(
      'Secret',
      policyHost?.secret,
      'dns.mtaSTS.serve.secretName',
      'senders find no policy of MTA-STS',
    ),
  ];
}

export function inboundReferences({ inbound, addresses }: Policy): Reference[] {
  return [
    ...inbound.listeners.flatMap(({ name, clients }) =>
      ofClients(`inbound.listeners[${name}].clients`, clients),
    ),
    ...ofFilter(inbound.filter),
    ...maybe(
      'Secret',
      addresses.srs?.secret,
      'addresses.srs.secretName',
      'forwarded mail waits at its client (451)',
    ),
  ];
}

export function outboundReferences({ outbound }: Policy): Reference[] {
  return [
    ...maybe(
      'ConfigMap',
      outbound.trustConfigMap,
      'outbound.tls.trustConfigMapName',
      'mail that must be verified waits, and so does mail for domains whose MTA-STS policy is not held',
    ),
    ...maybe(
      'Secret',
      outbound.clientCertificateSecret,
      'outbound.tls.clientCertificateSecretName',
      'mail for MX hosts, and for next hops without a certificate of their own, waits',
    ),
    ...ofProxy('outbound', outbound.socksProxy),
    ...outbound.routes.flatMap(({ socksProxy }, index) => ofProxy(`outbound.routes[${index}]`, socksProxy)),
    ...outbound.smartHosts.flatMap((hop, index) => ofHop(`outbound.smartHosts[${index}]`, hop)),
    ...outbound.routes.flatMap(({ hosts }, index) =>
      (hosts ?? []).flatMap((hop, at) => ofHop(`outbound.routes[${index}].hosts[${at}]`, hop)),
    ),
    ...outbound.dkim.flatMap(({ secret, domain, selector, signs }, index) =>
      maybe(
        'Secret',
        secret,
        `outbound.dkim[${index}].secretName`,
        signs ? `mail from ${domain} waits` : `the DNS record of selector ${selector} is not known`,
      ),
    ),
  ];
}

export function eventsReferences({ events }: Policy): Reference[] {
  const waits = 'events wait';
  return [
    ...maybe('Secret', events?.secret, 'events.webhook.secretName', waits),
    ...maybe('ConfigMap', events?.trustConfigMap, 'events.webhook.trustConfigMapName', waits),
  ];
}

/** The names of one kind, each once, in order. */
export function listNames(references: readonly Reference[], kind: Reference['kind']): string[] {
  return [...new Set(references.filter((one) => one.kind === kind).map(({ name }) => name))].toSorted();
}

function ofClients(
  field: string,
  { usersSecret, certificates, oauth }: Policy['inbound']['listeners'][number]['clients'],
) {
  return [
    ...maybe('Secret', usersSecret, `${field}.credentialsSecretName`, 'nobody can log in by password'),
    ...maybe(
      'ConfigMap',
      certificates?.trustConfigMap,
      `${field}.certificates.trustConfigMapName`,
      'no client certificate is trusted',
    ),
    ...maybe('ConfigMap', oauth?.keysConfigMap, `${field}.oauth.keysConfigMapName`, 'no token is taken'),
    ...maybe('ConfigMap', oauth?.trustConfigMap, `${field}.oauth.trustConfigMapName`, 'no token is taken'),
  ];
}

function ofFilter(filter: Policy['inbound']['filter']): Reference[] {
  const without = 'the filter judges no mail, and onFailure decides';
  return [
    ...maybe('Secret', filter?.secret, 'inbound.filter.secretName', without),
    ...maybe('ConfigMap', filter?.trustConfigMap, 'inbound.filter.trustConfigMapName', without),
  ];
}

function ofHop(field: string, hop: Policy['outbound']['smartHosts'][number]): Reference[] {
  const waits = `mail for ${hop.host} waits`;
  return [
    ...maybe(
      'ConfigMap',
      hop.trustConfigMap,
      `${field}.tls.trustConfigMapName`,
      'the host cannot be verified',
    ),
    ...maybe('Secret', hop.clientCertificateSecret, `${field}.tls.clientCertificateSecretName`, waits),
    ...maybe('Secret', hop.credentialsSecret, `${field}.credentialsSecretName`, waits),
  ];
}

function ofProxy(field: string, proxy: SocksProxy | null): Reference[] {
  return maybe(
    'Secret',
    proxy?.credentialsSecret,
    `${field}.socksProxy.credentialsSecretName`,
    'mail that goes through the proxy waits',
  );
}

function maybe(
  kind: Reference['kind'],
  name: string | null | undefined,
  field: string,
  without: string,
): Reference[] {
  return name === null || name === undefined ? [] : [{ kind, name, field, without }];
}

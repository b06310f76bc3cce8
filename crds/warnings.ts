/**
 * What the API server and the relay take, and a person may not have meant: networks with bits behind their prefix, names
 * that no public authority certifies, and entries of address maps that say less than they seem to. Pure.
 */
import type { Key } from './culprits.ts';
import type { MailRelaySpec } from './mailrelay.ts';
import { rangesOf } from './networkranges.ts';
import { type Fault, printPath } from './validate.ts';

/** As a fault of validate.ts, and no fault: `message` completes a sentence that begins with the field. */
export type Warning = Omit<Fault, 'kind'> & { readonly kind: 'warning' };

type Found = Pick<Warning, 'keys' | 'message'>;

/** The fields that have networks, wherever they stand. Their entries are texts. */
const NETWORK_FIELDS: readonly Key[] = ['networks', 'loadBalancerSourceRanges', 'cidr'];
const MAPPED = 0xffffn << 32n;

export function listWarnings(spec: MailRelaySpec): Warning[] {
  const found = [
    ...listLooseNetworks(spec, ['spec']),
    ...listUncertifiable(spec),
    ...listDoubtfulEntries(spec),
  ];
  return found.map((one) => ({ ...one, kind: 'warning', path: printPath(one.keys) }));
}

function listLooseNetworks(value: unknown, keys: readonly Key[]): Found[] {
  if (typeof value === 'string') {
    const message = keys.some((key) => NETWORK_FIELDS.includes(key)) ? describeLoose(value) : undefined;
    return message === undefined ? [] : [{ keys, message }];
  }
  if (Array.isArray(value)) return value.flatMap((one, index) => listLooseNetworks(one, [...keys, index]));
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([key, one]) => listLooseNetworks(one, [...keys, key]));
}

/** The API server and the relay read 10.0.0.1/8 as 10.0.0.0/8. Undefined: the network is written as it is read. */
function describeLoose(network: string): string | undefined {
  const [address = '', prefix] = network.split('/');
  const [first] = rangesOf([network])[0] ?? [];
  if (prefix === undefined || first === undefined || first === rangesOf([address])[0]?.[0]) return undefined;
  const whole = `${printAddress(first)}/${prefix}`;
  return `stands for all of ${whole}: write ${whole}, or ${address} for this one address`;
}

/** As it is in the space of networkranges.ts. */
function printAddress(value: bigint): string {
  const groups = (count: number, bits: number) =>
    Array.from({ length: count }, (_, index) =>
      BigInt.asUintN(bits, value >> BigInt(bits * (count - 1 - index))),
    );
  if (value >> 32n === MAPPED >> 32n) return groups(4, 8).join('.');
  const full = groups(8, 16).map((group) => group.toString(16));
  return new URL(`http://[${full.join(':')}]`).hostname.slice(1, -1);
}

function listUncertifiable({ hostname, tls }: MailRelaySpec): Found[] {
  const names: (readonly [readonly Key[], string])[] = [
    [['hostname'], hostname],
    ...(tls?.dnsNames ?? []).map((name, index) => [['tls', 'dnsNames', index], name] as const),
    ...(tls?.certificates ?? []).flatMap(({ hostnames }, at) =>
      hostnames.map((name, index) => [['tls', 'certificates', at, 'hostnames', index], name] as const),
    ),
  ];
  const message =
    'has an underscore: public certificate authorities refuse such a name, and so do some receivers in EHLO; write a hyphen';
  return names
    .filter(([, name]) => name.includes('_'))
    .map(([keys]) => ({ keys: ['spec', ...keys], message }));
}

interface MapEntry {
  readonly address: string;
  readonly refuse?: string | undefined;
}

function listDoubtfulEntries({ addresses }: MailRelaySpec): Found[] {
  const { sender, recipient, bcc } = addresses ?? {};
  const maps: readonly (readonly [readonly Key[], readonly MapEntry[] | undefined])[] = [
    [['sender'], sender?.entries],
    [['recipient'], recipient?.entries],
    [['bcc', 'sender'], bcc?.sender?.entries],
    [['bcc', 'recipient'], bcc?.recipient?.entries],
  ];
  return maps.flatMap(([keys, entries = []]) => {
    const before = new Set<string>();
    return entries.flatMap(({ address, refuse = '' }, index) => {
      const at = ['spec', 'addresses', ...keys, 'entries', index];
      const name = address.toLowerCase().replace(/^"([^"]*)"@/, '$1@');
      const isSecond = before.has(name);
      before.add(name);
      return [
        ...describeAddress(address, isSecond).map((message) => ({ keys: [...at, 'address'], message })),
        ...describeRefusal(refuse).map((message) => ({ keys: [...at, 'refuse'], message })),
      ];
    });
  });
}

/** As it is in Postfix's tables, a star before the @ is a letter like others. */
function describeAddress(address: string, isSecond: boolean): string[] {
  const [, local = '', domain = ''] = /^(.+)@(.*)$/.exec(address) ?? [];
  return [
    ...(local.includes('*')
      ? [`is one address with a star in it: write @${domain} for all of the domain`]
      : []),
    ...(isSecond ? ['is in this list before, and the first entry counts: remove one of them'] : []),
  ];
}

/** Undelivered mail comes back at once where a 450 was meant. */
function describeRefusal(text: string): string[] {
  const isCode = /^(421|45\d|55\d)[ -](?![45]\.\d)|^[1-3]\.\d{1,3}\.\d{1,3} /.test(text);
  return isCode
    ? [
        'is answered by 550, because its first word is no status: begin with 4.7.1 to refuse for now, or with 5.7.1',
      ]
    : [];
}

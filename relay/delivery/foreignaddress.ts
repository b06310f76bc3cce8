/**
 * Decides which addresses from DNS may be a foreign mail host, or a host that anybody may reach. Addresses of this machine or of
 * this link are refused. Otherwise a domain could make us deliver to ourselves or to our neighbours. Hosts in the manifest are not checked,
 * because an administrator wrote them on purpose. Pure.
 */
import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { expandIpv6 } from '#crds/ipv6groups.ts';
import { makeBlockList } from '#crds/networks.ts';

const NEVER = makeBlockList([
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  // Reserved addresses and the broadcast address.
  '240.0.0.0/4',
  '::/128',
  '::1/128',
  'fe80::/10',
  // Site-local addresses (RFC 3879).
  'fec0::/10',
  'ff00::/8',
]);

type Groups = readonly number[];

const readLast = (groups: Groups): Groups => groups.slice(6);

/**
 * RFC 6052 section 2.2: the network chooses the length of its prefix, 48, 56, 64 or 96 bits. The IPv4 address stands behind it,
 * around an empty octet, and then come zeros: so the end tells the length.
 */
function readLocalNat64(groups: Groups): Groups {
  const octets = groups.flatMap((group) => [group >> 8, group & 255]);
  const end = octets.findLastIndex((octet) => octet !== 0);
  if (end > 12) return readLast(groups);
  const last = Math.max(end, 10);
  const [a = 0, b = 0, c = 0, d = 0] = octets.toSpliced(8, 1).slice(last - 4, last);
  return [(a << 8) | b, (c << 8) | d];
}

/** null: any group. */
const ISATAP_PREFIX = [null, null, null, null];

/** How an IPv6 address begins that has an IPv4 address in it, and where that is. */
const EMBEDDINGS: readonly {
  readonly begin: readonly (number | null)[];
  readonly read: (groups: Groups) => Groups;
}[] = [
  // Mapped and compatible (RFC 4291), NAT64 (RFC 6052), translated (RFC 2765).
  { begin: [0, 0, 0, 0, 0, 0xffff], read: readLast },
  { begin: [0, 0, 0, 0, 0, 0], read: readLast },
  { begin: [0x64, 0xff9b, 0, 0, 0, 0], read: readLast },
  { begin: [0, 0, 0, 0, 0xffff, 0], read: readLast },
  // NAT64 of a network (RFC 8215).
  { begin: [0x64, 0xff9b, 1], read: readLocalNat64 },
  // 6to4 (RFC 3056).
  { begin: [0x2002], read: (groups) => groups.slice(1, 3) },
  // Teredo (RFC 4380): the bits of the client are inverted.
  { begin: [0x2001, 0], read: (groups) => readLast(groups).map((group) => group ^ 0xffff) },
  // ISATAP (RFC 5214).
  { begin: [...ISATAP_PREFIX, 0, 0x5efe], read: readLast },
  { begin: [...ISATAP_PREFIX, 0x200, 0x5efe], read: readLast },
];

/** And what the registries of special addresses do not call globally reachable (RFC 6890). */
const PRIVATE = makeBlockList([
  '10.0.0.0/8',
  '100.64.0.0/10',
  '172.16.0.0/12',
  // IETF protocols, as DS-Lite, where a cloud has its metadata too; and measurements.
  '192.0.0.0/24',
  '198.18.0.0/15',
  '192.168.0.0/16',
  '2001:2::/48',
  'fc00::/7',
]);
const GLOBAL = makeBlockList(['2000::/3']);

export function isForeign(address: string): boolean {
  const version = isIP(address);
  if (version === 4) return !NEVER.check(address, 'ipv4');
  if (version !== 6 || address.includes('%') || NEVER.check(address, 'ipv6')) return false;
  return listEmbedded(address).every(isForeign);
}

/** None of a private network either: nobody makes this relay speak to its own. */
export function isPublic(address: string): boolean {
  if (!isForeign(address)) return false;
  if (isIP(address) === 4) return !PRIVATE.check(address, 'ipv4');
  const embedded = listEmbedded(address);
  if (PRIVATE.check(address, 'ipv6')) return false;
  return embedded.length > 0 ? embedded.every(isPublic) : GLOBAL.check(address, 'ipv6');
}

/** The addresses of IPv4 within one of IPv6. */
function listEmbedded(address: string): string[] {
  const groups = expandIpv6(address);
  const found = EMBEDDINGS.filter(({ begin }) =>
    begin.every((group, index) => group === null || group === groups[index]),
  );
  return found.map(({ read }) => dotted(read(groups)));
}

function dotted([high = 0, low = 0]: Groups): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** Names of this machine, also where the DNS knows none of them. */
const THIS_MACHINE = /(^|\.)localhost(\.localdomain)?$/;

/**
 * The address that the name of a mail host is by itself: in brackets, as 0x7f.1 or as 2130706433. No name of the DNS ends in a
 * number, so nobody is asked for it. Undefined: it is a name.
 */
export function readNamedAddress(host: string): string | undefined {
  const name = host.toLowerCase().replace(/\.$/, '');
  if (THIS_MACHINE.test(name)) return '127.0.0.1';
  const bare = name.replace(/^\[(?:ipv6:)?(.*)\]$/, '$1');
  return [bare, domainToASCII(bare)].find((address) => isIP(address) !== 0);
}

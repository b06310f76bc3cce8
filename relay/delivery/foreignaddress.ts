/**
 * Decides which addresses from DNS may be a foreign mail host. Addresses of this machine or of this link are refused.
 * Otherwise a domain could make us deliver to ourselves or to our neighbours. Hosts in the manifest are not checked,
 * because an administrator wrote them on purpose. Pure.
 */
import { BlockList, isIP } from 'node:net';
import { expandIpv6 } from './ipv6groups.ts';

const NEVER = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['224.0.0.0', 4],
  // Reserved addresses and the broadcast address.
  ['240.0.0.0', 4],
] as const)
  NEVER.addSubnet(network, prefix, 'ipv4');
for (const [network, prefix] of [
  ['::', 128],
  ['::1', 128],
  ['fe80::', 10],
  ['ff00::', 8],
] as const)
  NEVER.addSubnet(network, prefix, 'ipv6');

/**
 * Prefixes of 96 bits whose last 32 bits are an IPv4 address: mapped, compatible, NAT64 (RFC 4291, 6052) and
 * translated.
 */
const EMBEDDING = ['0:0:0:0:0:ffff:', '0:0:0:0:0:0:', '64:ff9b:0:0:0:0:', '0:0:0:0:ffff:0:'];

export function isForeign(address: string): boolean {
  const version = isIP(address);
  if (version === 4) return !NEVER.check(address, 'ipv4');
  if (version !== 6 || address.includes('%')) return false;
  const groups = expandIpv6(address);
  const [high = 0, low = 0] = groups.slice(6);
  const begin = `${groups
    .slice(0, 6)
    .map((group) => group.toString(16))
    .join(':')}:`;
  // A 6to4 address (RFC 3056) contains the IPv4 address after its first 16 bits.
  const embedded = EMBEDDING.includes(begin) ? [high, low] : groups[0] === 0x2002 ? groups.slice(1, 3) : null;
  if (embedded && !isForeign(dotted(embedded))) return false;
  return !NEVER.check(address, 'ipv6');
}

function dotted([high = 0, low = 0]: readonly number[]): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

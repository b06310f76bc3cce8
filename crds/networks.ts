/**
 * Client networks in the manifest: a CIDR or a single address of either family. The schema's rules and the listener use
 * the same parser, so the listener matches exactly the networks that the schema accepted.
 */
import { type BlockList, isIP } from 'node:net';

/** Adds `text` to `list`. Returns false if it is neither an address nor a CIDR. */
export function addNetwork(text: string, list: BlockList): boolean {
  const [address = '', prefix, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0 || address.includes('%')) return false;
  const family = version === 4 ? 'ipv4' : 'ipv6';
  if (prefix === undefined) {
    list.addAddress(address, family);
    return true;
  }
  const bits = Number(prefix);
  if (!/^[0-9]{1,3}$/.test(prefix) || bits > (version === 4 ? 32 : 128)) return false;
  list.addSubnet(address, bits, family);
  return true;
}

/** True when `address` (as a socket reports it, IPv4-mapped included) is in the list. */
export function listCovers(list: BlockList, address: string): boolean {
  const plain = address.replace(/^::ffff:(?=[0-9.]+$)/i, '');
  const version = isIP(plain);
  return version !== 0 && list.check(plain, version === 4 ? 'ipv4' : 'ipv6');
}

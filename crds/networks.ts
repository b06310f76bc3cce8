/**
 * Client networks in the manifest: a CIDR or a single address of either family. The schema's rules and the listener use
 * the same parser, so the listener matches exactly the networks that the schema accepted.
 * The servers of outbound.resolver are read here too.
 */
import { BlockList, isIP } from 'node:net';

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

/** What is neither an address nor a CIDR is left out. */
export function makeBlockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) addNetwork(network, list);
  return list;
}

/** True when `address` (as a socket reports it, IPv4-mapped included) is in the list. */
export function listCovers(list: BlockList, address: string): boolean {
  const plain = address.replace(/^::ffff:(?=[0-9.]+$)/i, '');
  const version = isIP(plain);
  return version !== 0 && list.check(plain, version === 4 ? 'ipv4' : 'ipv6');
}

/** HOST:PORT; an IPv6 address gets brackets. */
export function printEndpoint(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

export interface ServerAddress {
  readonly address: string;
  readonly port: number;
}

const DNS_PORT = 53;

/** Reads "127.0.0.1", "127.0.0.1:5353", "::1" or "[::1]:5353"; undefined when it is none of them. */
export function parseServer(text: string): ServerAddress | undefined {
  const [, six, four, port] = /^(?:\[([^\]]+)\]|([0-9.]+))(?::([1-9]\d{0,4}))?$/.exec(text) ?? [];
  const address = six ?? four ?? text;
  const isRight = six === undefined ? isIP(address) !== 0 : isIP(address) === 6;
  const number = Number(port ?? DNS_PORT);
  return isRight && !address.includes('%') && !isMapped(address) && number <= 65_535
    ? { address, port: number }
    : undefined;
}

/** Of an address, or of the text of a server. */
export function isLoopback(text: string): boolean {
  return text.startsWith('127.') || text === '::1' || text === '[::1]' || text.startsWith('[::1]:');
}

/** An address that a connection can come from. */
export function isSourceAddress(text: string): boolean {
  return isIP(text) !== 0 && !/%|^[0.:]+$/.test(text) && !isMapped(text);
}

/** The address of the family of `other`; undefined if there is none. */
export function pickOfFamily(addresses: readonly string[], other: string): string | undefined {
  return addresses.find((address) => isIP(address) === isIP(other));
}

/** An IPv4 address in the form of IPv6, which the API server does not take either. */
function isMapped(address: string): boolean {
  return isIP(address) === 6 && new URL(`http://[${address}]`).hostname.startsWith('[::ffff:');
}

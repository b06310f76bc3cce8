/**
 * Writes the header of the PROXY protocol, versions 1 and 2 (proxy-protocol.txt of HAProxy, sections 2.1 and 2.2). The
 * relay reads it in supervisor/proxyheader.ts. The header has the ends of the connection itself (command PROXY), not an
 * SMTP client: one connection sends messages of many clients. A receiver behind NAT or behind a proxy still learns
 * which pod sends. Pure.
 */
import { isIPv4 } from 'node:net';
import { expandIpv6 } from '#crds/ipv6groups.ts';
import type { Hop } from '#crds/policyfile.ts';

export type ProxyVersion = NonNullable<Hop['proxyProtocol']>;

export interface Endpoint {
  /** As sockets report it: IPv4 or IPv6, maybe with a zone. */
  readonly address: string;
  readonly port: number;
}

const V2_SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
/** Version 2 and command PROXY; family and TCP. */
const V2_PROXY = 0x21;
const V2_TCP4 = 0x11;
const V2_TCP6 = 0x21;

export function encodeProxyHeader(version: ProxyVersion, source: Endpoint, destination: Endpoint): Buffer {
  const ports = [source.port, destination.port];
  const addresses = joinFamilies([source, destination].map(({ address }) => address.replace(/%.*/, '')));
  return version === 'V1' ? encodeV1(addresses, ports) : encodeV2(addresses, ports);
}

/** The header has one family. Behind a SOCKS proxy the ends may differ: then the IPv4 address is mapped into IPv6. */
function joinFamilies(addresses: readonly string[]): string[] {
  const isMixed = new Set(addresses.map(isIPv4)).size > 1;
  return addresses.map((address) => (isMixed && isIPv4(address) ? `::ffff:${address}` : address));
}

function encodeV1(addresses: readonly string[], ports: readonly number[]): Buffer {
  const family = addresses.every(isIPv4) ? 'TCP4' : 'TCP6';
  return Buffer.from(`PROXY ${[family, ...addresses, ...ports].join(' ')}\r\n`, 'latin1');
}

function encodeV2(addresses: readonly string[], ports: readonly number[]): Buffer {
  const family = addresses.every(isIPv4) ? V2_TCP4 : V2_TCP6;
  const body = Buffer.concat([...addresses.map(encodeAddress), encodeWords(ports)]);
  const fixed = Buffer.from([V2_PROXY, family, ...encodeWords([body.length])]);
  return Buffer.concat([V2_SIGNATURE, fixed, body]);
}

function encodeAddress(address: string): Buffer {
  return isIPv4(address) ? Buffer.from(address.split('.').map(Number)) : encodeWords(expandIpv6(address));
}

/** Numbers of 16 bits, in network byte order. */
function encodeWords(words: readonly number[]): Buffer {
  return Buffer.from(words.flatMap((word) => [word >> 8, word & 255]));
}

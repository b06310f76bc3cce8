/**
 * Parses the header of the PROXY protocol, versions 1 and 2 (proxy-protocol.txt of HAProxy, sections 2.1 and 2.2), in
 * the first bytes of a connection. The header is complete, incomplete or missing. The parser is strict, because the
 * header decides who the client is. Pure and total.
 */
import { isIPv4, isIPv6 } from 'node:net';

export type ProxyHeader =
  | { kind: 'more' }
  /** `client` null: the proxy speaks for itself (LOCAL, UNKNOWN). `length`: the size of the header in bytes. */
  | { kind: 'header'; client: { address: string } | null; length: number }
  | { kind: 'invalid'; reason: string };

const V1_BEGIN = Buffer.from('PROXY ');
const V1_LONGEST = 107;
const V2_SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const V2_FIXED = 16;
/** The limit for addresses and extensions. The protocol would allow 65,535. */
const V2_LONGEST = 4_096;

export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (beginsLike(bytes, V2_SIGNATURE)) return bytes.length < V2_FIXED ? { kind: 'more' } : readV2(bytes);
  if (beginsLike(bytes, V1_BEGIN)) return readV1(bytes);
  return invalid('the connection does not begin with a PROXY header');
}

function readV1(bytes: Buffer): ProxyHeader {
  const end = bytes.indexOf('\r\n');
  if (end === -1)
    return bytes.length >= V1_LONGEST ? invalid('the PROXY header does not end') : { kind: 'more' };
  if (end + 2 > V1_LONGEST) return invalid('the PROXY header is too long');
  const length = end + 2;
  const [, family = '', ...words] = bytes.toString('latin1', 0, end).split(' ');
  if (family === 'UNKNOWN') return { kind: 'header', client: null, length };
  const [from = '', to = '', ...ports] = words;
  const isAddress = { TCP4: isIPv4, TCP6: isIPv6 }[family];
  const isRight =
    isAddress?.(from) && isAddress(to) && ports.length === 2 && ports.every(isPort) && !from.includes('%');
  return isRight
    ? { kind: 'header', client: { address: plain(from) }, length }
    : invalid('the PROXY header is malformed');
}

function readV2(bytes: Buffer): ProxyHeader {
  const [versionAndCommand = 0, familyAndProtocol = 0] = bytes.subarray(12, 14);
  const rest = bytes.readUInt16BE(14);
  const command = versionAndCommand & 0x0f;
  if (versionAndCommand >> 4 !== 2 || command > 1) return invalid('the PROXY header has an unknown version');
  if (rest > V2_LONGEST) return invalid('the PROXY header is too long');
  const length = V2_FIXED + rest;
  if (bytes.length < length) return { kind: 'more' };
  if (command === 0) return { kind: 'header', client: null, length };
  const family = familyAndProtocol >> 4;
  const body = bytes.subarray(V2_FIXED, length);
  if (family === 1 && rest >= 12)
    return { kind: 'header', client: { address: [...body.subarray(0, 4)].join('.') }, length };
  if (family === 2 && rest >= 36)
    return { kind: 'header', client: { address: ipv6(body.subarray(0, 16)) }, length };
  // The family is unspecified, or it is a Unix socket of the proxy's machine.
  if (family === 0 || family === 3) return { kind: 'header', client: null, length };
  return invalid('the PROXY header is malformed');
}

/** True while `bytes` may still become a text that begins with `wanted`. */
function beginsLike(bytes: Buffer, wanted: Buffer): boolean {
  const length = Math.min(bytes.length, wanted.length);
  return bytes.subarray(0, length).equals(wanted.subarray(0, length));
}

function isPort(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

/** In the form that sockets report: lower case and compressed, and an IPv4-mapped address as IPv4. */
function ipv6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return plain(groups.join(':'));
}

function plain(address: string): string {
  if (!address.includes(':')) return address;
  // The URL parser makes the canonical text of an address (RFC 5952).
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical) ?? [];
  if (high === undefined || low === undefined) return canonical;
  const [a, b] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return [a >> 8, a & 255, b >> 8, b & 255].join('.');
}

function invalid(reason: string): ProxyHeader {
  return { kind: 'invalid', reason };
}

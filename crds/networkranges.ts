/**
 * Client networks as ranges of addresses, to judge how much they have together. All lie in one space of 128 bits, with
 * IPv4 at ::ffff:0:0/96, because the relay compares them so: `::/0` has every address of IPv4 too. Pure.
 */
import { isIP } from 'node:net';
import { expandIpv6 } from './ipv6groups.ts';

export type Range = readonly [first: bigint, last: bigint];

const BITS = 128;
const MAPPED = 0xffffn << 32n;

const PUBLIC6 = rangesOf(['2000::/3']);
const ALL4 = rangesOf(['0.0.0.0/0']);
/** Networks of IPv4 from which no packet comes over the Internet. */
const NOT_PUBLIC4 = rangesOf([
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '224.0.0.0/3',
]);
/** Nobody has fourteen of the networks /8 of IPv4, or a /12 of IPv6, which is all that a regional registry gives out. */
const WIDE_FROM4 = 16n;
const WIDE_FROM6 = 512n;

/** In order, and without overlaps. What is no network is left out: the rules of the schema refuse it. */
export function rangesOf(networks: readonly string[]): Range[] {
  return merged(networks.flatMap(readRange));
}

/** The addresses that are in both lists. */
export function common(a: readonly Range[], b: readonly Range[]): Range[] {
  const found = a.flatMap((one) =>
    b.map((other): Range => [larger(one[0], other[0]), smaller(one[1], other[1])]),
  );
  return merged(found.filter(([first, last]) => first <= last));
}

/** True for so many public addresses of one family that nobody has so many clients. */
export function isWide(ranges: readonly Range[]): boolean {
  const share4 = countPublic4(ranges) * WIDE_FROM4 >= countPublic4(ALL4);
  return share4 || count(common(ranges, PUBLIC6)) * WIDE_FROM6 >= count(PUBLIC6);
}

/** Those networks that have public addresses, the largest first. */
export function publicNetworks(networks: readonly string[]): string[] {
  const sized = networks.map((network) => {
    const ranges = rangesOf([network]);
    return { network, size: countPublic4(ranges) + count(common(ranges, PUBLIC6)) };
  });
  return sized
    .filter(({ size }) => size > 0n)
    .toSorted((a, b) => (a.size === b.size ? 0 : a.size < b.size ? 1 : -1))
    .map(({ network }) => network);
}

function countPublic4(ranges: readonly Range[]): bigint {
  const of4 = common(ranges, ALL4);
  return count(of4) - count(common(of4, NOT_PUBLIC4));
}

function count(ranges: readonly Range[]): bigint {
  return ranges.reduce((sum, [first, last]) => sum + last - first + 1n, 0n);
}

function merged(ranges: readonly Range[]): Range[] {
  const result: Range[] = [];
  for (const [first, last] of ranges.toSorted((a, b) => (a[0] < b[0] ? -1 : 1))) {
    const before = result.at(-1);
    if (before && first <= before[1] + 1n) result[result.length - 1] = [before[0], larger(before[1], last)];
    else result.push([first, last]);
  }
  return result;
}

function readRange(network: string): Range[] {
  const [address = '', prefix] = network.split('/');
  const version = isIP(address);
  if (version === 0 || address.includes('%')) return [];
  const bits = prefix === undefined ? BITS : Number(prefix) + (version === 4 ? 96 : 0);
  const hosts = BigInt(Math.max(0, BITS - bits));
  const value =
    version === 4
      ? MAPPED + joinGroups(address.split('.').map(Number), 8n)
      : joinGroups(expandIpv6(address), 16n);
  const first = (value >> hosts) << hosts;
  return [[first, first + (1n << hosts) - 1n]];
}

function joinGroups(groups: readonly number[], bits: bigint): bigint {
  return groups.reduce((sum, group) => (sum << bits) + BigInt(group), 0n);
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

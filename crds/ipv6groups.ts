/** The eight groups of an IPv6 address, as numbers of 16 bits. Pure. */

export function expandIpv6(address: string): number[] {
  // The URL parser makes the canonical text of an address (RFC 5952), also from a dotted end.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [before = '', after] = canonical.split('::');
  const parse = (text: string) =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const [head, tail] = [parse(before), parse(after ?? '')];
  return after === undefined ? head : [...head, ...Array(8 - head.length - tail.length).fill(0), ...tail];
}

/**
 * Which addresses are one client. Whoever has an IPv6 address has a network of them, a /64 at least, so what is counted
 * by address alone would count nobody who minds. Pure.
 */

/** /24 of IPv4, /64 of IPv6. */
export function clientNetwork(client: string): string {
  return client.includes(':') ? sixtyFourOf(client) : `${client.split('.').slice(0, 3).join('.')}.0/24`;
}

/** For limits. An address of IPv4 stands for itself, also where it comes translated (RFC 6052). */
export function countedAs(client: string): string {
  return client.includes(':') && !client.startsWith('64:ff9b::') ? sixtyFourOf(client) : client;
}

function sixtyFourOf(client: string): string {
  const [head = '', tail] = client.split('::');
  const groups = head.split(':').filter((group) => group !== '');
  const rest = (tail ?? '').split(':').filter((group) => group !== '');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - rest.length);
  const all = [...groups, ...Array.from({ length: zeros }, () => '0'), ...rest];
  return `${all.slice(0, 4).join(':')}::/64`;
}

/**
 * Decides which addresses are one client. A client with IPv6 has at least a whole /64, so a limit for single addresses
 * would limit nobody. Pure.
 */

/** /24 of IPv4, /64 of IPv6. */
export function clientNetwork(client: string): string {
  return client.includes(':') ? formatPrefix64(client) : `${client.split('.').slice(0, 3).join('.')}.0/24`;
}

/** The client name for limits. An IPv4 address stands for itself, also in translated form (RFC 6052). */
export function countedAs(client: string): string {
  return client.includes(':') && !client.startsWith('64:ff9b::') ? formatPrefix64(client) : client;
}

function formatPrefix64(client: string): string {
  const [head = '', tail] = client.split('::');
  const groups = head.split(':').filter((group) => group !== '');
  const rest = (tail ?? '').split(':').filter((group) => group !== '');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - rest.length);
  const all = [...groups, ...Array.from({ length: zeros }, () => '0'), ...rest];
  return `${all.slice(0, 4).join(':')}::/64`;
}

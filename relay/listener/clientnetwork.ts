/**
 * Decides which addresses are one client. A client with IPv6 has at least a whole /64, so a limit for single addresses
 * would limit nobody. Pure.
 */

/** /24 of IPv4, also in translated form, /64 of IPv6. */
export function clientNetwork(client: string): string {
  if (!client.includes(':')) return formatPrefix24(client);
  const groups = readGroups(client);
  const translated = readTranslated(groups);
  return translated === undefined ? formatPrefix64(groups) : formatPrefix24(translated);
}

/** The client name for limits. An IPv4 address stands for itself, also in translated form. */
export function countedAs(client: string): string {
  if (!client.includes(':')) return client;
  const groups = readGroups(client);
  return readTranslated(groups) === undefined ? formatPrefix64(groups) : client;
}

/** The IPv4 address in one of 64:ff9b::/96 (RFC 6052). Undefined for other addresses. */
function readTranslated(groups: readonly string[]): string | undefined {
  if (groups.slice(0, 6).join(':') !== '64:ff9b:0:0:0:0') return undefined;
  return groups
    .slice(6)
    .map((group) => Number.parseInt(group, 16))
    .flatMap((number) => [number >> 8, number & 0xff])
    .join('.');
}

function formatPrefix24(client: string): string {
  return `${client.split('.').slice(0, 3).join('.')}.0/24`;
}

function formatPrefix64(groups: readonly string[]): string {
  return `${groups.slice(0, 4).join(':')}::/64`;
}

/** All eight. */
function readGroups(client: string): readonly string[] {
  const [head = '', tail] = client.split('::');
  const groups = head.split(':').filter((group) => group !== '');
  const rest = (tail ?? '').split(':').filter((group) => group !== '');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - rest.length);
  return [...groups, ...Array.from({ length: zeros }, () => '0'), ...rest];
}

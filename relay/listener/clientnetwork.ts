/**
 * Decides which addresses are one client. A client with IPv6 has at least a whole /64, so a limit for single addresses
 * would limit nobody. Pure.
 */

/** /24 of IPv4, also in translated form, /64 of IPv6. */
export function clientNetwork(client: string): string {
  return formatNetwork(client, 4);
}

/** A site, which has many clients: /24 of IPv4, also in translated form, /48 of IPv6. */
export function siteOf(client: string): string {
  return formatNetwork(client, 3);
}

/** The client name for limits. An IPv4 address stands for itself, also in translated form. */
export function countedAs(client: string): string {
  if (!client.includes(':')) return client;
  const groups = readGroups(client);
  return readTranslated(groups) === undefined ? formatPrefix(groups, 4) : client;
}

/** Of IPv6, so many groups. */
function formatNetwork(client: string, count: number): string {
  if (!client.includes(':')) return formatPrefix24(client);
  const groups = readGroups(client);
  const translated = readTranslated(groups);
  return translated === undefined ? formatPrefix(groups, count) : formatPrefix24(translated);
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

function formatPrefix(groups: readonly string[], count: number): string {
  return `${groups.slice(0, count).join(':')}::/${16 * count}`;
}

/** All eight. */
function readGroups(client: string): readonly string[] {
  const [head = '', tail] = client.split('::');
  const groups = head.split(':').filter((group) => group !== '');
  const rest = (tail ?? '').split(':').filter((group) => group !== '');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - rest.length);
  return [...groups, ...Array.from({ length: zeros }, () => '0'), ...rest];
}

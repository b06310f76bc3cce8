/** What a policy of MTA-STS says, and whether it names an MX host (RFC 8461 section 4.1). Pure. */

export interface StsPolicy {
  readonly mode: 'enforce' | 'testing' | 'none';
  /** Host names in lower case. A pattern with "*." in front covers exactly one label. */
  readonly mxPatterns: readonly string[];
  readonly maxAgeSeconds: number;
}

/** True if a policy with these patterns names the MX host, a name out of DNS. No host name contains a wildcard. */
export function coversMx(mxPatterns: readonly string[], host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, '');
  const wildcard = name.replace(/^[^.]+/, '*');
  return !name.includes('*') && mxPatterns.some((pattern) => pattern === name || pattern === wildcard);
}

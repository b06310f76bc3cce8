/**
 * Reads MTA-STS records and policies with mailauth's strict parser (RFC 8461 sections 3.1 and 3.2), and compares MX
 * hosts with a policy (section 4.1). A record that is not exactly right counts as no record. A policy that is not
 * exactly right is an error with a reason. Pure.
 */

export interface StsPolicy {
  readonly mode: 'enforce' | 'testing' | 'none';
  /** Host names in lower case. A pattern with "*." in front covers exactly one label. */
  readonly mxPatterns: readonly string[];
  readonly maxAgeSeconds: number;
}

export type ParsedPolicy =
  | { readonly kind: 'policy'; readonly policy: StsPolicy }
  | { readonly kind: 'invalid'; readonly reason: string };

/** Real policies have a few patterns. More than this would only cost memory and time. */
const MOST_PATTERNS = 1_000;

let parser: Promise<typeof import('mailauth/lib/mta-sts.js')> | undefined;

/** Loaded when it is needed: it brings many modules along, and most relays never look for a policy. */
function loadParser(): NonNullable<typeof parser> {
  parser ??= import('mailauth/lib/mta-sts.js');
  return parser;
}

/** The id of the policy, or null if the records of `_mta-sts.<domain>` announce none. */
export async function readPolicyId(domain: string, records: readonly string[][]): Promise<string | null> {
  if (records.length === 0) return null;
  const joined = records.map((strings) => [shortenSpaces(strings.join(''))]);
  const { resolvePolicy } = await loadParser();
  try {
    return (await resolvePolicy(domain, { strict: true, resolver: async () => joined })) || null;
  } catch {
    // More than one record counts as none.
    return null;
  }
}

export async function readPolicy(text: string): Promise<ParsedPolicy> {
  if (countLines(text) > MOST_PATTERNS)
    return { kind: 'invalid', reason: `it has more than ${MOST_PATTERNS} lines` };
  const { parsePolicy } = await loadParser();
  try {
    const { mode, mx = [], maxAge } = parsePolicy(shortenSpaces(text), { strict: true });
    return { kind: 'policy', policy: { mode, mxPatterns: mx, maxAgeSeconds: maxAge } };
  } catch (error) {
    return { kind: 'invalid', reason: (error as Error).message };
  }
}

/** True if a policy with these patterns names the MX host, a name out of DNS. No host name contains a wildcard. */
export function coversMx(mxPatterns: readonly string[], host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, '');
  const wildcard = name.replace(/^[^.]+/, '*');
  return !name.includes('*') && mxPatterns.some((pattern) => pattern === name || pattern === wildcard);
}

function countLines(text: string): number {
  return text.split('\n').length;
}

/**
 * The time that the parser takes grows with the square of the spaces in a row. Where spaces are allowed, one means the
 * same as many.
 */
function shortenSpaces(text: string): string {
  return text.replace(/[ \t]+/g, ' ');
}

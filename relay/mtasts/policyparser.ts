/**
 * Reads MTA-STS records and policies with mailauth's strict parser (RFC 8461 sections 3.1 and 3.2). A record that is not
 * exactly right counts as no record. A policy that is not exactly right is an error with a reason. Rejects where the parser
 * cannot be loaded.
 */
import { load } from '../task/load.ts';
import type { StsPolicy } from './policy.ts';

export type ParsedPolicy =
  | { readonly kind: 'policy'; readonly policy: StsPolicy }
  | { readonly kind: 'invalid'; readonly reason: string };

/** Real policies have a few patterns. More than this would only cost memory and time. */
const MOST_PATTERNS = 1_000;

/** Node keeps it, and forgets a failure. */
function loadParser() {
  return load('mailauth/lib/mta-sts.js') as typeof import('mailauth/lib/mta-sts.js');
}

/** The id of the policy, or null if the records of `_mta-sts.<domain>` announce none. */
export async function readPolicyId(domain: string, records: readonly string[][]): Promise<string | null> {
  if (records.length === 0) return null;
  const joined = records.map((strings) => [shortenSpaces(strings.join(''))]);
  const { resolvePolicy } = loadParser();
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
  const { parsePolicy } = loadParser();
  try {
    const { mode, mx = [], maxAge } = parsePolicy(shortenSpaces(text), { strict: true });
    return { kind: 'policy', policy: { mode, mxPatterns: mx, maxAgeSeconds: maxAge } };
  } catch (error) {
    return { kind: 'invalid', reason: (error as Error).message };
  }
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

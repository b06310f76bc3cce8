/** The policies of MTA-STS that were fetched, as the text of a file or of a hand-over. Pure. */
import type { StsPolicy } from './policy.ts';

export interface CachedPolicy extends StsPolicy {
  /** Of the TXT record under which it was fetched. */
  readonly id: string;
  /** Wall clock, in milliseconds. */
  readonly fetchedAt: number;
  /** The last delivery for which it was looked up. Wall clock, in milliseconds. */
  readonly usedAt: number;
}

/** A policy with a shorter time, or with none, would have to be fetched for every message. */
const LEAST_AGE_MS = 5 * 60_000;
const FORMAT = 1;

/** `policies`: by domain, each as JSON. */
export function printPolicies(policies: Iterable<readonly [domain: string, json: string]>): string {
  const fields = Array.from(policies, ([domain, json]) => `${JSON.stringify(domain)}:${json}`);
  return `{"format":${FORMAT},"policies":{${fields.join(',')}}}`;
}

/** Throws if the text is not JSON. A text of another format has no policies. */
export function parsePolicies(text: string): (readonly [domain: string, policy: CachedPolicy])[] {
  const { format, policies } = JSON.parse(text) ?? {};
  if (format !== FORMAT) return [];
  return Object.entries(policies ?? {}).flatMap(([domain, policy]) =>
    isCachedPolicy(policy) ? [[domain, policy] as const] : [],
  );
}

/** After the clock was set back a policy stays: a policy that ends too early would let mail go unprotected. */
export function isValid(policy: CachedPolicy, now: number): boolean {
  return now - policy.fetchedAt < lifetimeMs(policy);
}

export function lifetimeMs({ maxAgeSeconds }: StsPolicy): number {
  return Math.max(maxAgeSeconds * 1000, LEAST_AGE_MS);
}

function isCachedPolicy(value: unknown): value is CachedPolicy {
  const { id, mode, mxPatterns, maxAgeSeconds, fetchedAt, usedAt } = (value ?? {}) as Partial<CachedPolicy>;
  return (
    typeof id === 'string' &&
    (mode === 'enforce' || mode === 'testing' || mode === 'none') &&
    Array.isArray(mxPatterns) &&
    mxPatterns.every((pattern) => typeof pattern === 'string') &&
    [maxAgeSeconds, fetchedAt, usedAt].every(Number.isFinite)
  );
}

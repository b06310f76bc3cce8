/**
 * Reads the text of a policy file. The result is a policy that this version can serve, or one sentence that says why
 * not. Pure.
 */
import { hashContent, type ParsedPolicy, type Policy, parsePolicy } from '#crds/policyfile.ts';

export function judgeText(text: string | undefined): ParsedPolicy {
  if (text === undefined) return { kind: 'invalid', message: 'the policy file is missing' };
  const parsed = parsePolicy(text);
  const problem = parsed.kind === 'policy' ? unservable(parsed.policy) : undefined;
  return problem === undefined ? parsed : { kind: 'invalid', message: problem };
}

/** The hash of the policy in the text, even if this version cannot serve it. null if the text is no policy. */
export function hashOfText(text: string | undefined): string | null {
  const parsed = text === undefined ? undefined : parsePolicy(text);
  return parsed?.kind === 'policy' ? hashContent(parsed.policy) : null;
}

/** Why this version cannot serve the policy. A setting that cannot be enforced fails closed. */
function unservable({ outbound }: Policy): string | undefined {
  const hops = [...outbound.smartHosts, ...outbound.routes.flatMap(({ hosts }) => hosts ?? [])];
  const levels = [outbound, ...outbound.routes, ...hops].map(({ tlsLevel }) => tlsLevel);
  return levels.includes('Dane') && outbound.resolver?.trustAD !== true
    ? 'TLS level Dane needs DNSSEC: set outbound.resolver.sidecar, or outbound.resolver with trustAD: true, or use Verify'
    : undefined;
}

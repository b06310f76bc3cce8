/**
 * What a relay makes of the text of a policy file: a policy that this version can serve, or one sentence. Pure.
 */
import { hashOf, type ParsedPolicy, type Policy, parsePolicy } from '#crds/policyfile.ts';

export function judgeText(text: string | undefined): ParsedPolicy {
  if (text === undefined) return { kind: 'invalid', message: 'the policy file is missing' };
  const parsed = parsePolicy(text);
  const problem = parsed.kind === 'policy' ? unservable(parsed.policy) : undefined;
  return problem === undefined ? parsed : { kind: 'invalid', message: problem };
}

/** The name of what a text says, also where it cannot be served; null where it is no policy at all. */
export function hashOfText(text: string | undefined): string | null {
  const parsed = text === undefined ? undefined : parsePolicy(text);
  return parsed?.kind === 'policy' ? hashOf(parsed.policy) : null;
}

/** Why this version cannot serve the policy at all: what is not enforced fails closed. */
function unservable({ outbound }: Policy): string | undefined {
  const hops = [...outbound.smartHosts, ...outbound.routes.flatMap(({ hosts }) => hosts ?? [])];
  if (outbound.tlsLevel === 'Dane' || hops.some(({ tlsLevel }) => tlsLevel === 'Dane')) {
    return 'TLS level Dane is not available in this version: use Verify';
  }
  return undefined;
}

/**
 * What one session towards an MX host means in a TLS report (RFC 8460 section 4.3): the policy that it was held to, and
 * the result type of its failure. Pure.
 */
import type { FailureCause } from '#crds/failure.ts';
import type { TlsFindings, TlsSession } from '../delivery/tlssession.ts';
import { coversMx } from '../mtasts/policy.ts';
import type { PolicyReport, ResultType } from './report.ts';

type ReportedPolicy = PolicyReport['policy'];
type PolicyFacts = Omit<ReportedPolicy, 'policy-domain'>;

interface ReportedFailure {
  readonly type: ResultType;
  /** Our own word, where the RFC has no type of its own. */
  readonly code?: string;
}

export interface Result {
  readonly policy: ReportedPolicy;
  /** null: the session was encrypted as the policy wants it. */
  readonly failure: ReportedFailure | null;
}

/** Records or patterns of one policy. Real ones have a few. */
const MOST_STRINGS = 50;

/** Of a policy domain, in ASCII: it becomes part of a name that is looked up, and of a file name. */
const DOMAIN = /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})+$/;

/** The causes that say nothing of TLS are not among them: their sessions are not reported. */
const RESULTS: Readonly<Partial<Record<FailureCause, ReportedFailure>>> = {
  'starttls-missing': { type: 'starttls-not-supported' },
  'certificate-host-mismatch': { type: 'certificate-host-mismatch' },
  'certificate-expired': { type: 'certificate-expired' },
  'certificate-untrusted': { type: 'certificate-not-trusted' },
  handshake: { type: 'validation-failure', code: 'handshake' },
  'tlsa-invalid': { type: 'tlsa-invalid' },
  'dnssec-invalid': { type: 'dnssec-invalid' },
  'dane-required': { type: 'dane-required' },
  'sts-policy-fetch-error': { type: 'sts-policy-fetch-error' },
  'sts-policy-invalid': { type: 'sts-policy-invalid' },
  'sts-webpki-invalid': { type: 'sts-webpki-invalid' },
  'sts-mx-mismatch': { type: 'validation-failure', code: 'sts-mx-mismatch' },
};

/** Undefined if the session says nothing of TLS. */
export function judgeSession({ domain, mxHost, findings, failure }: TlsSession): Result | undefined {
  if (!DOMAIN.test(domain)) return undefined;
  const policy = { ...describePolicy(findings), 'policy-domain': domain };
  const cause = failure?.cause ?? findPolicyFault(mxHost, findings);
  if (cause === undefined) return { policy, failure: null };
  const reported = RESULTS[cause];
  return reported && { policy, failure: reported };
}

/** DANE goes before MTA-STS, as in delivery. */
function describePolicy({ dane, sts }: TlsFindings): PolicyFacts {
  if (dane.kind === 'records')
    return {
      'policy-type': 'tlsa',
      'policy-string': dane.records
        .slice(0, MOST_STRINGS)
        .map(({ usage, selector, matching, data }) => `${usage} ${selector} ${matching} ${data}`),
      'mx-host': [dane.base],
    };
  if (dane.kind === 'unusable') return { 'policy-type': 'tlsa', 'mx-host': [dane.base] };
  if (dane.kind === 'failed') return { 'policy-type': 'tlsa' };
  if (sts.kind === 'policy') {
    const patterns = sts.mxPatterns.slice(0, MOST_STRINGS);
    const lines = [
      'version: STSv1',
      `mode: ${sts.mode}`,
      ...patterns.map((pattern) => `mx: ${pattern}`),
      `max_age: ${sts.maxAgeSeconds}`,
    ];
    return { 'policy-type': 'sts', 'policy-string': lines, 'mx-host': patterns };
  }
  return { 'policy-type': sts.kind === 'failed' ? 'sts' : 'no-policy-found' };
}

/** A fault of the policy itself that does not hold mail back: the domain wants to hear of it all the same. */
function findPolicyFault(mxHost: string, { dane, sts }: TlsFindings): FailureCause | undefined {
  if (dane.kind === 'records' || dane.kind === 'unusable') return undefined;
  if (sts.kind === 'failed') return sts.failure.cause;
  if (sts.kind === 'policy' && !coversMx(sts.mxPatterns, mxHost)) return 'sts-mx-mismatch';
  return undefined;
}

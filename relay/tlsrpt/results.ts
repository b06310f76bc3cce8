/**
 * What one session towards an MX host means in a TLS report (RFC 8460 section 4.3): the policy that it was held to, and
 * the result type of its failure. Pure.
 */
import type { FailureCause } from '#crds/failure.ts';
import type { TlsFindings, TlsSession } from '../delivery/tlssession.ts';
import { coversMx } from '../mtasts/policy.ts';
import type { PolicyReport, ResultType } from './report.ts';

type ReportedPolicy = PolicyReport['policy'];

interface ReportedFailure {
  readonly type: ResultType;
  /** Our own word, where the RFC has no type of its own. */
  readonly code?: string;
}

export interface Result {
  /** Whose report tells of it. */
  readonly domain: string;
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
  const policy = describePolicy({ domain, mxHost, findings });
  const cause = failure?.cause ?? findPolicyFault(mxHost, findings);
  if (cause === undefined) return { domain, policy, failure: null };
  const reported = RESULTS[cause];
  return reported && { domain, policy, failure: reported };
}

/** DANE goes before MTA-STS, as in delivery. Its policy domain is the name of the TLSA records (RFC 8460 section 1.1). */
function describePolicy({
  domain,
  mxHost,
  findings: { dane, sts },
}: Pick<TlsSession, 'domain' | 'mxHost' | 'findings'>): ReportedPolicy {
  if (dane.kind === 'failed') return { 'policy-type': 'tlsa', 'policy-domain': mxHost };
  if (dane.kind === 'unusable') return { 'policy-type': 'tlsa', 'policy-domain': dane.base };
  if (dane.kind === 'records') {
    const lines = dane.records
      .slice(0, MOST_STRINGS)
      .map(({ usage, selector, matching, data }) => `${usage} ${selector} ${matching} ${data}`);
    return { 'policy-type': 'tlsa', 'policy-string': lines, 'policy-domain': dane.base };
  }
  if (sts.kind !== 'policy')
    return { 'policy-type': sts.kind === 'failed' ? 'sts' : 'no-policy-found', 'policy-domain': domain };
  const patterns = sts.mxPatterns.slice(0, MOST_STRINGS);
  const lines = [
    'version: STSv1',
    `mode: ${sts.mode}`,
    ...patterns.map((pattern) => `mx: ${pattern}`),
    `max_age: ${sts.maxAgeSeconds}`,
  ];
  return { 'policy-type': 'sts', 'policy-string': lines, 'policy-domain': domain, 'mx-host': patterns };
}

/** A fault of the policy itself that does not hold mail back: the domain wants to hear of it all the same. */
function findPolicyFault(mxHost: string, { dane, sts }: TlsFindings): FailureCause | undefined {
  if (dane.kind === 'records' || dane.kind === 'unusable') return undefined;
  if (sts.kind === 'failed') return sts.failure.cause;
  if (sts.kind === 'policy' && !coversMx(sts.mxPatterns, mxHost)) return 'sts-mx-mismatch';
  return undefined;
}

/** The cure if cert-manager does not issue a certificate, by its words. Pure. */
import type { Issue } from './issue.ts';

interface Asked {
  /** The field that names the issuer. */
  readonly field: string;
  /** Kind and name of the issuer. */
  readonly issuer: string;
}

/** The first entry whose words are in the message counts. */
const ISSUE_CURES: readonly (readonly [words: RegExp, cure: (asked: Asked) => string])[] = [
  // The issuer is there, and its key or its login is not.
  [
    /secrets? .*not found$|secret resource not found/i,
    ({ issuer }) => `create the Secret that it names, or correct ${issuer}`,
  ],
  [/ not found$/, ({ field, issuer }) => `create ${issuer}, or correct ${field}`],
  [/issuer .*(ready status condition|not ready)/i, ({ issuer }) => `mend ${issuer}, its conditions say how`],
  [
    /^nobody has approved/,
    () =>
      'let the approver of cert-manager run and allow it ("kubectl describe certificaterequest" tells more)',
  ],
  [/^no controller has looked at/, ({ issuer }) => `see whether the controller of ${issuer} runs`],
  [/denied/i, () => 'let the approver of cert-manager allow it, or change what it refuses'],
  [/^waiting on certificate issuance from order/i, () => 'if it stays so, see the challenges of this order'],
];

/** Undefined while cert-manager works on it and reports no fault. */
export function findIssueCure({ message, isFailed }: Issue, asked: Asked): string | undefined {
  const known = ISSUE_CURES.find(([words]) => words.test(message))?.[1](asked);
  return known ?? (isFailed ? `mend what it names, or ${asked.issuer}` : undefined);
}

/** Types for the part of mailauth's MTA-STS that we use, which has no types. policy.test.ts pins these types. */
declare module 'mailauth/lib/mta-sts.js' {
  export interface ParsedPolicy {
    readonly version: string;
    readonly mode: 'enforce' | 'testing' | 'none';
    /** In seconds. */
    readonly maxAge: number;
    /** In lower case. Absent if the policy has none, which only mode none may. */
    readonly mx?: readonly string[];
  }

  /** Throws with a `code` such as "invalid_sts_mode". */
  export function parsePolicy(text: string, options: { strict: true }): ParsedPolicy;

  /** Returns the id of the policy, or false. Rejects if there is more than one record. */
  export function resolvePolicy(
    domain: string,
    options: { strict: true; resolver: (name: string, type: string) => Promise<readonly string[][]> },
  ): Promise<string | false>;
}

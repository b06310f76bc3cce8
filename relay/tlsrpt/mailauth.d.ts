/** Types for the part of mailauth's DKIM verification that we use, which has no types. signature.test.ts pins them. */
declare module 'mailauth/lib/dkim/verify.js' {
  import type { Readable } from 'node:stream';

  export interface SignatureResult {
    /** As written. Absent if the message has no signature. */
    readonly signingDomain?: string;
    readonly selector?: string;
    /** True if the signature has `l=`. */
    readonly canonBodyLengthLimited?: boolean;
    readonly status: {
      readonly result: 'none' | 'neutral' | 'pass' | 'fail' | 'policy' | 'temperror' | 'permerror';
      readonly comment?: string | false;
      /** The key says that the domain tests DKIM (`t=y`). */
      readonly testing?: boolean;
    };
  }

  export interface Verified {
    /** The addresses in the From fields. */
    readonly headerFrom: readonly string[];
    readonly fromFields: number;
    readonly results: readonly SignatureResult[];
  }

  export function dkimVerify(
    message: Buffer | Readable,
    options: {
      readonly strict?: boolean;
      readonly resolver: (name: string, type: string) => Promise<readonly (readonly string[])[]>;
    },
  ): Promise<Verified>;
}

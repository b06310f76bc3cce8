/**
 * Types for the part of mailauth's signer that we use, which has no types: the class behind its `dkimSign`.
 * dkim.test.ts pins these types.
 */
declare module 'mailauth/lib/dkim/dkim-signer.js' {
  import type { Writable } from 'node:stream';

  export interface ParsedHeader {
    /** In lower case. null if the line has no field name. */
    key: string | null;
    /** The spelling for the `h=` tag. */
    casedKey?: string;
    line: Buffer;
  }

  export interface SigningHeaders {
    /** From the top of the message to the bottom. */
    parsed: ParsedHeader[];
  }

  export interface SigningError {
    readonly signingDomain?: string;
    readonly selector?: string;
    readonly err: Error;
  }

  export interface SignerOptions {
    readonly canonicalization: string;
    readonly strict: boolean;
    readonly headerList: readonly string[];
    readonly signatureData: { signingDomain: string; selector: string; privateKey: string }[];
  }

  /** Takes a message. After `finish` there is one folded header line for each signature, without a last CRLF. */
  export class DkimSigner extends Writable {
    constructor(options: SignerOptions);
    readonly signatureHeaders: readonly string[];
    readonly errors: readonly SigningError[];
    /** Called once before the hashing. Subclasses override it. */
    messageHeaders(headers: SigningHeaders): Promise<void>;
  }
}

/**
 * The part of mailauth's signer that is used, which has no types of its own: the class behind its `dkimSign`.
 * dkim.test.ts pins what is written here.
 */
declare module 'mailauth/lib/dkim/dkim-signer.js' {
  import type { Writable } from 'node:stream';

  export interface ParsedHeader {
    /** In lower case; null where the line names none. */
    key: string | null;
    /** As it will stand in the `h=` tag. */
    casedKey?: string;
    line: Buffer;
  }

  export interface SigningHeaders {
    /** From the top of the message down. */
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

  /** Takes a message; after `finish` there are as many header lines as signatures, folded, without a last CRLF. */
  export class DkimSigner extends Writable {
    constructor(options: SignerOptions);
    readonly signatureHeaders: readonly string[];
    readonly errors: readonly SigningError[];
    /** Called once, before anything is hashed; meant to be overridden. */
    messageHeaders(headers: SigningHeaders): Promise<void>;
  }
}

/** What is decided of the certificates of a relay, as values (see rollover.ts), and what DNS shows (see proof.ts). */
export interface KeyPlan {
  /** The Secret whose certificate the pods serve; undefined without TLS. */
  readonly inService: string | undefined;
  readonly next?: { readonly secret: string; readonly step: RollOverStep };
  /** The next key and since when it is in DNS. It stays noted until the StatefulSet serves it. */
  readonly published?: Marked;
  /** Secrets of Certificates that some pod may still serve. */
  readonly former: readonly string[];
}

/** A key, and since when something is so of it. */
export interface Marked {
  readonly digest: string;
  readonly since: number;
}

export type RollOverStep =
  /** Not every pod has told the key of the next certificate. */
  | { readonly kind: 'issuing' }
  /**
   * Nothing proves yet that the records of both keys are in DNS, or the proof is not noted yet. `since`: when that began.
   */
  | ({ readonly kind: 'publishing'; readonly proof: Proof } & Marked)
  | ({ readonly kind: 'waiting'; readonly until: number } & Marked);

/** What DNS has of the records that were looked up, by name. */
export type DnsView = ReadonlyMap<string, DnsAnswer>;

export type DnsAnswer =
  | { readonly kind: 'found'; readonly values: readonly string[] }
  | { readonly kind: 'failed'; readonly why: string };

export interface AwaitedRecord {
  readonly name: string;
  readonly values: readonly string[];
}

export type Proof =
  | { readonly kind: 'proven' }
  /** The records of both keys are not written yet, so that nobody can publish them. */
  | { readonly kind: 'unwritten' }
  | { readonly kind: 'unasked' }
  | { readonly kind: 'lacking'; readonly name: string; readonly value: string }
  | { readonly kind: 'failed'; readonly name: string; readonly why: string };

/** What is decided of the certificates of a relay, as values: see rollover.ts. */
export interface KeyPlan {
  /** The Secret whose certificate the pods serve; undefined without TLS. */
  readonly inService: string | undefined;
  readonly next?: { readonly secret: string; readonly step: RollOverStep };
  /** The next key and since when it is in DNS. It stays noted until the StatefulSet serves it. */
  readonly published?: Published;
  /** Secrets of Certificates that some pod may still serve. */
  readonly former: readonly string[];
}

export interface Published {
  readonly digest: string;
  readonly since: number;
}

export type RollOverStep =
  /** Not every pod has told the key of the next certificate. */
  | { readonly kind: 'issuing' }
  /** The records of both keys are written, and nobody has told that they are in DNS. */
  | { readonly kind: 'publishing'; readonly digest: string }
  | ({ readonly kind: 'waiting'; readonly until: number } & Published);

/** The addresses of a message, and what a step does to them (steps.ts). Types only. */
import type { MapRefusal } from '../addresses/rewrite.ts';

export interface Addressee {
  readonly address: string;
  /** The addresses that the client gave, if they became this one. */
  readonly given?: readonly string[];
  /** No later step changes it. */
  readonly isFinal?: boolean;
  /** The policy added it, or put it in the place of all: the sender does not know of it. */
  readonly isCopy?: boolean;
  readonly notify?: readonly string[];
  readonly orcpt?: string;
}

export interface Addresses {
  /** Empty for the null sender, which never changes. */
  readonly from: string;
  readonly to: readonly Addressee[];
  /** The sender before SRS signed it: reports of this relay go there. Absent: it was not signed. */
  readonly unsigned?: string;
}

/** The result of a step, or why a map refuses the address. */
export type Changed<Value> =
  | { readonly kind: 'changed'; readonly to: Value }
  | { readonly kind: 'refused'; readonly refusal: MapRefusal };

/** What a step may have to know besides the addresses. */
export interface Moment {
  /** As the client gave it. Empty: the null sender. */
  readonly sender: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export interface EnvelopeStep {
  /** Never called with the null sender. */
  readonly sender?: (address: string) => Changed<string>;
  readonly recipient?: (one: Addressee, moment: Moment) => Changed<readonly Addressee[]>;
  readonly all?: (addresses: Addresses, moment: Moment) => Changed<Addresses>;
}

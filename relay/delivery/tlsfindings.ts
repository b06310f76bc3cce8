/**
 * What destinations publish about their TLS, as values, and the interface of the code that finds it. tlspolicy.ts
 * decides by these values. Pure.
 */
import type { Failure } from '#crds/failure.ts';
import type { StsFinding } from '../mtasts/policies.ts';
import type { Materials } from '../task/materials.ts';
import type { NextHop } from './courier.ts';

export type { StsFinding } from '../mtasts/policies.ts';

/** A usable TLSA record (RFC 6698 section 2.1): DANE-TA (2) or DANE-EE (3). */
export interface TlsaRecord {
  readonly usage: 2 | 3;
  /** 0: the certificate. 1: its public key. */
  readonly selector: 0 | 1;
  /** 0: the content itself. 1: its SHA-256. 2: its SHA-512. */
  readonly matching: 0 | 1 | 2;
  /** In hexadecimal. */
  readonly data: string;
}

export type DaneFinding =
  /** It was not looked up. */
  | { readonly kind: 'off' }
  /** The host has no DANE: `why` says whether a record or a signature is missing. */
  | { readonly kind: 'none'; readonly why: string }
  /** There are records and none of them is usable. `base`: the name that they belong to (RFC 7672 section 2.2.3). */
  | { readonly kind: 'unusable'; readonly base: string }
  | { readonly kind: 'records'; readonly base: string; readonly records: readonly TlsaRecord[] }
  /** The look-up failed, so it is unknown whether there are records. The mail waits. */
  | { readonly kind: 'failed'; readonly failure: Failure };

export interface TlsFindings {
  readonly dane: DaneFinding;
  readonly sts: StsFinding;
}

export const NO_FINDINGS: TlsFindings = { dane: { kind: 'off' }, sts: { kind: 'none' } };

/**
 * Finds what the domain of a message and a next hop publish. Both keep what they found for a while. What is not to be
 * looked up is told at once, as NO_FINDINGS has it.
 */
export interface TlsDiscovery {
  findDane(hop: NextHop): DaneFinding | Promise<DaneFinding>;
  /** `left` is called at once, or never. Its signal ends when the answer is not waited for any more. */
  findSts(domain: string, left?: () => AbortSignal): StsFinding | Promise<StsFinding>;
  useMaterials(materials: Materials): void;
  /** Resolves when what was found is on disk. */
  close(): Promise<void>;
}

export const NO_DISCOVERY: TlsDiscovery = {
  findDane: () => NO_FINDINGS.dane,
  findSts: () => NO_FINDINGS.sts,
  useMaterials: () => undefined,
  close: async () => undefined,
};

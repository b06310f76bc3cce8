/**
 * Decides when a new pair inside the cluster is served. Clients read its authority from a ConfigMap that the operator
 * publishes, and kubelets take up to a minute and a half to show them the new text. So a pair of a new authority
 * waits until its authority has been published for two minutes, while the pair before is still good. A relay that starts
 * has no pair before, so a restart begins no wait again. What is published is known from the authorities file; without
 * it nobody publishes, and nothing waits. Pure.
 */
import { listFingerprints, parseAuthorities } from '#crds/authoritiesfile.ts';
import type { CertificateFacts } from '#crds/certificatestatus.ts';
import { judgePair } from '#crds/keypair.ts';
import type { PairText } from '../task/messages.ts';
import type { MountedPair } from './certificate.ts';

/** On the clock for waits, and on that for people. */
export interface Moment {
  readonly monotonic: number;
  readonly wall: number;
}

/** Since when this relay has known that an authority is published, by its fingerprint; null: nobody publishes. */
export type Publication = ReadonlyMap<string, Moment> | null;

/** `text`: the authorities file. An authority that is published again begins again. */
export function followPublication(before: Publication, text: string | undefined, now: Moment): Publication {
  const published = parseAuthorities(text ?? '');
  return published
    ? new Map(published.map((fingerprint) => [fingerprint, before?.get(fingerprint) ?? now]))
    : null;
}

export interface NewPair {
  readonly served: PairText | null;
  /** The authority with which that came into service, PEM. Whoever verifies it needs to read nothing. */
  readonly servedAuthority: string | null;
  readonly mounted: MountedPair;
  /** The authority of the mounted pair, PEM; null if its issuer tells none. */
  readonly authority: string | null;
  readonly names: readonly string[];
}

export type Turn =
  | { kind: 'serve' }
  | {
      kind: 'wait';
      facts: CertificateFacts;
      authority: string;
      /** When it is served; null until its authority is published. */
      follows: Moment | null;
    };

const SERVE: Turn = { kind: 'serve' };

export function decideTurn(
  { served, servedAuthority, mounted, authority, names }: NewPair,
  publication: Publication,
  now: Moment,
  authorityMs: number,
): Turn {
  if (publication === null || authority === null || !served) return SERVE;
  if (served.cert === mounted.cert && served.key === mounted.key) return SERVE;
  const unknown = findUnknown(authority, servedAuthority);
  if (unknown.length === 0) return SERVE;
  const next = judgePair(mounted.cert, mounted.key, names, new Date(now.wall));
  if (next.kind === 'unusable' || !isGood(served, names, now)) return SERVE;
  const since = findLatest(publication, unknown);
  const follows = since && later(since, authorityMs);
  return follows && follows.monotonic <= now.monotonic
    ? SERVE
    : { kind: 'wait', facts: next.facts, authority, follows };
}

/** True if clients accept the pair: it has begun, has not ended, and has all names. */
function isGood({ cert, key }: PairText, names: readonly string[], { wall }: Moment): boolean {
  const judged = judgePair(cert, key, names, new Date(wall));
  if (judged.kind === 'unusable') return false;
  return judged.warning === null || judged.warning.reason === 'CertificateExpiringSoon';
}

/** The fingerprints of the certificates in `authority` that are not in that of the pair in service. */
function findUnknown(authority: string, servedAuthority: string | null): string[] {
  const known = new Set(listFingerprints(servedAuthority ?? ''));
  return listFingerprints(authority).filter((fingerprint) => !known.has(fingerprint));
}

/** When the last of these authorities was published; null while one is not. */
function findLatest(publication: NonNullable<Publication>, unknown: readonly string[]): Moment | null {
  const moments = unknown.map((fingerprint) => publication.get(fingerprint));
  if (moments.includes(undefined)) return null;
  const [latest = null] = moments
    .filter((moment) => moment !== undefined)
    .toSorted((a, b) => b.monotonic - a.monotonic);
  return latest;
}

function later({ monotonic, wall }: Moment, ms: number): Moment {
  return { monotonic: monotonic + ms, wall: wall + ms };
}

/**
 * Decides which contents of its Secrets (login, client certificate) a connection to a next hop uses after they changed:
 * the new ones are tried first, and the old ones stay in use meanwhile. The new ones are held back only if the hop
 * refuses them, or if no connection could use them. A connection that fails says nothing about them, so they are taken.
 * Pure.
 */
import type { Failure } from '#crds/failure.ts';

/** How a trial ended. refused: by the hop, or by us. untold: the hop was not reached, or said nothing about who we are. */
export type TrialResult =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'refused'; readonly failure: Failure }
  | { readonly kind: 'untold' };

/** take: the new contents are in use from now on. try: the old ones stay in use until a trial ends otherwise. */
export type Preflight =
  | { readonly kind: 'take' }
  | {
      readonly kind: 'try';
      readonly afterMs: number;
      readonly refusals: number;
      /** Why the new contents were refused. null: they were not tried yet. */
      readonly failure: Failure | null;
    };

export interface Change {
  /** Connections can use the old contents, and the hop has not refused them. */
  readonly isOldGood: boolean;
  /** The old contents were taken away, so they must not stay in use. */
  readonly isWithdrawn: boolean;
}

const FIRST_RETRY_MS = 60_000;
/** Many refused logins in a row would lock the account. */
const LAST_RETRY_MS = 3_600_000;

const TAKE: Preflight = { kind: 'take' };

export function judgeChange({ isOldGood, isWithdrawn }: Change): Preflight {
  return isOldGood && !isWithdrawn ? { kind: 'try', afterMs: 0, refusals: 0, failure: null } : TAKE;
}

export function judgeTrial(before: Preflight & { kind: 'try' }, result: TrialResult): Preflight {
  if (result.kind !== 'refused') return TAKE;
  const refusals = before.refusals + 1;
  const afterMs = Math.min(FIRST_RETRY_MS * 2 ** before.refusals, LAST_RETRY_MS);
  return { kind: 'try', afterMs, refusals, failure: result.failure };
}

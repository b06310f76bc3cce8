/** One rule over several fields of a MailRelay, in the two forms that rules.ts describes. */
import type { MailRelaySpec } from './mailrelay.ts';

interface Tolerance {
  /**
   * The API server checks each field of this name by itself. It passes over one that stays as it was (ratcheting), so that
   * the rest of the stored object can change.
   */
  readonly field: string;
  /** What the broken rule means, until it is mended. */
  readonly meaning: string;
}

export interface Rule {
  /** The field path at which the API server reports the fault. */
  readonly path: string;
  /** True if the object follows the rule. `self` is the spec, or the value of the field of `tolerated`. */
  readonly cel: string;
  readonly message: string;
  /** The rule wants something that is missing, so that no entry of a list is to blame, and each may be what is wanted. */
  readonly wantsOne?: true;
  /** A rule that stored objects may break, because they work on. The API server and lint refuse what is new. */
  readonly tolerated?: Tolerance;
  readonly holds: (spec: MailRelaySpec) => boolean;
}

export const CEL_CUT_THROUGH = "(has(self.queue) && has(self.queue.mode) && self.queue.mode == 'CutThrough')";

export const isCutThrough = ({ queue }: MailRelaySpec) => queue?.mode === 'CutThrough';

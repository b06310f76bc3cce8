/** One rule over several fields of a MailRelay, in the two forms that rules.ts describes. */
import type { MailRelaySpec } from './mailrelay.ts';

export interface Rule {
  /** The field path at which the API server reports the fault. */
  readonly path: string;
  /** True if the object follows the rule. `self` is the spec. */
  readonly cel: string;
  readonly message: string;
  /** The rule wants something that is missing, so that no entry of a list is to blame, and each may be what is wanted. */
  readonly wantsOne?: true;
  /**
   * What becomes of a stored object that breaks the rule, where it works on: the API server and lint refuse a new one, and
   * the operator notes it.
   */
  readonly tolerated?: string;
  readonly holds: (spec: MailRelaySpec) => boolean;
}

export const CEL_CUT_THROUGH = "(has(self.queue) && has(self.queue.mode) && self.queue.mode == 'CutThrough')";

export const isCutThrough = ({ queue }: MailRelaySpec) => queue?.mode === 'CutThrough';

/** One rule over several fields of a MailRelay, in the two forms that rules.ts describes. */
import type { MailRelaySpec } from './mailrelay.ts';

export interface Rule {
  /** Where the API server reports it, below the MailRelay. */
  readonly path: string;
  /** True when the object is fine. `self` is the spec. */
  readonly cel: string;
  readonly message: string;
  readonly holds: (spec: MailRelaySpec) => boolean;
}

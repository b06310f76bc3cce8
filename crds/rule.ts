/** One cross-field rule of a MailRelay, in the two forms that rules.ts speaks of. */
import type { MailRelaySpec } from './mailrelay.ts';

export interface Rule {
  /** Where the API server reports it, below the MailRelay. */
  readonly path: string;
  /** True when the object is fine. `self` is the spec. */
  readonly cel: string;
  readonly message: string;
  readonly holds: (spec: MailRelaySpec) => boolean;
}

/**
 * What the queue knows of delivery: a courier takes one message to one next hop and says what became of each
 * recipient. The queue does not know SMTP (smtp.ts does), so that its behaviour can be tested with any courier.
 */
import type { Hop } from '#crds/policyfile.ts';
import type { Verdict } from './verdict.ts';

/** A hop of the policy, or one that an MX record named. */
export interface NextHop extends Hop {
  /** The domain whose MX record named the host: DNS is not signed, so the name must prove itself against this. */
  readonly mxOf?: string;
}

/** What the sender wants to be told (RFC 3461), as the next hop is told of it. */
export interface DsnRequest {
  readonly ret: 'FULL' | 'HDRS' | null;
  readonly envid: string | null;
  /** In the order of the recipients. */
  readonly recipients: readonly RecipientWish[];
}

/** null: not said. */
export interface RecipientWish {
  readonly notify: readonly string[] | null;
  readonly orcpt: string | null;
}

export interface Parcel {
  readonly from: string;
  readonly to: readonly string[];
  readonly bytes: number;
  /** Its sender said so; what is there is `beyondAscii`. */
  readonly eightBit: boolean;
  readonly smtpUtf8: boolean;
  readonly dsn: DsnRequest;
  /** Which parts of the message have bytes beyond ASCII. */
  readonly beyondAscii: () => Promise<{ readonly header: boolean; readonly body: boolean }>;
  /** For each attempt: all of it where it is in memory, else pieces, each good until the next is asked for. */
  readonly body: () => Buffer | AsyncIterable<Buffer>;
}

export interface HopTls {
  readonly version: string;
  readonly cipher: string;
  readonly verified: boolean;
}

export type HopResult =
  /** The next hop answered: a verdict for each recipient, in order. `tls` is null in plain text. */
  | {
      kind: 'answered';
      verdicts: readonly Verdict[];
      tls: HopTls | null;
      /** The hop knows DSN: what the sender wants to be told is its affair now. */
      tellsSender: boolean;
      /** All recipients wait, and the message itself was not on its way yet: another hop may take it now. */
      mayTryAnother: boolean;
    }
  /** No session as the policy wants it, or one that ended before the message; says why. Another hop may do. */
  | { kind: 'unreachable'; reason: string; loginRefused: boolean; hadSession: boolean };

export interface Courier {
  deliver(hop: NextHop, parcel: Parcel): Promise<HopResult>;
  /** Ends connections, but for those over which a message is on its way: they end with it. */
  close(): void;
}

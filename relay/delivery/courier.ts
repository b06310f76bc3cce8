/**
 * The interface of delivery for the rest of the relay. A courier finds the destination of a message, sends the message
 * there and reports a verdict for each recipient. No other room knows SMTP, so tests can give queue and CutThrough any
 * courier.
 */

import type { Failure } from '#crds/failure.ts';
import type { DestinationLimits, Hop, Provider, Retry, SocksProxy } from '#crds/policyfile.ts';
import type { ReportField } from '#crds/reportaddresses.ts';
import type { StricterLevel, TlsLevel, TlsVersion } from '#crds/tlslevel.ts';
import type { Materials } from '../task/materials.ts';
import type { HopLogins } from '../task/messages.ts';
import type { Verdict } from './verdict.ts';

export type { Complaint, Verdict } from './verdict.ts';

/** Messages with the same key wait together, share one rate limit and are retried together. */
interface Paced {
  readonly key: string;
  /** A name for people. */
  readonly name: string;
  /** The part of the spec that chose this destination, for logs. */
  readonly rule: string;
  /** The end of the key that comes from `limits` and `retry`: a change of them begins no schedule anew. */
  readonly pacing?: string;
  /** Those of its route. Absent: those of the relay. */
  readonly limits?: DestinationLimits;
  /** That of its route. Absent: that of the provider, or of the relay. */
  readonly retry?: Retry;
}

export type Destination =
  | (Paced & { readonly kind: 'hops'; readonly hops: readonly Hop[] })
  | (Paced & {
      readonly kind: 'mx';
      readonly domain: string;
      readonly tlsLevel: TlsLevel;
      readonly minTlsVersion: TlsVersion;
      readonly sourceAddresses: string[];
      readonly socksProxy: SocksProxy | null;
    })
  /** The relay itself: reports of others. */
  | (Paced & { readonly kind: 'local'; readonly reports: ReportField });

export type RemoteDestination = Exclude<Destination, { kind: 'local' }>;

/** A next hop from the policy or from an MX record. */
export interface NextHop extends Hop {
  /**
   * The domain whose MX record named this host. Most MX records are not signed, so level Verify checks the certificate
   * against this domain.
   */
  readonly mxOf?: string;
  /** What that domain is an alias of, as the answer with the MX record has it. Absent: it is none. */
  readonly mxAlias?: string;
  /** DNSSEC proves that MX record, or that there is none and the host is the domain itself. */
  readonly isMxSigned?: boolean;
}

/** The DSN parameters of the sender (RFC 3461), for the next hop. */
interface DsnRequest {
  readonly ret: 'FULL' | 'HDRS' | null;
  readonly envid: string | null;
  /** In the order of the recipients. */
  readonly recipients: readonly RecipientWish[];
}

/** null: the sender did not set it. */
export interface RecipientWish {
  readonly notify: readonly string[] | null;
  readonly orcpt: string | null;
}

export interface Parcel {
  readonly from: string;
  readonly to: readonly string[];
  readonly bytes: number;
  /** The sender declared an 8-bit body. `beyondAscii` tells what the message really contains. */
  readonly eightBit: boolean;
  readonly smtpUtf8: boolean;
  /** The sender gave REQUIRETLS (RFC 8689). */
  readonly requireTls: boolean;
  /** Tells whether the header says "TLS-Required: No". */
  readonly saysTlsNotRequired: () => Promise<boolean>;
  readonly dsn: DsnRequest;
  /** A TLS report of this relay: its sessions are not told for reports (RFC 8460). */
  readonly isTlsReport?: boolean;
  /** Tells which parts of the message contain bytes beyond ASCII. */
  readonly beyondAscii: () => Promise<{ readonly header: boolean; readonly body: boolean }>;
  /**
   * Returns the body for each attempt: one buffer if it is in memory, else pieces. A piece is valid until the next one
   * is requested.
   */
  readonly body: () => Buffer | AsyncIterable<Buffer>;
}

export interface HopTls {
  readonly version: string;
  readonly cipher: string;
  /** The key exchange group, in OpenSSL's spelling. null: there was none, or it is unknown. */
  readonly group: string | null;
  readonly verified: boolean;
}

/** Part of a TlsPolicy (tlspolicy.ts), for logs. */
export interface TlsReason {
  readonly level: TlsLevel;
  readonly rule: string;
  readonly fellBack: Failure | null;
  /** Why the MTA-STS policy in mode testing would have made the mail wait. null: it would not. Absent: there is none. */
  readonly stsTesting?: Failure | null;
  readonly verifiedBy: 'DANE' | 'MTA-STS' | 'PKIX' | null;
}

/** Why a stricter level would have made the mail wait. null: it would not have. Absent: unknown. */
export type Judgement = Partial<Record<StricterLevel, Failure | null>>;

/** The result of one attempt. */
export type AttemptResult =
  | {
      readonly kind: 'answered';
      /** "host:port" of the next hop that answered. Our own name if we refused the message ourselves. */
      readonly hop: string;
      /** One verdict for each recipient, in order. */
      readonly verdicts: readonly Verdict[];
      /** null: the message went in plain text. */
      readonly tls: HopTls | null;
      /** The TLS level of the connection and its reason. Absent if no hop was asked. */
      readonly policy?: TlsReason;
      /** What stricter levels would have said. Absent if no hop was asked. */
      readonly judgement?: Judgement;
      /** True if the hop supports DSN. The hop then sends the DSNs that the sender asked for. */
      readonly tellsSender: boolean;
      /** The failures of the hops that were tried before. */
      readonly passedOver: readonly Failure[];
      /** Recipients that one of those refused for now before it ended the session. */
      readonly refused?: readonly string[];
      /** As of Unreachable: what this hop takes, or where it put all off, one of those. */
      readonly atOnce?: number | undefined;
      /** What this message requires is the reason: the verdicts say nothing of the destination. */
      readonly isOfMessage?: boolean;
    }
  /** There was no session that meets the policy, or the session ended before the message was offered. */
  | Unreachable;

export interface Unreachable {
  readonly kind: 'unreachable';
  readonly failure: Failure;
  readonly hadSession: boolean;
  /** Recipients that a hop refused for now, each by a reply of its own, before it ended the session. */
  readonly refused?: readonly string[];
  /** How many recipients a hop had accepted when it said that they are too many, before it ended the session. */
  readonly atOnce?: number | undefined;
}

/** `unknown`: the name server gave no answer, so nobody knows. */
export type FoundProvider = { kind: 'provider'; provider: Provider } | { kind: 'none' | 'unknown' };

/** Whether it is right to try mail for this destination at once. `failure`: why it waits, if that is known. */
export type Concerned = (destination: Destination, failure?: Failure) => boolean;

/** A next hop, or all hops of a destination, refuse our login. Times of the monotonic clock. */
export interface Refusal {
  readonly failure: Failure;
  /** In a row. */
  readonly refusals: number;
  readonly since: number;
  /** The last one. */
  readonly at: number;
}

export interface Courier {
  route(from: string, to: string): Destination;
  /**
   * Looks up the provider whose limits this destination shares with others. The function is absent if the policy has no
   * provider. Never rejects.
   */
  readonly findProvider?: ((destination: Destination) => Promise<FoundProvider>) | undefined;
  /** Makes one attempt. Rejects only for a bug or for a body that cannot be read. */
  deliver(destination: Destination, parcel: Parcel): Promise<AttemptResult>;
  /**
   * What the process before was told, if all hops of the destination refused its login and none was tried since. Absent:
   * nobody knows.
   */
  findRefusal?(destination: Destination): Refusal | undefined;
  /** Next hops that refuse our login, or a changed one. A hop is removed when it accepts the login. */
  readonly logins: HopLogins;
  /**
   * Sets new contents of Secrets and ConfigMaps for the next connections. Returns a test for the mail that they concern.
   */
  useMaterials(materials: Materials): Concerned;
  /** Ends all connections. A connection that is sending a message ends after that message. */
  close(): void;
}

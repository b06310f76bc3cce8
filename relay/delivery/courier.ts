/**
 * What the rest of the relay knows of delivery: a courier says to which destination mail goes, takes one message there
 * and says what became of each recipient. Nobody outside this room knows SMTP, so that queue and CutThrough can be
 * tested with any courier.
 */

import type { Failure } from '#crds/failure.ts';
import type { Hop } from '#crds/policyfile.ts';
import type { TlsLevel } from '#crds/tlslevel.ts';
import type { Materials } from '../task/materials.ts';
import type { LoginsRefused } from '../task/messages.ts';
import type { Verdict } from './verdict.ts';

export type { Verdict } from './verdict.ts';

/** Mail with the same key waits, is paced and is retried together. */
interface Paced {
  readonly key: string;
  /** For people. */
  readonly name: string;
  /** The part of the spec that decided, for logs. */
  readonly rule: string;
}

export type Destination =
  | (Paced & { readonly kind: 'hops'; readonly hops: readonly Hop[] })
  | (Paced & { readonly kind: 'mx'; readonly domain: string; readonly tlsLevel: TlsLevel });

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
  /** Of the key exchange, in OpenSSL's spelling; null: there was none, or it is not known. */
  readonly group: string | null;
  readonly verified: boolean;
}

/** What came of one attempt. */
export type AttemptResult =
  | {
      readonly kind: 'answered';
      /** "host:port" of the next hop that answered, or our own name for what we refused ourselves. */
      readonly hop: string;
      /** For each recipient, in order. */
      readonly verdicts: readonly Verdict[];
      /** null: in plain text. */
      readonly tls: HopTls | null;
      /** The level that the connection was made by; absent where no hop was asked. */
      readonly level?: TlsLevel;
      /** The hop knows DSN: what the sender wants to be told is its affair now. */
      readonly tellsSender: boolean;
      /** Why other hops were not the one. */
      readonly passedOver: readonly Failure[];
    }
  /** No session as the policy wants it, or one that ended before the message was offered. */
  | { readonly kind: 'unreachable'; readonly failure: Failure; readonly hadSession: boolean };

export interface Courier {
  route(from: string, to: string): Destination;
  /** One attempt; never rejects but for a bug, or a body that cannot be read. */
  deliver(destination: Destination, parcel: Parcel): Promise<AttemptResult>;
  /** Next hops that refuse our login, until they take it. */
  readonly loginsRefused: LoginsRefused;
  /** New contents of Secrets and ConfigMaps: for the next connections. Says which destinations they concern. */
  useMaterials(materials: Materials): (destination: Destination) => boolean;
  /** Ends connections, but for those over which a message is on its way: they end with it. */
  close(): void;
}

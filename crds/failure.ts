/**
 * A failed delivery as a value, made at the place of the failure. Each reader renders it separately: the log line, the
 * status, the DSN, the metric label, `mailrelay explain`. Pure.
 */
import { cutText } from './cut.ts';

/** The causes of failures: result types of RFC 8460 section 4.3 where they fit, else our own words. */
export const FAILURE_CAUSES = [
  /** The name server gave no answer, or an answer without a usable host. */
  'dns',
  /** No TCP connection, or the connection ended. */
  'connect',
  /** The next hop did not greet, or refused the session. */
  'greeting',
  /** The level wants TLS and the next hop does not offer STARTTLS. */
  'starttls-missing',
  /** The TLS handshake broke. */
  'handshake',
  'certificate-host-mismatch',
  'certificate-expired',
  'certificate-untrusted',
  /** The certificate does not match the TLSA records of the host, or the records cannot be read. */
  'tlsa-invalid',
  /** A look-up fails in DNSSEC. */
  'dnssec-invalid',
  /** The level wants DANE and the host has none. */
  'dane-required',
  'sts-policy-fetch-error',
  'sts-policy-invalid',
  'sts-webpki-invalid',
  /** The MTA-STS policy of the domain does not name the MX host. */
  'sts-mx-mismatch',
  /** The sender requires TLS (RFC 8689), and the next hop cannot keep that. */
  'requiretls',
  /** The next hop refuses our login, or the login cannot be made. */
  'login',
  /** Our own rules: too old, a loop, content that the next hop cannot take. */
  'policy',
  /** The next hop answered a command with 4xx or 5xx. */
  'reply',
  /** A fault of this relay: a key, a trust bundle, a disk. */
  'local',
] as const;

export type FailureCause = (typeof FAILURE_CAUSES)[number];

/** Why a TLS handshake broke, as a label of metrics. */
export type HandshakeReason =
  | 'no shared version or cipher'
  | 'no TLS in the answer'
  | 'our certificate is refused'
  | 'its TLS is too weak'
  | 'the connection ended'
  | 'other';

/** In place of a command: the message was answered for this recipient alone (LMTP, RFC 2033 section 4.2). */
export const MESSAGE_FOR_ONE = 'DATA for one recipient';

/** A reply of a next hop, as one line: "550 5.1.1 No such user". */
interface HopReply {
  readonly code: number;
  readonly line: string;
}

export interface Failure {
  /** True: the recipient is given up (5.x.x). False: the message waits. */
  readonly permanent: boolean;
  readonly cause: FailureCause;
  /** RFC 3463: "4.4.1". */
  readonly status: string;
  /** One sentence for the administrator, without a code. */
  readonly text: string;
  /** What senders and clients hear in its place, where the text has facts that are not for them (tellSender). */
  readonly forSender?: string;
  /** Only of the cause "handshake". */
  readonly handshake?: HandshakeReason;
  /** The SMTP command that was answered: "RCPT"; or MESSAGE_FOR_ONE. */
  readonly command?: string;
  readonly reply?: HopReply;
  /** The next hop asks for fewer messages. */
  readonly slowDown?: true;
  /** Of several failures that were joined. */
  readonly causes?: readonly FailureCause[];
  /**
   * Only of the causes "starttls-missing": the host said 4xx, so it may offer TLS later (RFC 3207 section 4);
   * "certificate-expired" and "sts-webpki-invalid": it is not valid yet; and "handshake": the host did not say why.
   */
  readonly mayPass?: true;
  /** Only of the cause "connect": there is no way from here to the address, so nobody was asked. */
  readonly noWay?: true;
}

export interface FailureFacts {
  readonly cause: FailureCause;
  /** Its first digit says whether the failure is permanent. */
  readonly status: string;
  readonly text: string;
  readonly forSender?: string;
  readonly handshake?: HandshakeReason;
  readonly command?: string;
  readonly slowDown?: true;
  readonly mayPass?: true;
  readonly noWay?: true;
}

export function makeFailure({ text, forSender = text, ...facts }: FailureFacts): Failure {
  const permanent = facts.status.startsWith('5');
  return { ...facts, permanent, ...bothTexts(oneLine(text), oneLine(forSender)) };
}

/** The second text only where it is another. */
export function bothTexts(text: string, forSender: string): Pick<Failure, 'text' | 'forSender'> {
  return text === forSender ? { text } : { text, forSender };
}

/** The failure for a log line or a list: the reply of the next hop, else the status and the sentence. */
export function describeFailure({ reply, status, text }: Failure): string {
  return reply ? text : `${status} ${text}`;
}

/**
 * Some failures are about this relay: its logins, keys and proxies, and how to mend them. These facts are for its
 * administrator. Log, status and queue list have them.
 */
const FOR_SENDERS: Readonly<Partial<Record<FailureCause, string>>> = {
  login: 'login refused',
  local: 'a fault of this mail relay, whose administrator can see the reason',
};

/** The sentence for senders and clients, in reports and replies. No other text of a failure is for them. */
export function tellSender({ cause, text, forSender }: Failure): string {
  return forSender ?? FOR_SENDERS[cause] ?? text;
}

/** The same with the status, or the reply of the next hop. */
export function describeForSender(failure: Failure): string {
  return describeFailure({ ...failure, text: tellSender(failure) });
}

/** Another login, key, client certificate or list of trusted authorities may end these. */
const OF_MATERIALS: ReadonlySet<FailureCause> = new Set([
  'handshake',
  'certificate-expired',
  'certificate-untrusted',
  'sts-webpki-invalid',
  'login',
  'local',
]);

/** True if changed contents of a Secret or a ConfigMap may help, so that it is right to try at once. */
export function isOfMaterials({ cause, causes = [cause] }: Failure): boolean {
  return causes.some((one) => OF_MATERIALS.has(one));
}

/** The same of a ConfigMap alone: other authorities end no refusal of our login, and each try may lock the account. */
export function isOfAuthorities({ cause, causes = [cause] }: Failure): boolean {
  return causes.some((one) => one !== 'login' && OF_MATERIALS.has(one));
}

/** The longest text of joined failures. */
const JOINED_LENGTH = 2_000;

/**
 * One failure for an attempt in which several hops or addresses failed. A refused login comes first: a person must mend
 * it.
 */
export function joinFailures(failures: readonly Failure[]): Failure {
  const [first] = failures;
  const leading =
    failures.find(({ cause }) => cause === 'login') ?? failures.find(({ permanent }) => !permanent) ?? first;
  if (!leading) return makeFailure({ cause: 'dns', status: '4.4.3', text: 'there is no next hop to try' });
  if (failures.length === 1 && !leading.permanent) return leading;
  const others = failures.filter((one) => one !== leading);
  const join = (texts: readonly string[]) => cutText(texts.join('; '), JOINED_LENGTH);
  const text = join([leading.text, ...others.map(describeFailure)]);
  const forSender = join([tellSender(leading), ...others.map(describeForSender)]);
  // The joined failure is temporary, even if one of the failures is permanent.
  const status = leading.status.replace(/^5/, '4');
  const causes = [...new Set(failures.map(({ cause }) => cause))];
  const asked = failures.some(({ slowDown }) => slowDown) ? { slowDown: true as const } : {};
  return { permanent: false, cause: leading.cause, status, ...bothTexts(text, forSender), causes, ...asked };
}

/**
 * Text of a next hop goes into logs, terminals and our own replies. Without control characters it cannot control them.
 */
export function oneLine(text: string): string {
  return cutText(text.replace(/\p{Cc}+/gu, ' '), 500);
}

/**
 * A next hop with a limit on recipients answers 452 to the others (RFC 5321 section 4.5.3.1.10), formerly 552, or X.5.3 (RFC
 * 3463). With another status these codes are a full mailbox or disk, or a message that is too large.
 */
export function isTooMany({ status, reply }: Failure, isAfterAccepted: boolean): boolean {
  const isBare = (reply?.code === 452 || reply?.code === 552) && status.endsWith('.0.0');
  return status === '4.5.3' || status === '5.5.3' || (isAfterAccepted && isBare);
}

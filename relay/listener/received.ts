/**
 * The Received header of this relay (RFC 5321 section 4.4, protocol names of RFC 3848). Also counts the Received
 * headers of a message to find loops. Pure.
 */
import { decodeHead } from '../headers/section.ts';

export interface Trace {
  readonly helo: string;
  readonly client: string;
  readonly hostname: string;
  readonly queueId: string;
  readonly esmtp: boolean;
  /** The message was sent with SMTPUTF8 (RFC 6531 section 4.3). */
  readonly smtpUtf8: boolean;
  readonly tls: { readonly version: string; readonly cipher: string; readonly group: string | null } | null;
  /** The client logged in (RFC 3848: the final A). */
  readonly authenticated: boolean;
  readonly recipient: string | undefined;
  readonly at: Date;
}

/** A normal path has fewer than ten. RFC 5321 section 6.3 would allow 100, which makes a long loop. */
const HOPS_BEFORE_LOOP = 50;

export function receivedHeader({
  helo,
  client,
  hostname,
  queueId,
  esmtp,
  smtpUtf8,
  tls,
  authenticated,
  recipient,
  at,
}: Trace): string {
  const address = client.includes(':') ? `IPv6:${client}` : client;
  const service = smtpUtf8 ? 'UTF8SMTP' : esmtp || tls ? 'ESMTP' : 'SMTP';
  const protocol = `${service}${tls ? 'S' : ''}${authenticated ? 'A' : ''}`;
  const lines = [
    `Received: from ${harmless(helo)} ([${address}])`,
    `by ${hostname} (mailrelay) with ${protocol} id ${queueId}`,
    ...(tls
      ? [`(using ${tls.version} with cipher ${tls.cipher}${tls.group ? ` group ${tls.group}` : ''})`]
      : []),
    ...(recipient ? [`for <${recipient}>`] : []),
  ];
  return `${lines.join('\r\n\t')};\r\n\t${rfc5322Date(at)}\r\n`;
}

/** Counts the Received headers in a stream. Carries a few bytes from chunk to chunk. */
export class LoopGuard {
  #inHeaders = true;
  #carry = '\r\n';
  #hops = 0;

  /** False as soon as there are more hops than on a normal path. */
  passes(chunk: Buffer): boolean {
    if (!this.#inHeaders) return true;
    const text = this.#carry + decodeHead(chunk);
    const end = text.indexOf('\r\n\r\n');
    this.#inHeaders = end === -1;
    const headers = this.#inHeaders ? text : text.slice(0, end);
    this.#hops += headers.match(/\r\nreceived:/gi)?.length ?? 0;
    this.#carry = headers.slice(-('\r\nreceived:'.length - 1));
    return this.#hops <= HOPS_BEFORE_LOOP;
  }
}

/** The client's name goes into a header, so a name that is no host name or literal is masked. */
function harmless(helo: string): string {
  return helo.slice(0, 255).replace(/[^A-Za-z0-9.:[\]_-]/g, '?') || 'unknown';
}

function rfc5322Date(at: Date): string {
  return at.toUTCString().replace('GMT', '+0000');
}

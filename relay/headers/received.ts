/** The Received field of this relay (RFC 5321 section 4.4, protocol names of RFC 3848). Pure. */
import type { ReceivedField } from '#crds/policyfile.ts';
import { needsSmtpUtf8 } from '../addresses/address.ts';
import { formatDate } from './date.ts';

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
  /** As the client gave them. A single one is named in the field, in ASCII. */
  readonly recipients: readonly string[];
  readonly at: Date;
}

const FOLD = '\r\n\t';

/** `NoClient`: without the FROM clause. `None`: empty. */
export function renderReceived(trace: Trace, content: ReceivedField): string {
  if (content === 'None') return '';
  const from = content === 'Full' ? `${renderClient(trace)}${FOLD}` : '';
  return `Received: ${from}${renderServer(trace)};${FOLD}${formatDate(trace.at)}\r\n`;
}

function renderClient({ helo, client }: Trace): string {
  return `from ${harmless(helo)} ([${client.includes(':') ? `IPv6:${client}` : client}])`;
}

function renderServer({ hostname, queueId, esmtp, smtpUtf8, tls, authenticated, recipients }: Trace): string {
  const service = smtpUtf8 ? 'UTF8SMTP' : esmtp || tls ? 'ESMTP' : 'SMTP';
  const protocol = `${service}${tls ? 'S' : ''}${authenticated ? 'A' : ''}`;
  const by = `by ${hostname} (mailrelay) with ${protocol} id ${queueId}`;
  const group = tls?.group ? ` group ${tls.group}` : '';
  const using = tls ? `${FOLD}(using ${tls.version} with cipher ${tls.cipher}${group})` : '';
  const [one = ''] = recipients;
  // A map may lead to an address in ASCII: this field must not keep the message from a host without SMTPUTF8.
  const recipient = recipients.length === 1 && !needsSmtpUtf8(one) ? `${FOLD}for <${one}>` : '';
  return `${by}${using}${recipient}`;
}

/** The client's name goes into a header, so a name that is no host name or literal is masked. */
function harmless(helo: string): string {
  return helo.slice(0, 255).replace(/[^A-Za-z0-9.:[\]_-]/g, '?') || 'unknown';
}

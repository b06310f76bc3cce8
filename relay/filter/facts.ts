/** What the filter is told of a message besides its bytes: header fields of the request, as rspamd names them. Pure. */
import type { Trace } from '../headers/received.ts';

/** A message as it was received. */
export interface FilteredMail {
  readonly trace: Omit<Trace, 'at' | 'esmtp' | 'smtpUtf8'>;
  /** Empty: the null sender. */
  readonly sender: string;
  readonly login: string | null;
  readonly bytes: number;
  readonly body: AsyncIterable<Buffer>;
}

/** A filter takes no endless header: rspamd has 80 KiB for all of it. The message says to whom it goes, too. */
const MOST_RECIPIENTS = 200;
const MOST_RECIPIENT_BYTES = 60 * 1024;
const FIELD_BYTES = 'Rcpt: \r\n'.length;

export function renderFacts(
  { trace, sender, login, bytes }: FilteredMail,
  password: string | undefined,
): Record<string, string | string[]> {
  const { queueId, hostname, client, helo, recipients, tls } = trace;
  const facts = {
    'Queue-Id': queueId,
    'MTA-Name': hostname,
    'MTA-Tag': 'mailrelay',
    IP: client,
    Helo: helo,
    From: sender,
    Rcpt: firstRecipients(recipients),
    ...(login === null ? {} : { User: login }),
    ...(tls === null ? {} : { 'TLS-Version': tls.version, 'TLS-Cipher': tls.cipher }),
    ...(password === undefined ? {} : { Password: password }),
    'Content-Length': String(bytes),
  };
  return Object.fromEntries(
    Object.entries(facts).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.map(encode) : encode(value),
    ]),
  );
}

function firstRecipients(recipients: readonly string[]): string[] {
  let bytes = 0;
  return recipients.slice(0, MOST_RECIPIENTS).filter((one) => {
    bytes += FIELD_BYTES + Buffer.byteLength(one);
    return bytes <= MOST_RECIPIENT_BYTES;
  });
}

/** Node writes one byte for each character, so an address beyond ASCII becomes UTF-8. */
function encode(value: string): string {
  return Buffer.from(value.replace(/\p{Cc}/gu, '?')).toString('latin1');
}

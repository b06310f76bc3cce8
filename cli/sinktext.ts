/** What the sink says: where it listens, and each message that it took. Pure. */
import { printEndpoint } from '#crds/networks.ts';
import type { SinkTlsMode } from './sink/server.ts';
import type { TakenMessage } from './sink/taken.ts';
import { quoteWord, visible } from './terminal.ts';

const OFFERS: Readonly<Record<SinkTlsMode, string>> = {
  starttls: 'with STARTTLS',
  implicit: 'with TLS from the first byte',
  none: 'without STARTTLS',
};

export function describeSink(address: string, port: number, tls: SinkTlsMode, folder: string): string {
  return `The sink takes mail at ${printEndpoint(address, port)}, ${OFFERS[tls]}, and passes nothing on.\nThe last hundred messages are in ${visible(folder)}\n`;
}

/** Three lines: the envelope; the content; how it came. The last one can be pasted. */
export function describeTaken(message: TakenMessage): string {
  const { number, time, subject, bytes, client, helo, user, file } = message;
  const login = user === null ? '' : `, logged in as ${user}`;
  const lines = [
    `${time.slice(11, 19)}  message ${number}: ${describeEnvelope(message)}`,
    `          ${subject === null ? 'without a subject' : `"${subject}"`}, ${bytes} bytes, from ${client} (${helo || '-'})${login}`,
    `          ${describeProtection(message)}`,
  ];
  return `${lines.map(visible).join('\n')}\n          less ${quoteWord(file)}\n`;
}

export function describeEnvelope({ from, to }: Pick<TakenMessage, 'from' | 'to'>): string {
  const [first = '', ...others] = to;
  return `${from || '<>'} to ${first}${others.length > 0 ? ` and ${others.length} more` : ''}`;
}

export function describeProtection({ tls }: Pick<TakenMessage, 'tls'>): string {
  if (tls === null) return 'plain text';
  const { version, cipher, serverName, clientCertificate } = tls;
  return [
    `${version} ${cipher}`,
    ...(serverName === null ? [] : [`for ${serverName}`]),
    ...(clientCertificate === null ? [] : [`with the certificate of ${clientCertificate}`]),
  ].join(', ');
}

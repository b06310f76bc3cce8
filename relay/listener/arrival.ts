/** From what smtp-server knows of a session to the envelope that is queued and the trace that is written. Pure. */
import type { SMTPServerSession } from 'smtp-server';
import type { Envelope } from '../spool/record.ts';
import { printAddress, relayable } from './address.ts';
import type { Trace } from './received.ts';

export interface TlsFacts {
  readonly version: string;
  readonly cipher: string;
}

export interface Arrival {
  readonly envelope: Envelope;
  readonly trace: Omit<Trace, 'queueId'>;
}

export function arrivalOf(
  session: SMTPServerSession,
  tls: TlsFacts | null,
  hostname: string,
  receivedAt: number,
): Arrival {
  const { envelope } = session;
  const to = envelope.rcptTo.map(({ address }) => canonical(address));
  return {
    envelope: {
      from: envelope.mailFrom === false ? '' : canonical(envelope.mailFrom.address),
      recipients: to.map((address) => ({ address, state: 'queued' })),
      receivedAt,
      smtpUtf8: envelope.smtpUtf8 === true,
      eightBit: envelope.bodyType === '8bitmime',
    },
    trace: {
      helo: String(session.hostNameAppearsAs || ''),
      client: session.remoteAddress,
      hostname,
      esmtp: session.openingCommand === 'EHLO',
      tls,
      recipient: to.length === 1 ? to[0] : undefined,
      at: new Date(receivedAt),
    },
  };
}

/** Domains as DNS has them, so that a next hop without SMTPUTF8 understands them. */
function canonical(address: string): string {
  const parts = relayable(address);
  return parts ? printAddress(parts) : address;
}

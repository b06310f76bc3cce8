/** Makes the envelope for the queue and the Received facts from the state of a session. Pure. */
import type { SMTPServerAddress, SMTPServerSession } from 'smtp-server';
import type { LineEndings } from '#crds/policyfile.ts';
import { masqueradedAddress } from '../headers/masquerade.ts';
import type { Envelope, Recipient } from '../spool/record.ts';
import { withPostmasterDomain } from './address.ts';
import type { Trace } from './received.ts';
import type { ReportAddress } from './reportaddress.ts';

export interface SessionTls {
  readonly version: string;
  readonly cipher: string;
  /** The key exchange group, if the runtime reports it. */
  readonly group: string | null;
}

export interface ArrivalTerms {
  readonly tls: SessionTls | null;
  readonly hostname: string;
  readonly receivedAt: number;
  readonly login: string | null;
  /** True if the client may relay. */
  readonly ours: boolean;
  /** The domains that an authorized client may send as. null: any domain. */
  readonly senderDomains: readonly string[] | null;
  readonly acceptDomains: readonly string[];
  readonly masqueradeDomains: readonly string[];
  /** The address that gets a copy. null: no copy. */
  readonly alwaysBcc: string | null;
  readonly reportAddress: ReportAddress;
  readonly lineEndings: LineEndings;
}

export interface Arrival {
  readonly envelope: Envelope;
  readonly trace: Omit<Trace, 'queueId'>;
  readonly lineEndings: LineEndings;
  /** Fewer than inbound.limits.messageSize allows. null: no other limit. */
  readonly mostBytes: number | null;
}

export function makeArrival(session: SMTPServerSession, terms: ArrivalTerms): Arrival {
  const { envelope } = session;
  const { tls, hostname, receivedAt, login, ours } = terms;
  const recipients = envelope.rcptTo.map((one) => makeRecipient(one, terms));
  const { ret, envid } = envelope.dsn ?? {};
  return {
    envelope: {
      from: makeSender(envelope.mailFrom, terms),
      recipients: withBcc(recipients, terms.alwaysBcc),
      receivedAt,
      smtpUtf8: envelope.smtpUtf8 === true,
      eightBit: envelope.bodyType === '8bitmime',
      ...(envelope.requireTLS ? { requireTls: true } : {}),
      ...(ret === 'FULL' || ret === 'HDRS' ? { ret } : {}),
      ...(envid ? { envid } : {}),
      ...(ours ? { ours, ...heldTo(terms) } : {}),
    },
    trace: {
      helo: String(session.hostNameAppearsAs || ''),
      client: session.remoteAddress,
      hostname,
      esmtp: session.openingCommand === 'EHLO',
      smtpUtf8: envelope.smtpUtf8 === true,
      tls,
      authenticated: login !== null,
      recipient: recipients.length === 1 ? recipients[0]?.address : undefined,
      at: new Date(receivedAt),
    },
    lineEndings: terms.lineEndings,
    mostBytes: terms.reportAddress.findMostBytes(envelope.rcptTo),
  };
}

function makeSender(from: SMTPServerAddress | false, { ours, masqueradeDomains }: ArrivalTerms): string {
  const address = from === false ? '' : from.address;
  return ours && address !== '' ? masqueradedAddress(address, masqueradeDomains) : address;
}

/** A masqueraded host counts as the domain that hides it. */
function heldTo({ senderDomains, masqueradeDomains }: ArrivalTerms): Pick<Envelope, 'senderDomains'> {
  if (senderDomains === null) return {};
  const shown = senderDomains.map((domain) => masqueradedAddress(`@${domain}`, masqueradeDomains).slice(1));
  return { senderDomains: [...new Set([...senderDomains, ...shown])] };
}

function makeRecipient(
  { address, dsn }: SMTPServerAddress,
  { acceptDomains, reportAddress }: ArrivalTerms,
): Recipient {
  const { notify, orcpt } = dsn ?? {};
  return reportAddress.withoutDsn({
    address: withPostmasterDomain(address, acceptDomains),
    state: 'queued',
    ...(notify && notify.length > 0 ? { notify } : {}),
    ...(orcpt ? { orcpt } : {}),
  });
}

/** The sender does not know of the copy, so the sender gets no DSN about it. */
function withBcc(recipients: readonly Recipient[], bcc: string | null): readonly Recipient[] {
  if (bcc === null || recipients.some(({ address }) => address === bcc)) return recipients;
  return [...recipients, { address: bcc, state: 'queued', notify: ['NEVER'] }];
}

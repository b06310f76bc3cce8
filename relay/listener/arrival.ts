/** Makes the envelope for the queue and the Received facts from the state of a session. Pure. */
import type { SMTPServerSession } from 'smtp-server';
import type { LineEndings, Policy } from '#crds/policyfile.ts';
import type { FilterTerms } from '#crds/policyfilter.ts';
import { needsSmtpUtf8, withPostmasterDomain } from '../addresses/address.ts';
import type { HeaderSteps } from '../headers/header.ts';
import { masqueradedAddress } from '../headers/masquerade.ts';
import type { Trace } from '../headers/received.ts';
import type { Envelope } from '../spool/record.ts';
import type { ChangedMessage } from './changedaddresses.ts';
import type { ReportAddress } from './reportaddress.ts';
import type { OwnSenders } from './senderlogins.ts';

export interface SessionTls {
  readonly version: string;
  readonly cipher: string;
  /** The key exchange group, if the runtime reports it. */
  readonly group: string | null;
}

export interface ArrivalTerms {
  readonly tls: SessionTls | null;
  readonly policy: Policy;
  readonly receivedAt: number;
  readonly login: string | null;
  /** null: no content filter is asked. */
  readonly filter: FilterTerms | null;
  /** Undefined: the client may use any sender. */
  readonly ownSenders: OwnSenders | undefined;
  /** True if the client may relay. */
  readonly ours: boolean;
  /** The domains that an authorized client may send as. null: any domain. */
  readonly senderDomains: readonly string[] | null;
  readonly reportAddress: ReportAddress;
  readonly lineEndings: LineEndings;
}

/** How a message is judged before anything of it changes, and what its judges have to know besides its trace. */
export interface Judging {
  /** Of the content filter. null: it is not asked. */
  readonly terms: FilterTerms | null;
  /** Authentication-Results are wanted. */
  readonly isVerified: boolean;
  /** As the client gave it. */
  readonly sender: string;
  readonly login: string | null;
}

export interface Arrival {
  readonly envelope: Envelope;
  readonly trace: Omit<Trace, 'queueId'>;
  readonly steps: HeaderSteps;
  /** The addresses for the log; those of the client only if they were changed. */
  readonly logged: Readonly<
    Record<'from' | 'to' | 'originalFrom' | 'originalTo', string | readonly string[] | undefined>
  >;
  readonly lineEndings: LineEndings;
  readonly ownSenders: OwnSenders | undefined;
  /** null: nobody judges the message. */
  readonly judging: Judging | null;
  /** Fewer than inbound.limits.messageSize allows. null: no other limit. */
  readonly mostBytes: number | null;
  /**
   * Somebody keeps what becomes of the message: its Message-ID and the addresses that the client gave go into the envelope,
   * so that it can be found by them.
   */
  readonly isTold: boolean;
  /** The acceptance is told to others, by an event that is written with the message. */
  readonly tellsEvents: boolean;
}

export function makeArrival(
  session: SMTPServerSession,
  { from, to, unsigned, discarded, reports, header }: ChangedMessage,
  terms: ArrivalTerms,
): Arrival {
  const { envelope } = session;
  const { policy, receivedAt, ours } = terms;
  const { ret, envid } = envelope.dsn ?? {};
  const smtpUtf8 = envelope.smtpUtf8 === true;
  const isTold = policy.queue.historySeconds !== null || policy.events !== null;
  const addresses = to.map(({ address }) => address);
  return {
    envelope: {
      from,
      recipients: to.map(({ given, isFinal: _, isCopy: __, ...one }) =>
        terms.reportAddress.withoutDsn(
          { ...one, ...(given && isTold ? { given } : {}), state: 'queued' },
          reports,
        ),
      ),
      ...(unsigned === undefined ? {} : { reportsTo: unsigned }),
      ...(isTold ? describeGiven(readSender(envelope), from, discarded) : {}),
      receivedAt,
      // A map may lead to an address beyond ASCII.
      smtpUtf8: smtpUtf8 || needsSmtpUtf8(from) || addresses.some(needsSmtpUtf8),
      eightBit: envelope.bodyType === '8bitmime',
      ...(envelope.requireTLS ? { requireTls: true } : {}),
      ...(ret === 'FULL' || ret === 'HDRS' ? { ret } : {}),
      ...(envid ? { envid } : {}),
      ...(ours ? { ours, ...heldTo(terms) } : {}),
    },
    trace: makeTrace(session, terms),
    steps: header,
    logged: describeAddresses(envelope, from, addresses),
    lineEndings: terms.lineEndings,
    ownSenders: terms.ownSenders,
    judging: chooseJudging(envelope, terms),
    mostBytes: terms.reportAddress.findMostBytes(reports),
    isTold,
    tellsEvents: policy.events !== null,
  };
}

function makeTrace(
  { envelope, hostNameAppearsAs, remoteAddress, openingCommand }: SMTPServerSession,
  { policy, tls, login, receivedAt }: ArrivalTerms,
): Arrival['trace'] {
  const { hostname, inbound } = policy;
  return {
    helo: String(hostNameAppearsAs || ''),
    client: remoteAddress,
    hostname,
    esmtp: openingCommand === 'EHLO',
    smtpUtf8: envelope.smtpUtf8 === true,
    tls,
    authenticated: login !== null,
    recipients: envelope.rcptTo.map(({ address }) => withPostmasterDomain(address, inbound.acceptDomains)),
    at: new Date(receivedAt),
  };
}

/** The sender of a client that may relay is the word of that client: there is nothing to verify. */
function chooseJudging(
  envelope: SMTPServerSession['envelope'],
  { policy, filter, login, ours }: ArrivalTerms,
): Judging | null {
  const isVerified = policy.inbound.authenticationResults !== null && !ours;
  if (filter === null && !isVerified) return null;
  return { terms: filter, isVerified, sender: readSender(envelope), login };
}

function readSender({ mailFrom }: SMTPServerSession['envelope']): string {
  return mailFrom === false ? '' : mailFrom.address;
}

function describeAddresses(
  envelope: SMTPServerSession['envelope'],
  from: string,
  to: readonly string[],
): Arrival['logged'] {
  const { rcptTo } = envelope;
  const sender = readSender(envelope);
  const isSame = rcptTo.length === to.length && rcptTo.every(({ address }, at) => address === to[at]);
  return {
    from,
    to,
    originalFrom: sender === from ? undefined : sender,
    originalTo: isSame ? undefined : rcptTo.map(({ address }) => address),
  };
}

function describeGiven(
  given: string,
  from: string,
  discarded: ChangedMessage['discarded'],
): Pick<Envelope, 'givenFrom' | 'discarded'> {
  const nowhere = discarded.map((one) => ({
    address: one.address,
    ...(one.given ? { given: one.given } : {}),
  }));
  return {
    ...(given === from ? {} : { givenFrom: given }),
    ...(nowhere.length === 0 ? {} : { discarded: nowhere }),
  };
}

/** A masqueraded host counts as the domain that hides it. */
function heldTo({ senderDomains, policy }: ArrivalTerms): Pick<Envelope, 'senderDomains'> {
  if (senderDomains === null) return {};
  const shown = senderDomains.map((domain) =>
    masqueradedAddress(`@${domain}`, policy.inbound.masqueradeDomains).slice(1),
  );
  return { senderDomains: [...new Set([...senderDomains, ...shown])] };
}

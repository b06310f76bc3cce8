/** Makes the envelope for the queue and the Received facts from the state of a session. Pure. */
import type { SMTPServerAddress, SMTPServerSession } from 'smtp-server';
import type { LineEndings } from '#crds/policyfile.ts';
import type { HeaderStep } from '../headers/header.ts';
import { masqueradedAddress } from '../headers/masquerade.ts';
import type { Trace } from '../headers/received.ts';
import type { Addressee, CompiledSteps } from '../headers/steps.ts';
import type { Envelope } from '../spool/record.ts';
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
  readonly masqueradeDomains: readonly string[];
  readonly steps: CompiledSteps;
  readonly reportAddress: ReportAddress;
  readonly lineEndings: LineEndings;
}

export interface Arrival {
  readonly envelope: Envelope;
  readonly trace: Omit<Trace, 'queueId'>;
  readonly steps: readonly HeaderStep[];
  readonly lineEndings: LineEndings;
  /** Fewer than inbound.limits.messageSize allows. null: no other limit. */
  readonly mostBytes: number | null;
}

export function makeArrival(session: SMTPServerSession, terms: ArrivalTerms): Arrival {
  const { envelope } = session;
  const { tls, hostname, receivedAt, login, ours, steps } = terms;
  const given = envelope.rcptTo.map(makeAddressee);
  const from = envelope.mailFrom === false ? '' : envelope.mailFrom.address;
  const changed = steps.changeEnvelope({ from, to: given });
  const { ret, envid } = envelope.dsn ?? {};
  return {
    envelope: {
      from: changed.from,
      recipients: changed.to.map((one) => terms.reportAddress.withoutDsn({ ...one, state: 'queued' })),
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
      recipient: given.length === 1 ? changed.to[0]?.address : undefined,
      at: new Date(receivedAt),
    },
    steps: steps.header,
    lineEndings: terms.lineEndings,
    mostBytes: terms.reportAddress.findMostBytes(envelope.rcptTo),
  };
}

/** A masqueraded host counts as the domain that hides it. */
function heldTo({ senderDomains, masqueradeDomains }: ArrivalTerms): Pick<Envelope, 'senderDomains'> {
  if (senderDomains === null) return {};
  const shown = senderDomains.map((domain) => masqueradedAddress(`@${domain}`, masqueradeDomains).slice(1));
  return { senderDomains: [...new Set([...senderDomains, ...shown])] };
}

function makeAddressee({ address, dsn }: SMTPServerAddress): Addressee {
  const { notify, orcpt } = dsn ?? {};
  return {
    address,
    ...(notify && notify.length > 0 ? { notify } : {}),
    ...(orcpt ? { orcpt } : {}),
  };
}

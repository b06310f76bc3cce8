/**
 * Makes the reports to a sender from the results of the recipients, ready for the queue. There is one report for each
 * kind. A report has a null sender, so it never gets a report itself.
 */
import type { Readable } from 'node:stream';
import { provesDamage } from '../spool/body.ts';
import { newQueueId } from '../spool/record.ts';
import type { Loaded, NewMessage } from '../spool/spool.ts';
import type { DsnRecipient, ReportKind } from './recipient.ts';
import { isInternational, renderReport } from './render.ts';

/** The limit for the returned original. A bounce with a large message may itself be refused for its size. */
const RETURNED_BYTES = 50 * 1024;

export interface Reporting {
  readonly hostname: string;
  readonly now: number;
  /** The hop that gave the result. null: this relay. */
  readonly hop: string | null;
}

export async function makeReports(
  taken: Loaded & { kind: 'message' },
  dsnRecipients: readonly DsnRecipient[],
  reporting: Reporting,
): Promise<NewMessage[]> {
  if (dsnRecipients.length === 0) return [];
  const kinds: readonly ReportKind[] = ['failure', 'delay', 'success-relayed'];
  const reports: NewMessage[] = [];
  for (const kind of kinds) {
    const told = dsnRecipients.filter((dsnRecipient) => dsnRecipient.kind === kind);
    if (told.length > 0) reports.push(await makeReport(taken, kind, told, reporting));
  }
  return reports;
}

async function makeReport(
  taken: Loaded & { kind: 'message' },
  kind: ReportKind,
  dsnRecipients: readonly DsnRecipient[],
  { hostname, now, hop }: Reporting,
): Promise<NewMessage> {
  const {
    from,
    reportsTo: sender = from,
    receivedAt,
    envid,
    ret,
    bytes,
    smtpUtf8,
    requireTls,
  } = taken.record;
  // RFC 8689 section 5: the content of such a message is never returned.
  const wantsAll = ret === 'FULL' && !requireTls && kind === 'failure' && bytes <= RETURNED_BYTES;
  const beginning = await readBeginning(taken.open());
  const id = newQueueId(now);
  const report = renderReport({
    kind,
    reportId: id,
    queueId: taken.id,
    hostname,
    sender,
    envid,
    now: new Date(now),
    receivedAt: new Date(receivedAt),
    hop,
    dsnRecipients,
    original: wantsAll
      ? { kind: 'message', bytes: beginning, smtpUtf8 }
      : { kind: 'headers', bytes: cutHeaders(beginning), smtpUtf8 },
  });
  return {
    id,
    envelope: {
      from: '',
      recipients: [{ address: sender, state: 'queued', notify: ['NEVER'] }],
      receivedAt: now,
      smtpUtf8: isInternational(sender),
      eightBit: isInternational(sender),
      ours: true,
      ...(requireTls ? { requireTls } : {}),
    },
    body: { kind: 'inline', bytes: report },
  };
}

/** The sender hears of the recipients also where the disk cannot read the message, or all of it. */
async function readBeginning(body: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= RETURNED_BYTES) break;
    }
  } catch (error) {
    // Any other error may pass by itself, and then the whole message is there.
    if (!provesDamage(error as NodeJS.ErrnoException)) throw error;
  }
  return Buffer.concat(chunks).subarray(0, RETURNED_BYTES);
}

/** Whole lines only. */
function cutHeaders(bytes: Buffer): Buffer {
  const end = bytes.indexOf('\r\n\r\n');
  if (end !== -1) return bytes.subarray(0, end + 2);
  return bytes.subarray(0, bytes.lastIndexOf('\r\n') + 2);
}

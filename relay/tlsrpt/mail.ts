/**
 * A TLS report as mail (RFC 8460 section 5.3): multipart/report with a text for people and the packed report, ready for
 * the queue, which signs it. All names in it were checked before (record.ts, report.ts). Pure.
 */
import { domainAt } from '#crds/patterns.ts';
import type { TlsReport } from './report.ts';

export interface ReportMail {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly domain: string;
  readonly now: Date;
  readonly report: TlsReport;
  readonly packed: Buffer;
  readonly fileName: string;
}

/** RFC 2045 section 6.8. */
const ENCODED_CHARS = /.{1,76}/g;

/** The whole message, with CRLF line ends. */
export function renderMail({ id, from, to, domain, now, report, packed, fileName }: ReportMail): Buffer {
  const submitter = domainPart(from);
  const boundary = `=_${id}`;
  const range = report['date-range'];
  const lines = [
    `Date: ${now.toUTCString().replace('GMT', '+0000')}`,
    `From: <${from}>`,
    `To: <${to}>`,
    `Subject: Report Domain: ${domain}`,
    ` Submitter: ${submitter}`,
    ` Report-ID: <${report['report-id']}>`,
    `Message-ID: <${id}@${submitter}>`,
    `TLS-Report-Domain: ${domain}`,
    `TLS-Report-Submitter: ${submitter}`,
    'TLS-Required: No',
    'Auto-Submitted: auto-generated',
    'MIME-Version: 1.0',
    'Content-Type: multipart/report; report-type="tlsrpt";',
    ` boundary="${boundary}"`,
    '',
    `--${boundary}`,
    'Content-Type: text/plain; charset=us-ascii',
    '',
    `This is a report about TLS sessions with mail hosts of ${domain}.`,
    `It is from ${submitter}, for the time from ${range['start-datetime']}`,
    `to ${range['end-datetime']}.`,
    '',
    `--${boundary}`,
    'Content-Type: application/tlsrpt+gzip',
    'Content-Transfer-Encoding: base64',
    'Content-Disposition: attachment;',
    ` filename="${fileName}"`,
    '',
    ...(packed.toString('base64').match(ENCODED_CHARS) ?? []),
    `--${boundary}--`,
    '',
  ];
  return Buffer.from(lines.join('\r\n'));
}

export function domainPart(address: string): string {
  return address.slice(domainAt(address));
}

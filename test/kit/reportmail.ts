/**
 * Reports as other mail systems send them, TLS reports and complaints: signed by nodemailer, with a key whose record the
 * test publishes.
 */
import { generateKeyPairSync } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { createTransport } from 'nodemailer';
import type { TlsReport } from '#relay/tlsrpt/report.ts';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const KEY = `${privateKey.export({ type: 'pkcs8', format: 'pem' })}`;
const SELECTOR = 's1';

/** The TXT record of the key. `tags` are further ones, such as "s=tlsrpt". */
export function keyRecord(...tags: string[]): string {
  const p = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
  return ['v=DKIM1', 'k=rsa', ...tags, `p=${p}`].join('; ');
}

export const keyName = (domain: string) => `${SELECTOR}._domainkey.${domain}`;

export function makeReport(changes: Partial<TlsReport> = {}): TlsReport {
  return {
    'organization-name': 'Company-X',
    'date-range': { 'start-datetime': '2026-11-27T00:00:00Z', 'end-datetime': '2026-11-27T23:59:59Z' },
    'contact-info': 'sts-reporting@company-x.example',
    'report-id': '5065427c-23d3-47ca-b6e0-946ea0e8c4be',
    policies: [
      {
        policy: { 'policy-type': 'no-policy-found', 'policy-domain': 'company-y.example' },
        summary: { 'total-successful-session-count': 5326, 'total-failure-session-count': 303 },
        'failure-details': [
          { 'result-type': 'certificate-expired', 'failed-session-count': 100 },
          { 'result-type': 'starttls-not-supported', 'failed-session-count': 200 },
        ],
      },
    ],
    ...changes,
  };
}

export interface ReportMailTerms {
  readonly from?: string;
  readonly to?: string;
  readonly submitter?: string;
  /** undefined: not signed. */
  readonly signer?: string | undefined;
  readonly type?: string;
  /** Default: the packed report. */
  readonly content?: Buffer;
  readonly encoding?: 'base64' | 'quoted-printable' | '7bit';
}

/** The whole mail with CRLF line ends. */
export async function makeReportMail(terms: ReportMailTerms = {}): Promise<Buffer> {
  const { from = 'tlsrpt@company-x.example', to = 'tls-reports@relay.example', encoding } = terms;
  const { submitter = 'company-x.example', type = 'application/tlsrpt+gzip' } = terms;
  const signer = 'signer' in terms ? terms.signer : 'company-x.example';
  const signing = { domainName: signer ?? '', keySelector: SELECTOR, privateKey: KEY };
  const transport = createTransport({
    streamTransport: true,
    buffer: true,
    newline: 'windows',
    ...(signer === undefined ? {} : { dkim: signing }),
  });
  const { message } = await transport.sendMail({
    from,
    to,
    subject: 'Report Domain: company-y.example Submitter: company-x.example',
    headers: { 'TLS-Report-Domain': 'company-y.example', 'TLS-Report-Submitter': submitter },
    text: 'This is a report about TLS sessions.',
    attachments: [
      {
        filename: 'company-x.example!company-y.example!1!2.json.gz',
        contentType: type,
        content: terms.content ?? gzipSync(JSON.stringify(makeReport())),
        ...(encoding ? { contentTransferEncoding: encoding } : {}),
      },
    ],
  });
  return message as Buffer;
}

export interface ComplaintTerms {
  readonly from?: string;
  /** undefined: not signed. */
  readonly signer?: string | undefined;
  readonly contentType?: string;
  /** The lines of the part for machines. */
  readonly facts?: readonly string[];
  /** The lines of the part with the original. null: there is no such part. */
  readonly original?: readonly string[] | null;
  readonly originalType?: string;
}

/** A complaint (RFC 5965) with CRLF line ends. */
export async function makeComplaintMail(terms: ComplaintTerms = {}): Promise<Buffer> {
  const { from = 'feedback@fbl.provider.example', originalType = 'message/rfc822' } = terms;
  const { contentType = 'multipart/report; report-type=feedback-report; boundary="b1"' } = terms;
  const { facts = ['Feedback-Type: abuse', 'User-Agent: FBL/1.0', 'Version: 1'] } = terms;
  const { original = ['Message-ID: <m1@app.example.com>', 'Subject: Offers', '', 'Buy!'] } = terms;
  const part = (type: string, lines: readonly string[]) => [
    '--b1',
    `Content-Type: ${type}`,
    '',
    ...lines,
    '',
  ];
  const mail = [
    `From: <${from}>`,
    'To: <complaints@relay.example>',
    'Subject: complaint',
    'Date: Sat, 28 Nov 2026 12:00:00 +0000',
    'MIME-Version: 1.0',
    `Content-Type: ${contentType}`,
    '',
    ...part('text/plain', ['Somebody complains about a mail of yours.']),
    ...part('message/feedback-report', facts),
    ...(original ? part(originalType, original) : []),
    '--b1--',
    '',
  ].join('\r\n');
  return signMail(mail, 'signer' in terms ? terms.signer : 'provider.example');
}

async function signMail(mail: string, signer: string | undefined): Promise<Buffer> {
  if (signer === undefined) return Buffer.from(mail, 'latin1');
  const dkim = { domainName: signer, keySelector: SELECTOR, privateKey: KEY };
  const transport = createTransport({ streamTransport: true, buffer: true, newline: 'windows', dkim });
  const envelope = { from: '', to: ['complaints@relay.example'] };
  const { message } = await transport.sendMail({ raw: Buffer.from(mail, 'latin1'), envelope });
  return message as Buffer;
}

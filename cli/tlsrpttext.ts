/** The text that `mailrelay tlsrpt` prints: TLS reports in plain words. Pure. */
import type { ReceivedReport } from '#relay/tlsrpt/received.ts';
import type { PolicyReport, TlsReport } from '#relay/tlsrpt/report.ts';
import { note, row, visible } from './terminal.ts';

const POLICIES: Readonly<Record<PolicyReport['policy']['policy-type'], string>> = {
  tlsa: 'DANE',
  sts: 'MTA-STS',
  'no-policy-found': 'no DANE and no MTA-STS',
};

/** The result types of RFC 8460 section 4.3, for people. */
const WORDS: Readonly<Record<string, string>> = {
  'starttls-not-supported': 'the host did not offer STARTTLS',
  'certificate-host-mismatch': 'the certificate has another name',
  'certificate-expired': 'the certificate is not valid at this time',
  'certificate-not-trusted': 'the authority of the certificate is not trusted',
  'validation-failure': 'the TLS session failed',
  'tlsa-invalid': 'the certificate does not match the TLSA records',
  'dnssec-invalid': 'the DNS answer fails in DNSSEC',
  'dane-required': 'the sender requires DANE and the host has none',
  'sts-policy-fetch-error': 'the MTA-STS policy could not be fetched',
  'sts-policy-invalid': 'the MTA-STS policy is not correct',
  'sts-webpki-invalid': 'the certificate of the MTA-STS policy host is not accepted',
};

export function describeReceived(reports: readonly ReceivedReport[]): string {
  if (reports.length === 0)
    return 'No TLS report was received. Mail for them is taken at inbound.tlsReports.address of the MailRelay.\n';
  return reports
    .map(
      ({ receivedAt, reporter, report }) =>
        `${row('received', `${receivedAt}, signed by ${reporter}`)}\n${describeReport(report)}`,
    )
    .join('\n');
}

/** A line for each policy of each report, the columns apart by tabs. */
export function describeWideReports(reports: readonly ReceivedReport[]): string {
  const head = 'RECEIVED  REPORTER  ORGANIZATION  FROM  TO  DOMAIN  POLICY  SUCCESSES  FAILURES';
  const lines = reports.flatMap(({ receivedAt, reporter, report }) => {
    const { 'organization-name': name, 'date-range': range, policies } = report;
    const time = [range['start-datetime'], range['end-datetime']];
    return policies.map(({ policy, summary }) =>
      [
        ...[receivedAt, reporter, name, ...time, policy['policy-domain'], policy['policy-type']],
        ...[summary['total-successful-session-count'], summary['total-failure-session-count']],
      ].map((cell) => visible(String(cell))),
    );
  });
  return [head.split('  '), ...lines].map((cells) => `${cells.join('\t')}\n`).join('');
}

export function describeReport(report: TlsReport): string {
  const range = report['date-range'];
  const lines = [
    row('from', `${report['organization-name']}, contact ${report['contact-info'] ?? 'not told'}`),
    row('time', `${range['start-datetime']} to ${range['end-datetime']}`),
    row('report id', report['report-id']),
    ...report.policies.flatMap(describePolicy),
    ...(report.policies.length === 0 ? [row('sessions', 'none reported')] : []),
  ];
  return `${lines.join('\n')}\n`;
}

function describePolicy({ policy, summary, ...rest }: PolicyReport): string[] {
  const done = summary['total-successful-session-count'];
  const failed = summary['total-failure-session-count'];
  return [
    row('domain', `${policy['policy-domain']}, policy: ${POLICIES[policy['policy-type']]}`),
    ...(policy['policy-string'] ?? []).map(note),
    row('sessions', `${done} encrypted as the policy wants it, ${failed} failed`),
    ...(rest['failure-details'] ?? []).map(describeFailure),
  ];
}

function describeFailure(failure: NonNullable<PolicyReport['failure-details']>[number]): string {
  const type = failure['result-type'];
  const address = failure['receiving-ip'];
  const host = failure['receiving-mx-hostname'] ?? failure['receiving-mx-helo'];
  const where = [host, address && `[${address}]`].filter(Boolean).join(' ');
  const reason = failure['failure-reason-code'] ?? failure['additional-information'];
  return note(
    `${failure['failed-session-count']}x ${type}: ${WORDS[type] ?? 'a reason that the RFC does not name'}` +
      `${where === '' ? '' : `, at ${where}`}${reason === undefined ? '' : ` (${reason})`}`,
  );
}

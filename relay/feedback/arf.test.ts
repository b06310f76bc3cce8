/** Complaints as providers write them, and as nobody should. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { type ComplaintTerms, makeComplaintMail } from '#test/kit/reportmail.ts';
import { readFeedback } from './arf.ts';

const read = async (terms: ComplaintTerms) =>
  readFeedback(await makeComplaintMail({ signer: undefined, ...terms }));

async function readSaid(terms: ComplaintTerms) {
  const feedback = await read(terms);
  return feedback.kind === 'complaint' ? feedback.said : assert.fail(feedback.reason);
}

const NOTHING = { recipients: [], reportedDomains: [] };
const ABUSE = 'Feedback-Type: abuse';

test('reports as providers write them', async () => {
  // The example of RFC 5965, appendix B.2.
  const whole = await readSaid({
    facts: [
      ABUSE,
      'User-Agent: SomeGenerator/1.0',
      'Version: 1',
      'Original-Mail-From: <somespammer@example.net>',
      'Original-Rcpt-To: <user@example.com>',
      'Arrival-Date: Thu, 8 Mar 2005 14:00:00 EDT',
      'Reporting-MTA: dns; mail.example.com',
      'Source-IP: 192.0.2.1',
      'Authentication-Results: mail.example.com; spf=fail smtp.mail=somespammer@example.com',
      'Reported-Domain: example.net',
      'Reported-Uri: http://example.net/earn_money.html',
      'Removal-Recipient: user@example.com',
    ],
    original: [
      'From: <somespammer@example.net>',
      'Message-ID: <8787KJKJ3K4J3K4J3K4J3.mail@example.net>',
      '',
      'Spam',
    ],
  });
  assert.deepEqual(whole, {
    feedbackType: 'abuse',
    messageId: '8787KJKJ3K4J3K4J3K4J3.mail@example.net',
    from: 'somespammer@example.net',
    recipients: ['user@example.com'],
    arrivedAt: '2005-03-08T18:00:00.000Z',
    reportedDomains: ['example.net'],
    sourceIp: '192.0.2.1',
  });
  // Yahoo and AOL: a recipient without brackets, the old name of the date, the type in quotes, the header alone.
  const yahoo = await readSaid({
    contentType: 'multipart/report; boundary="b1"; report-type="Feedback-Report"',
    facts: [
      'Feedback-Type: abuse',
      'User-Agent: Yahoo!-Mail-Feedback/2.0',
      'Version: 0.1',
      'Original-Mail-From: <bounce@News.Example.COM>',
      'Original-Rcpt-To: joe@yahoo.example',
      'Received-Date: Sat, 28 Nov 2026 04:00:00 -0800 (PST)',
      'Reported-Domain: News.Example.com',
    ],
    originalType: 'text/rfc822-headers',
    original: ['Message-ID:', ' <a.b@news.example.com>', 'Subject: s'],
  });
  assert.deepEqual(yahoo, {
    feedbackType: 'abuse',
    messageId: 'a.b@news.example.com',
    from: 'bounce@news.example.com',
    recipients: ['joe@yahoo.example'],
    arrivedAt: '2026-11-28T12:00:00.000Z',
    reportedDomains: ['news.example.com'],
  });
  // Microsoft: few facts; the recipient is in the mail that it returns.
  const microsoft = await readSaid({
    facts: [ABUSE, 'User-Agent: Hotmail FBL', 'Version: 1.0', 'Source-IP: 2001:db8::1'],
    original: ['X-HmXmrOriginalRecipient: joe@outlook.example', 'Message-ID: <m2@x.example>', '', 'x'],
  });
  assert.deepEqual(microsoft, {
    feedbackType: 'abuse',
    messageId: 'm2@x.example',
    recipients: ['joe@outlook.example'],
    reportedDomains: [],
    sourceIp: '2001:db8::1',
  });
  // Those that hide everything.
  assert.deepEqual(await readSaid({ facts: [ABUSE], original: null }), { feedbackType: 'abuse', ...NOTHING });
  assert.equal((await readSaid({ facts: ['Feedback-Type: Not-Spam (moved)'] })).feedbackType, 'not-spam');
});

test('all recipients are told, each once, and the null sender', async () => {
  const facts = ['a', 'b', 'b'].map((name) => `Original-Rcpt-To: rfc822; <${name}@example.com>`);
  const said = await readSaid({ facts: [ABUSE, 'Original-Mail-From: <>', ...facts] });
  assert.deepEqual([said.from, said.recipients], ['', ['a@example.com', 'b@example.com']]);
});

test('what is no address, name, date or id is left out', async () => {
  const said = await readSaid({
    facts: [
      ABUSE,
      'Original-Mail-From: redacted',
      'Original-Rcpt-To: <>',
      'Original-Rcpt-To: [redacted]',
      'Original-Rcpt-To: a@b@c, d@e',
      'Original-Rcpt-To: a\x07b@example.com',
      `Original-Rcpt-To: ${'x'.repeat(300)}@example.com`,
      'Arrival-Date: yesterday',
      'Source-IP: 999.0.0.1',
      `Source-IP: fe80::1%${'x'.repeat(1_000)}`,
      'Reported-Domain: <script>',
      `Reported-Domain: ${'x'.repeat(300)}`,
    ],
    original: ['Message-ID: <>', '', 'Message-ID: <in@the.body>'],
  });
  assert.deepEqual(said, { feedbackType: 'abuse', ...NOTHING });
});

test('the mail is bounded in every direction', async () => {
  const many = (name: string, make: (n: number) => string) =>
    Array.from({ length: 300 }, (_, n) => `${name}: ${make(n)}`);
  const said = await readSaid({
    facts: [
      ABUSE,
      ...many('Original-Rcpt-To', (n) => `u${n}@x.example`),
      ...many('Reported-Domain', (n) => `d${n}.example`),
    ],
    original: [`Message-ID: <${'x'.repeat(5_000)}>`, '', 'x'.repeat(100_000)],
  });
  assert.deepEqual(
    [said.recipients.length, said.reportedDomains.length, said.messageId?.length],
    [100, 10, 250],
  );
  const late = await read({ facts: [`X: ${'x'.repeat(100_000)}`, ABUSE] });
  assert.equal(late.kind === 'discarded' && late.cause, 'malformed');
  const parts = 'Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n';
  const far = `${parts}${'--b\r\n\r\n\r\n'.repeat(100_000)}--b\r\nContent-Type: message/feedback-report\r\n\r\n${ABUSE}\r\n--b--`;
  assert.equal(readFeedback(Buffer.from(far)).kind, 'discarded');
});

test('what is no report, or a report without a type', async () => {
  const report = 'multipart/report; boundary=b1; report-type';
  const cases: readonly (readonly [string, ComplaintTerms])[] = [
    ['no_report', { contentType: 'text/plain' }],
    ['no_report', { contentType: 'multipart/mixed; report-type=feedback-report; boundary=b1' }],
    ['no_report', { contentType: `${report}=delivery-status` }],
    ['no_report', { contentType: `${report}=feedback-reports` }],
    ['no_report', { contentType: 'multipart/report; report-type=feedback-report' }],
    ['no_report', { contentType: 'multipart/report; report-type=feedback-report; boundary=other' }],
    ['malformed', { facts: [] }],
    ['malformed', { facts: ['Version: 1', 'no field', ABUSE] }],
    ['malformed', { facts: ['Feedback-Type:'] }],
    ['malformed', { facts: [`Feedback-Type: ${'x'.repeat(51)}`] }],
    ['malformed', { facts: ['Feedback-Type: <script>'] }],
  ];
  for (const [cause, terms] of cases) {
    const feedback = await read(terms);
    assert.equal(feedback.kind === 'discarded' ? feedback.cause : 'taken', cause, JSON.stringify(terms));
  }
  for (const text of ['', '\r\n', 'Content-Type: multipart/report; report-type=feedback-report; boundary=b'])
    assert.equal(readFeedback(Buffer.from(text)).kind, 'discarded');
});

test('a report inside another mail is not taken', async () => {
  const inner = (await makeComplaintMail({ signer: undefined })).toString();
  for (const type of ['multipart/mixed', 'multipart/report; report-type=feedback-report'])
    for (const part of [inner, `Content-Type: message/rfc822\r\n\r\n${inner}`]) {
      const mail = `Content-Type: ${type}; boundary=outer\r\n\r\n--outer\r\n${part}\r\n--outer--\r\n`;
      assert.equal(readFeedback(Buffer.from(mail)).kind, 'discarded', `${type} ${part.slice(0, 40)}`);
    }
});

test('parts may be encoded, with line ends of any kind', () => {
  const encode = (text: string) => Buffer.from(text).toString('base64');
  const mail = [
    'Content-Type: multipart/report; report-type=feedback-report; boundary=b',
    '',
    '--b',
    'Content-Type: message/feedback-report',
    'Content-Transfer-Encoding: base64',
    '',
    encode('\nFeedback-Type: fraud\nOriginal-Rcpt-To: jürgen@example.com\n'),
    '--b',
    'Content-Type: message/rfc822',
    'Content-Transfer-Encoding: quoted-printable',
    '',
    'Message-ID: <a=40b>',
    '--b--',
  ].join('\r\n');
  const feedback = readFeedback(Buffer.from(mail));
  assert.deepEqual(feedback.kind === 'complaint' && feedback.said, {
    feedbackType: 'fraud',
    messageId: 'a@b',
    recipients: ['jürgen@example.com'],
    reportedDomains: [],
  });
});

test('no more of a part is decoded than the header at its start can have', () => {
  const mail = (before: string) =>
    [
      'Content-Type: multipart/report; report-type=feedback-report; boundary=b',
      '',
      '--b',
      'Content-Type: message/feedback-report',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      `${before}=46eedback-Type: abuse`,
      '--b--',
    ].join('\r\n');
  // A soft line break is nothing when it is decoded.
  assert.equal(readFeedback(Buffer.from(mail('=\r\n'.repeat(1_000)))).kind, 'complaint');
  assert.equal(readFeedback(Buffer.from(mail(`X: ${'=41'.repeat(30_000)}\r\n`))).kind, 'complaint');
  assert.equal(readFeedback(Buffer.from(mail('=\r\n'.repeat(100_000)))).kind, 'discarded');
});

test('whatever comes, there is a complaint of bounded size or none', () => {
  const piece = fc.constantFrom(
    'Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n',
    '--b\r\nContent-Type: message/feedback-report\r\n\r\n',
    '--b\r\nContent-Type: message/rfc822\r\n\r\n',
    'Feedback-Type: abuse\r\n',
    'Arrival-Date: ',
    'Original-Rcpt-To: <',
    'Message-ID: <',
    '\r\n',
    '--b--',
  );
  const mail = fc.array(fc.oneof(piece, fc.string())).map((pieces) => Buffer.from(pieces.join('')));
  fc.assert(fc.property(mail, (bytes) => JSON.stringify(readFeedback(bytes)).length < 40_000));
});

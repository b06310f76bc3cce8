/** The report in a mail: as nodemailer and this relay write it, and as strangers may. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from '#test/kit/property.ts';
import { makeReport, makeReportMail } from '#test/kit/reportmail.ts';
import { findReportPart } from './attachment.ts';
import { renderMail } from './mail.ts';

const PACKED = gzipSync(JSON.stringify(makeReport()));
const find = (...lines: string[]) => findReportPart(Buffer.from(lines.join('\r\n')));

test('the report of nodemailer, in each encoding', async () => {
  assert.deepEqual(findReportPart(await makeReportMail({ content: PACKED })), PACKED);
  const content = Buffer.from('{"organization-name": "Müller = x"}');
  const type = 'application/tlsrpt+json';
  for (const encoding of ['base64', 'quoted-printable'] as const)
    assert.deepEqual(findReportPart(await makeReportMail({ content, type, encoding })), content, encoding);
});

test('the report that this relay sends', () => {
  const mail = renderMail({
    id: 'a1',
    from: 'a@relay.example',
    to: 'b@good.example',
    domain: 'good.example',
    now: new Date(0),
    report: makeReport(),
    packed: PACKED,
    fileName: 'x.json.gz',
  });
  assert.deepEqual(findReportPart(mail), PACKED);
});

test('a report that is the whole mail, or deep inside', () => {
  const whole = ['Content-Type: Application/TLSRPT+gzip; name="x"', 'content-transfer-encoding: BASE64', ''];
  assert.deepEqual(find(...whole, PACKED.toString('base64')), PACKED);
  const inside = (boundary: string, lines: string[]) => [
    `Content-Type: multipart/mixed;\r\n boundary="${boundary}"`,
    '',
    `--${boundary}`,
    ...lines,
    `--${boundary}--`,
  ];
  const nested = (depth: number): string[] =>
    depth === 0 ? [...whole, PACKED.toString('base64')] : inside(`b${depth}`, nested(depth - 1));
  assert.deepEqual(find(...nested(5)), PACKED);
  assert.equal(find(...nested(6)), undefined);
});

test('a mail without a report, and one with more parts than a report has', () => {
  assert.equal(find('Subject: s', '', 'text'), undefined);
  assert.equal(find('Content-Type: multipart/mixed', '', '--', 'x'), undefined);
  assert.equal(
    find('Content-Type: multipart/mixed; boundary=b', '', '--b', '', '--b', '', '--b--'),
    undefined,
  );
  const parts = (count: number) =>
    find(
      'Content-Type: multipart/mixed; boundary=b',
      '',
      ...Array(count).fill('--b\r\n\r\n'),
      '--b\r\nContent-Type: application/tlsrpt+json\r\n\r\n{}',
      '--b--',
    );
  assert.deepEqual(parts(49), Buffer.from('{}'));
  assert.equal(parts(50), undefined);
  assert.equal(parts(100_000), undefined);
});

test('whatever comes, there is a part or none', () => {
  const piece = fc.constantFrom(
    'Content-Type: multipart/report; boundary=b\r\n',
    'Content-Type: application/tlsrpt+gzip\r\n',
    'Content-Transfer-Encoding: base64\r\n',
    '\r\n',
    '--b\r\n',
    '\r\n--b--',
    'boundary="',
    ';',
  );
  const mail = fc.array(fc.oneof(piece, fc.string())).map((pieces) => Buffer.from(pieces.join('')));
  fc.assert(
    fc.property(mail, (bytes) => {
      const part = findReportPart(bytes);
      return part === undefined || part.length <= bytes.length;
    }),
  );
});

/** Who sent a report: mail of nodemailer, signed for real, against records as domains publish them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyName, keyRecord, makeReportMail, type ReportMailTerms } from '#test/kit/reportmail.ts';
import { findReporter } from './signature.ts';

const KNOWN = { kind: 'known', domain: 'company-x.example', from: 'tlsrpt@company-x.example' };

interface Case extends ReportMailTerms {
  readonly record?: string;
  readonly keyOf?: string;
}

async function judge({ record = keyRecord(), keyOf = 'company-x.example', ...terms }: Case) {
  const names = new Map([[keyName(keyOf), [[record]]]]);
  return findReporter(await makeReportMail(terms), async (name) => names.get(name) ?? []);
}

const reasonOf = async (one: Case) => {
  const reporter = await judge(one);
  return reporter.kind === 'unknown' ? reporter.reason : JSON.stringify(reporter);
};

test('the signature of the reporting domain, or of one above it, proves the sender', async () => {
  assert.deepEqual(await judge({}), KNOWN);
  const below = 'a@mail.company-x.example';
  assert.deepEqual(await judge({ from: below }), { ...KNOWN, from: below });
  assert.deepEqual(await judge({ submitter: 'MX.Company-X.example' }), KNOWN);
  assert.deepEqual(await judge({ from: 'Reports <a@COMPANY-X.example>', signer: 'Company-X.example' }), {
    ...KNOWN,
    from: 'a@company-x.example',
  });
});

test('the signature of another domain proves nothing', async () => {
  const signer = 'other.example';
  assert.match(await reasonOf({ signer, keyOf: signer }), /^no signature is one of company-x\.example$/);
  assert.match(await reasonOf({ from: 'a@evil.example', signer: 'evil.example' }), /^no signature is one of/);
  assert.match(await reasonOf({ submitter: 'google.example' }), /company-x\.example and google\.example$/);
  // A part of a name is no domain above it, and a domain below does not speak for the one above.
  assert.match(await reasonOf({ from: 'a@xcompany-x.example' }), /^no signature is one of/);
  const below = 'customer.company-x.example';
  assert.match(await reasonOf({ signer: below, keyOf: below }), /^no signature is one of/);
  assert.match(await reasonOf({ signer: 'example', keyOf: 'example' }), /^no signature is one of/);
});

test('the service types of the key: tlsrpt or all of them', async () => {
  for (const tag of ['s=tlsrpt', 's=*', 's=email:tlsrpt', 's= tlsrpt : other ', 't=s; s=TLSRPT'])
    assert.deepEqual(await judge({ record: keyRecord(tag) }), KNOWN, tag);
  for (const tag of ['s=email', 's=other', 's=', 's=tlsrpt2', 's=none'])
    assert.notEqual((await judge({ record: keyRecord(tag) })).kind, 'known', tag);
});

test('for complaints the service is email, or all of them', async () => {
  const mail = await makeReportMail();
  const judgeKey = (tag: string) => findReporter(mail, async () => [[keyRecord(tag)]], 'email');
  for (const tag of ['s=email', 's=*', 's=tlsrpt:email', 't=s']) assert.deepEqual(await judgeKey(tag), KNOWN);
  for (const tag of ['s=tlsrpt', 's=other']) assert.equal((await judgeKey(tag)).kind, 'unknown', tag);
});

test('no key, a revoked key, a key in test mode and a wrong key prove nothing', async () => {
  assert.match(await reasonOf({ keyOf: 'elsewhere.example' }), /^signature of company-x\.example: /);
  assert.match(await reasonOf({ record: 'v=DKIM1; k=rsa; p=' }), /^signature of company-x\.example: /);
  assert.match(await reasonOf({ record: keyRecord('t=y') }), /its key is for tests$/);
  assert.match(await reasonOf({ record: 'no key at all' }), /^signature of company-x\.example: /);
});

test('a mail without a signature, with too many, with two senders or without an end of its header', async () => {
  const none = async () => [];
  assert.equal(await reasonOf({ signer: undefined }), 'it has no DKIM signature');
  const mail = await makeReportMail();
  const before = (head: string) => findReporter(Buffer.concat([Buffer.from(head), mail]), none);
  const reason = { kind: 'unknown', reason: 'it has more than 8 DKIM signatures' };
  assert.deepEqual(await before('DKIM-Signature: v=1; a=rsa-sha256; d=a.example\r\n'.repeat(8)), reason);
  assert.match(JSON.stringify(await before('From: a@evil.example\r\n')), /one From field/);
  assert.match(JSON.stringify(await before('TLS-Report-Submitter: a.example\r\n')), /at most one TLS-/);
  assert.match(JSON.stringify(await before(`X: ${'x'.repeat(70_000)}\r\n`)), /longer than 64 KiB/);
  assert.match(JSON.stringify(await findReporter(Buffer.from('x'), none)), /longer than 64 KiB/);
  const blanks = `DKIM-Signature: v=1; b=A${' '.repeat(60_000)}A\r\n`;
  assert.match(JSON.stringify(await before(blanks)), /too many blanks in a row/);
});

test('a byte that was changed, or added behind the signed length, proves nothing', async () => {
  const mail = await makeReportMail();
  const lookUp = async () => [[keyRecord()]];
  const changed = Buffer.from(mail.toString('latin1').replace('This is', 'That is'), 'latin1');
  assert.equal((await findReporter(changed, lookUp)).kind, 'unknown');
  const longer = Buffer.concat([mail, Buffer.from('more\r\n')]);
  assert.equal((await findReporter(longer, lookUp)).kind, 'unknown');
  const header = mail.toString('latin1').replace('d=company-x.example;', 'd=company-x.example; l=10;');
  const limited = await findReporter(Buffer.from(header, 'latin1'), lookUp);
  assert.match(limited.kind === 'unknown' ? limited.reason : '', /l= is not allowed$/);
});

test('a look-up that fails says nothing of the sender', async () => {
  const lookUp = () => Promise.reject(new Error('SERVFAIL'));
  assert.deepEqual(await findReporter(await makeReportMail(), lookUp), {
    kind: 'unclear',
    reason: 'DNS failure: SERVFAIL',
  });
  // A signature of another domain would prove nothing, whatever its key is.
  assert.equal(
    (await findReporter(await makeReportMail({ signer: 'other.example' }), lookUp)).kind,
    'unknown',
  );
});

import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import PostalMime from 'postal-mime';
import { type Failure, makeFailure } from '#crds/failure.ts';
import fc from '#test/kit/property.ts';
import { decodeXtext } from '../addresses/xtext.ts';
import { failureFromReply } from '../delivery/verdict.ts';
import { makeExpired } from '../queue/settlement.ts';
import type { Loaded, NewMessage } from '../spool/spool.ts';
import type { DsnRecipient } from './recipient.ts';
import { makeReports } from './reports.ts';

interface Told {
  readonly from?: string;
  readonly reportsTo?: string;
  readonly to?: string;
  readonly reason?: string;
  readonly failure?: Failure;
  readonly original?: Buffer;
  /** Reads it in place of `original`. */
  readonly open?: () => AsyncIterable<Buffer>;
  readonly ret?: 'FULL';
  readonly smtpUtf8?: boolean;
  readonly orcpt?: string;
  readonly hop?: string;
  readonly triedAt?: number;
}

async function reportOn(told: Told): Promise<NewMessage> {
  const { from = 'me@client.example', to = 'a@far.example', reason = 'no', smtpUtf8 = false } = told;
  const original = told.original ?? Buffer.from('Subject: s\r\n\r\nbody\r\n');
  const { hop = null, orcpt, triedAt } = told;
  const facts = { ...(orcpt ? { orcpt } : {}), ...(triedAt ? { triedAt } : {}) };
  const recipient = { address: to, state: 'queued' as const, ...facts };
  const loaded: Loaded & { kind: 'message' } = {
    kind: 'message',
    id: '0123456789abcdef',
    record: {
      from,
      recipients: [recipient],
      receivedAt: 1_000,
      smtpUtf8,
      eightBit: true,
      bytes: original.length,
      crc: 0,
      body: 'store',
      ...(told.reportsTo ? { reportsTo: told.reportsTo } : {}),
      ...(told.ret ? { ret: told.ret } : {}),
    },
    open: () => Readable.from(told.open?.() ?? [original], { objectMode: false }),
    pieces: () => original,
  };
  const failure = told.failure ?? makeFailure({ cause: 'policy', status: '5.6.0', text: reason });
  const failed: DsnRecipient = { kind: 'failure', recipient, failure };
  const reporting = { hostname: 'relay.example.com', now: 2_000, hop };
  const [report] = await makeReports(loaded, [failed], reporting);
  assert.ok(report);
  return report;
}

const bytesOf = ({ body }: NewMessage): Buffer => {
  assert.ok(body.kind === 'inline');
  return body.bytes;
};

/** Reads the report as a mail program does: type and content of each part that is no text. */
async function parseParts(report: NewMessage) {
  const mail = await PostalMime.parse(bytesOf(report), { forceRfc822Attachments: true });
  const parts = mail.attachments.map(({ mimeType, content }) => ({
    type: mimeType,
    bytes: Buffer.from(content as ArrayBuffer),
  }));
  return { words: mail.text ?? '', parts };
}

function assertSevenBit(report: NewMessage): void {
  const text = bytesOf(report).toString('latin1');
  assert.match(text, /^(?:[\t\x20-\x7e]{0,998}\r\n)*$/);
  const { smtpUtf8, eightBit } = report.envelope;
  assert.deepEqual({ smtpUtf8, eightBit }, { smtpUtf8: false, eightBit: false });
}

test('of a refused login, a proxy or a missing key the sender hears no fact of this relay, at once or when mail expires', async () => {
  const fact = 'smtp.internal.svc:587, Secret "hop"';
  const facts = [
    makeFailure({ cause: 'login', status: '4.7.8', text: fact }),
    makeFailure({ cause: 'local', status: '4.7.0', text: fact }),
    makeFailure({ cause: 'connect', status: '4.4.1', text: fact, forSender: 'no connection' }),
  ];
  const expired = facts.flatMap((failure) => {
    const verdict = makeExpired(failure);
    return verdict.kind === 'failed' ? [verdict.failure] : [];
  });
  for (const failure of [...facts, ...expired]) {
    const report = await reportOn({ failure });
    const { words, parts } = await parseParts(report);
    const all = [words, ...parts.map(({ bytes }) => bytes.toString())].join('\n');
    assert.doesNotMatch(all, /internal|Secret/);
    assert.match(words, /login refused|a fault of this mail relay|no connection/);
  }
  const [refused = assert.fail()] = facts;
  assert.match(
    bytesOf(await reportOn({ failure: refused })).toString(),
    /^Diagnostic-Code: X-mailrelay; 4\.7\.8 login refused\r$/m,
  );
});

test('a report on 8-bit mail is 7-bit, and its header comes back as it was', async () => {
  const original = Buffer.from('Subject: Grüße\r\nX: \xff\r\n\r\nGrüße\r\n');
  const report = await reportOn({ original, reason: 'für Jürgen nicht' });
  assertSevenBit(report);
  const { words, parts } = await parseParts(report);
  assert.match(words, /für Jürgen nicht/);
  assert.deepEqual(
    parts.map(({ type }) => type),
    ['message/delivery-status', 'text/rfc822-headers'],
  );
  assert.match(parts[0]?.bytes.toString() ?? '', /^Diagnostic-Code: .*f\\x\{FC\}r J\\x\{FC\}rgen nicht\r?$/m);
  assert.match(parts[1]?.bytes.toString() ?? '', /^Subject: Grüße\r?$/m);
});

test('a whole 8-bit message comes back encoded; a plain one as it is', async () => {
  const eightBit = Buffer.from('Subject: s\r\n\r\nGrüße\r\n');
  const report = await reportOn({ original: eightBit, ret: 'FULL' });
  assertSevenBit(report);
  const [, returned] = (await parseParts(report)).parts;
  assert.equal(returned?.type, 'message/global');
  assert.deepEqual(returned?.bytes, eightBit);
  const plain = await parseParts(await reportOn({ ret: 'FULL' }));
  assert.equal(plain.parts[1]?.type, 'message/rfc822');
  assert.match(plain.parts[1]?.bytes.toString() ?? '', /^Subject: s\r?\n\r?\nbody/);
});

async function* endedBy(code: string, ...pieces: string[]) {
  for (const piece of pieces) yield Buffer.from(piece);
  throw Object.assign(new Error(code), { code });
}

test('a report waits where the message cannot be read for now', async () => {
  await assert.rejects(reportOn({ open: () => endedBy('EMFILE', 'Subject: s\r\n') }), /EMFILE/);
});

test('of a message that cannot be read comes back what could be read, and the report says all the same', async () => {
  const broken = (...pieces: string[]) => endedBy('EIO', ...pieces);
  const none = await parseParts(await reportOn({ open: () => broken(), ret: 'FULL' }));
  assert.match(none.words, /<a@far\.example>\s+5\.6\.0 no/);
  const some = await parseParts(await reportOn({ open: () => broken('Subject: s\r\nX: ', 'y\r\nZ:') }));
  assert.equal(some.parts[1]?.bytes.toString().trim().replaceAll('\r', ''), 'Subject: s\nX: y');
});

test('a report to an address beyond ASCII is international, and says so in its envelope', async () => {
  const original = Buffer.from('Subject: Grüße\r\n\r\nx\r\n');
  const report = await reportOn({
    from: 'jürgen@client.example',
    to: 'änne@far.example',
    smtpUtf8: true,
    original,
  });
  const { smtpUtf8, eightBit } = report.envelope;
  assert.deepEqual({ smtpUtf8, eightBit }, { smtpUtf8: true, eightBit: true });
  const { parts } = await parseParts(report);
  assert.deepEqual(
    parts.map(({ type }) => type),
    ['message/global-delivery-status', 'message/global-headers'],
  );
  assert.match(parts[0]?.bytes.toString() ?? '', /^Final-Recipient: utf-8; änne@far\.example\r?$/m);
  assert.match(bytesOf(report).toString(), /^To: <jürgen@client\.example>\r$/m);
});

test('a report names a host only where one was asked, and the time of the attempt, not of the report', async () => {
  const fields = async (told: Told) => {
    const status = (await parseParts(await reportOn(told))).parts[0]?.bytes.toString() ?? '';
    return status.match(/^(?:Remote-MTA|Last-Attempt-Date): .*(?=\r?$)/gm) ?? [];
  };
  const failure = failureFromReply(550, '550 5.1.1 no');
  const attempt = (second: number) => `Last-Attempt-Date: Thu, 01 Jan 1970 00:00:0${second} +0000`;
  const hop = 'mx.far.example:25';
  for (const asked of [{ failure, triedAt: 1_000 }, { reason: 'The next hop does not offer SMTPUTF8' }])
    assert.deepEqual(await fields({ hop, ...asked }), ['Remote-MTA: dns; mx.far.example', attempt(2)]);
  const unknown = makeFailure({ cause: 'dns', status: '5.1.2', text: 'The domain does not exist' });
  assert.deepEqual(await fields({ hop: 'none.example', failure: unknown, triedAt: 1_000 }), [attempt(2)]);
  assert.deepEqual(await fields({ failure, triedAt: 1_000 }), [attempt(1)], 'expired');
  assert.deepEqual(await fields({}), [], 'never tried');
});

test('a long answer is cut between characters', async () => {
  for (const smtpUtf8 of [true, false])
    for (const beginning of ['', 'a']) {
      const reason = `${beginning}${'😀'.repeat(2_000)}`;
      const report = await reportOn({ from: 'jürgen@client.example', smtpUtf8, reason });
      const { words, parts } = await parseParts(report);
      for (const text of [words, ...parts.map(({ bytes }) => bytes.toString())])
        assert.doesNotMatch(text, /\uFFFD|\\x\{(D83D|FFFD)\}/i);
    }
});

test('the sender reads which address of the message an alias was', async () => {
  const words = async (orcpt: string) => (await parseParts(await reportOn({ orcpt }))).words;
  assert.match(
    await words('rfc822;info@y.example'),
    /<a@far\.example> \(your message was for <info@y\.example>\)/,
  );
  for (const same of ['utf-8;jörg@y.example', 'utf-8;j\\x{F6}rg@y.example'])
    assert.match(await words(same), /for <jörg@y\.example>\)/);
  assert.match(await words('utf-8;\\x{D8}\\x{1F600}@y.example'), /for <Ø😀@y\.example>\)/);
  for (const no of ['utf-8;a\\x{D800}@y', 'utf-8;a\\x{110000}@y', 'rfc822;a\\x{F6}@y'])
    assert.ok((await words(no)).includes(`for <${no.replace(/.*;/, '')}>`), no);
  for (const same of ['rfc822;A@far.example', 'UTF-8;\\x{41}@far.example', 'x400;/c=de', 'rfc822']) {
    assert.match(await words(same), /<a@far\.example>\r?\n/);
    assert.doesNotMatch(await words(same), /was for/);
  }
  assert.match(await words('rfc822;a\r\n--=_x@y'), /was for <a --=_x@y>/);
});

test('an original recipient that is no UTF-8 is told in xtext', async () => {
  for (const from of ['me@client.example', 'jürgen@client.example']) {
    const { words, parts } = await parseParts(
      await reportOn({ from, orcpt: decodeXtext('rfc822;j+F6rg@y') }),
    );
    assert.match(words, /for <j\+F6rg@y>\)/);
    assert.match(parts[0]?.bytes.toString() ?? '', /^Original-Recipient: rfc822;j\+F6rg@y\r?$/m);
  }
});

test('the address of an international recipient is told in ASCII where the report is', async () => {
  const report = await reportOn({ to: 'jürgen@far.example', smtpUtf8: true });
  assertSevenBit(report);
  const { parts } = await parseParts(report);
  assert.match(parts[0]?.bytes.toString() ?? '', /^Final-Recipient: utf-8; j\\x\{FC\}rgen@far\.example\r?$/m);
});

test('whatever was sent and answered: a report is ASCII in lines that SMTP allows, and has three parts', async () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((some) => Buffer.from(some)),
    fc.integer({ min: 990, max: 5_000 }).map((length) => Buffer.from(`X: ${'y'.repeat(length)}`)),
    fc.string({ unit: 'binary', maxLength: 200 }).map((text) => Buffer.from(text)),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.record({ header: bytes, body: bytes }),
      fc.string({ unit: 'binary', maxLength: 800 }),
      fc.boolean(),
      fc.boolean(),
      async ({ header, body }, text, full, smtpUtf8) => {
        const original = Buffer.concat([header, Buffer.from('\r\n\r\n'), body]);
        const ret = full ? ({ ret: 'FULL' } as const) : {};
        const report = await reportOn({ original, reason: text, orcpt: `utf-8;${text}x`, smtpUtf8, ...ret });
        assertSevenBit(report);
        const { parts } = await parseParts(report);
        assert.equal(parts.length, 2);
        if (full && parts[1]?.type === 'message/global') assert.deepEqual(parts[1].bytes, original);
      },
    ),
    { numRuns: 40 },
  );
});

test('a report on forwarded mail goes to the sender before SRS, and names no other', async () => {
  const signed = 'SRS0=hash=AB=x.example=eve@y.example';
  for (const [reportsTo, smtpUtf8] of [
    ['eve@x.example', false],
    ['jörg@x.example', true],
  ] as const) {
    const report = await reportOn({ from: signed, reportsTo });
    assert.deepEqual(
      report.envelope.recipients.map(({ address }) => address),
      [reportsTo],
    );
    assert.equal(report.envelope.smtpUtf8, smtpUtf8);
    assert.match(bytesOf(report).toString(), new RegExp(`^To: <${reportsTo}>\\r$`, 'm'));
  }
});

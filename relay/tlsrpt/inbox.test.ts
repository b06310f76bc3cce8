/** Mail for the address of TLS reports: what is taken, what is discarded and why, what waits, and what a restart keeps. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { keyName, keyRecord, makeReportMail } from '#test/kit/reportmail.ts';
import type { Parcel } from '../delivery/courier.ts';
import { ReportInbox, type ReportInboxDeps } from './inbox.ts';

const dir = mkdtempSync(join(tmpdir(), 'mailrelay-inbox-'));
after(() => rmSync(dir, { recursive: true }));

const DAY_MS = 86_400_000;
const MIB = 1024 * 1024;
let files = 0;

function makeRig(changes: Partial<ReportInboxDeps> = {}, path = join(dir, `${++files}.json`)) {
  const rig = {
    path,
    now: Date.parse('2026-11-28T12:00:00Z'),
    logged: [] as string[],
    counted: {} as Record<string, number>,
  };
  const inbox = new ReportInbox({
    path,
    wall: () => rig.now,
    log: ((event: string, facts: object) => rig.logged.push(`${event} ${JSON.stringify(facts)}`)) as never,
    lookUpTxt: async (name) => (name === keyName('company-x.example') ? [[keyRecord('s=tlsrpt')]] : []),
    count: (name, label, by = 1) => {
      rig.counted[`${name}{${label}}`] = (rig.counted[`${name}{${label}}`] ?? 0) + by;
    },
    ...changes,
  });
  const take = async (body: Parcel['body']) => {
    const parcel = { from: 'a@company-x.example', to: ['tls-reports@relay.example'], body };
    const result = await inbox.take(parcel as unknown as Parcel);
    assert.ok(result.kind === 'answered' && result.tellsSender);
    const [verdict] = result.verdicts;
    if (verdict?.kind === 'failed') assert.equal(verdict.failure.permanent, false, 'nothing is returned');
    return verdict?.kind === 'delivered' ? verdict.reply : `waits: ${verdict?.failure.text}`;
  };
  return { rig, inbox, take, takeMail: (mail: Buffer) => take(() => mail) };
}

test('a report is counted by reporter and result, told in the log, and kept', async () => {
  const { rig, inbox, takeMail } = makeRig();
  const mail = await makeReportMail();
  assert.equal(await takeMail(mail), '250 2.0.0 report of company-x.example taken');
  assert.deepEqual(
    { ...rig.counted },
    {
      'tls_reports_received{taken}': 1,
      'tls_report_sessions{company-x.example,success}': 5326,
      'tls_report_sessions{company-x.example,certificate-expired}': 100,
      'tls_report_sessions{company-x.example,starttls-not-supported}': 200,
      'tls_report_sessions{company-x.example,unspecified}': 3,
    },
  );
  assert.match(rig.logged.join(), /^tls_report_received .*"reporter":"company-x.example".*"failures":303}$/);
  assert.equal(await takeMail(mail), '250 2.0.0 this report is known');
  assert.equal(rig.counted['tls_reports_received{duplicate}'], 1);
  assert.equal(rig.counted['tls_report_sessions{company-x.example,success}'], 5326);
  await inbox.close();
  const next = makeRig({}, rig.path);
  assert.equal(await next.takeMail(mail), '250 2.0.0 this report is known', 'a restart keeps it');
  await next.inbox.close();
});

test('what is no valid report is discarded with a reason, and the sender hears nothing', async () => {
  const packed = (text: string) => gzipSync(text);
  const cases = [
    ['not_signed', await makeReportMail({ signer: undefined })],
    ['not_signed', await makeReportMail({ signer: 'evil.example' })],
    ['no_report', await makeReportMail({ type: 'application/pdf' })],
    ['malformed', await makeReportMail({ content: packed('{"organization-name": ') })],
    ['malformed', await makeReportMail({ content: packed('{}') })],
    ['malformed', await makeReportMail({ content: Buffer.from([0x1f, 0x8b, 1, 2, 3]) })],
    ['too_large', await makeReportMail({ content: gzipSync(Buffer.alloc(17 * MIB, ' ')) })],
    ['too_large', Buffer.alloc(2 * MIB + 1)],
  ] as const;
  const { rig, inbox, takeMail } = makeRig();
  for (const [cause, mail] of cases) {
    rig.counted = {};
    rig.logged = [];
    assert.match(await takeMail(mail), /^250 2\.0\.0 discarded: /);
    assert.deepEqual(rig.counted, { [`tls_reports_received{${cause}}`]: 1 });
    assert.match(rig.logged.join(), new RegExp(`^tls_report_discarded .*"cause":"${cause}","reason":".+"}$`));
  }
  await inbox.close();
});

test('a bomb of one gigabyte needs little memory', async () => {
  // Gzip data may have several members.
  const bomb = Buffer.concat(Array(64).fill(gzipSync(Buffer.alloc(16 * MIB))));
  const mail = await makeReportMail({ content: bomb });
  const { rig, inbox, takeMail } = makeRig();
  const before = process.resourceUsage().maxRSS;
  assert.match(await takeMail(mail), /discarded: unpacked it is larger than 16 MiB$/);
  const grown = (process.resourceUsage().maxRSS - before) / 1024;
  assert.ok(grown < 100, `${grown} MiB`);
  assert.equal(rig.counted['tls_reports_received{too_large}'], 1);
  await inbox.close();
});

test('very many members of gzip need little memory, with a tail or without', async () => {
  const member = gzipSync(' ');
  const { inbox, takeMail } = makeRig();
  for (const tail of ['', 'x']) {
    const mail = await makeReportMail({
      content: Buffer.concat([...Array(60_000).fill(member), Buffer.from(tail)]),
    });
    const before = process.resourceUsage().maxRSS;
    assert.match(await takeMail(mail), /^250 2\.0\.0 discarded: /);
    const grown = (process.resourceUsage().maxRSS - before) / 1024;
    assert.ok(grown < 60, `${grown} MiB`);
  }
  await inbox.close();
});

test('a large mail comes in pieces, and no more of it is read than is allowed', async () => {
  const { inbox, take } = makeRig();
  const mail = await makeReportMail();
  let read = 0;
  async function* pieces(piece: Buffer, count: number) {
    for (let n = 0; n < count; n++) {
      read += piece.length;
      yield piece;
    }
  }
  assert.match(await take(() => pieces(Buffer.alloc(MIB), 1_000)), /larger than 2 MiB/);
  assert.equal(read, 3 * MIB);
  const half = mail.length >> 1;
  async function* halves() {
    // A buffer that is used again, as the spool does.
    const buffer = Buffer.from(mail.subarray(0, half));
    yield buffer;
    buffer.fill(0);
    yield mail.subarray(half);
  }
  assert.match(await take(halves), /taken$/);
  await inbox.close();
});

test('a key that cannot be looked up makes the mail wait, and so does the end of the router', async () => {
  const broken = makeRig({ lookUpTxt: () => Promise.reject(new Error('SERVFAIL')) });
  const mail = await makeReportMail();
  assert.equal(await broken.takeMail(mail), 'waits: DNS failure: SERVFAIL');
  assert.deepEqual([broken.rig.counted, broken.rig.logged], [{}, []]);
  await broken.inbox.close();
  const silent = makeRig({ lookUpTxt: () => new Promise<never>(() => undefined) });
  const taking = silent.takeMail(mail);
  silent.inbox.stop();
  assert.match(await taking, /^waits: /);
  assert.match(await silent.takeMail(mail), /^waits: /);
  await silent.inbox.close();
});

test('one event a day tells the sums, also after a restart', async () => {
  const before = makeRig();
  assert.deepEqual(before.inbox.lastDay, {
    day: '2026-11-27',
    reports: 0,
    discarded: 0,
    successes: 0,
    failures: 0,
  });
  await before.takeMail(await makeReportMail());
  await before.takeMail(await makeReportMail({ signer: undefined }));
  await before.inbox.close();
  const { rig, inbox } = makeRig({}, before.rig.path);
  inbox.look();
  assert.deepEqual(rig.logged, []);
  rig.now += DAY_MS / 2;
  inbox.look();
  inbox.look();
  const sums = { day: '2026-11-28', reports: 1, discarded: 1, successes: 5326, failures: 303 };
  assert.deepEqual(rig.logged, [`tls_reports_of_day ${JSON.stringify(sums)}`]);
  assert.deepEqual(inbox.lastDay, sums);
  await inbox.close();
  const after = makeRig({}, rig.path);
  after.rig.now = rig.now;
  after.inbox.look();
  assert.deepEqual([after.inbox.lastDay, after.rig.logged], [sums, []]);
  await after.takeMail(await makeReportMail({ signer: undefined }));
  after.inbox.look();
  assert.deepEqual(after.inbox.lastDay, sums);
  after.rig.now += DAY_MS;
  after.inbox.look();
  assert.deepEqual([after.inbox.lastDay.day, after.inbox.lastDay.reports], ['2026-11-29', 0]);
  assert.equal(after.inbox.lastDay.discarded, 1);
  after.rig.now += DAY_MS;
  after.inbox.look();
  assert.deepEqual([after.inbox.lastDay.day, after.inbox.lastDay.discarded], ['2026-11-30', 0]);
  await after.inbox.close();
});

test('a file that cannot be read or written costs only counts', async () => {
  const path = join(dir, 'damaged.json');
  writeFileSync(path, '{"format":1,"reports":7}');
  const { rig, inbox, takeMail } = makeRig({}, path);
  assert.match(await takeMail(await makeReportMail()), /taken$/);
  assert.match(rig.logged[0] ?? '', /^not_kept .*tlsrpt-received\.json/);
  await inbox.close();
  assert.equal(JSON.parse(readFileSync(path, 'utf8')).reports.length, 1);
  const nowhere = makeRig({}, join(dir, 'no', 'folder.json'));
  assert.match(await nowhere.takeMail(await makeReportMail()), /taken$/);
  assert.match(nowhere.rig.logged.join(), /not_kept/);
  await nowhere.inbox.close();
});

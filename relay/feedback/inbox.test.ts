/** Mail for the address of complaints: what is taken, what is discarded and why, and what waits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyName, keyRecord, makeComplaintMail } from '#test/kit/reportmail.ts';
import type { Parcel } from '../delivery/courier.ts';
import { FeedbackInbox, type FeedbackInboxDeps } from './inbox.ts';

const MIB = 1024 * 1024;
const TO = 'complaints@relay.example';

function makeRig(changes: Partial<FeedbackInboxDeps> = {}) {
  const rig = { logged: [] as string[], counted: [] as string[] };
  const keys: Record<string, string> = {
    [keyName('provider.example')]: keyRecord('s=email'),
    [keyName('tlsrpt.example')]: keyRecord('s=tlsrpt'),
    [keyName('tests.example')]: keyRecord('t=y'),
  };
  const inbox = new FeedbackInbox({
    log: ((event: string, facts: object) => rig.logged.push(`${event} ${JSON.stringify(facts)}`)) as never,
    lookUpTxt: async (name) => (keys[name] === undefined ? [] : [[keys[name]]]),
    count: (name, label) => rig.counted.push(`${name}{${label}}`),
    findMessage: () => undefined,
    ...changes,
  });
  const take = async (mail: Buffer, to = [TO]) => {
    const result = await inbox.take({
      from: 'a@provider.example',
      to,
      body: () => mail,
    } as unknown as Parcel);
    assert.ok(result.kind === 'answered' && result.tellsSender, 'nobody is told');
    assert.equal(result.verdicts.length, to.length);
    const [verdict] = result.verdicts;
    if (verdict?.kind === 'failed') assert.equal(verdict.failure.permanent, false, 'nothing is returned');
    const complaints = result.verdicts.flatMap((one) =>
      one.kind === 'delivered' ? (one.complaint ?? []) : [],
    );
    const said = verdict?.kind === 'delivered' ? verdict.reply : `waits: ${verdict?.failure.text}`;
    return { said, complaints };
  };
  return { rig, inbox, take };
}

test('a signed complaint goes with the verdict, once, and names the message that the history knows', async () => {
  const asked: unknown[] = [];
  const { rig, take } = makeRig({
    findMessage: (...query) => {
      asked.push(query);
      return '06fjg1n2k4a8w2bc';
    },
  });
  const facts = ['Feedback-Type: abuse', 'Original-Rcpt-To: <joe@provider.example>'];
  const { said, complaints } = await take(await makeComplaintMail({ facts }), [TO, TO.toUpperCase()]);
  assert.equal(said, '250 2.0.0 complaint of provider.example taken');
  assert.deepEqual(complaints, [
    {
      reporter: 'provider.example',
      reporterAddress: 'feedback@fbl.provider.example',
      queueId: '06fjg1n2k4a8w2bc',
      feedbackType: 'abuse',
      messageId: 'm1@app.example.com',
      recipients: ['joe@provider.example'],
      reportedDomains: [],
    },
  ]);
  assert.deepEqual(asked, [['m1@app.example.com', 'joe@provider.example']]);
  assert.deepEqual(rig.counted, ['feedback_reports{taken}', 'complaints{abuse}']);
  assert.match(
    rig.logged.join(),
    /^complained .*"reporter":"provider.example".*"to":\["joe@provider.example"\]}$/,
  );
});

test('everybody with a mailbox at the provider can write a report, so its author is told', async () => {
  const { take } = makeRig();
  const { complaints } = await take(await makeComplaintMail({ from: 'Joe@Provider.example' }));
  assert.equal(complaints[0]?.reporterAddress, 'Joe@provider.example');
});

test('a type that RFC 5965 does not name is told as it is, and counted as other', async () => {
  const { rig, take } = makeRig();
  const { complaints } = await take(await makeComplaintMail({ facts: ['Feedback-Type: opt-out'] }));
  assert.deepEqual([complaints[0]?.feedbackType, rig.counted.at(-1)], ['opt-out', 'complaints{other}']);
});

test('what is not proven or no complaint is discarded with a reason, and the sender hears nothing', async () => {
  const cases = [
    ['not_signed', await makeComplaintMail({ signer: undefined })],
    ['not_signed', await makeComplaintMail({ signer: 'evil.example' })],
    ['not_signed', await makeComplaintMail({ from: 'a@tlsrpt.example', signer: 'tlsrpt.example' })],
    ['not_signed', await makeComplaintMail({ from: 'a@tests.example', signer: 'tests.example' })],
    ['not_signed', Buffer.from((await makeComplaintMail()).toString().replace('abuse', 'virus'))],
    ['no_report', await makeComplaintMail({ contentType: 'text/plain' })],
    ['malformed', await makeComplaintMail({ facts: ['Version: 1'] })],
    ['too_large', Buffer.alloc(2 * MIB + 1)],
  ] as const;
  for (const [cause, mail] of cases) {
    const { rig, take } = makeRig();
    const { said, complaints } = await take(mail);
    assert.match(said, /^250 2\.0\.0 discarded: /, cause);
    assert.deepEqual([complaints, rig.counted], [[], [`feedback_reports{${cause}}`]], said);
    assert.match(
      rig.logged.join(),
      new RegExp(`^feedback_report_discarded .*"cause":"${cause}","reason":".+"}$`),
    );
  }
});

test('a key that cannot be looked up makes the mail wait, and so does the end of the router', async () => {
  const mail = await makeComplaintMail();
  const broken = makeRig({ lookUpTxt: () => Promise.reject(new Error('SERVFAIL')) });
  assert.equal((await broken.take(mail)).said, 'waits: DNS failure: SERVFAIL');
  assert.deepEqual([broken.rig.counted, broken.rig.logged], [[], []]);
  const silent = makeRig({ lookUpTxt: () => new Promise<never>(() => undefined) });
  const taking = silent.take(mail);
  silent.inbox.stop();
  assert.match((await taking).said, /^waits: /);
});

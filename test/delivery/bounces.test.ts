/** What senders are told (RFC 3461, 3464, 6522): structure, wishes, and never a bounce for a bounce. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import PostalMime from 'postal-mime';
import { Hop, type Taken } from '#test/kit/hop.ts';
import { freePort } from '#test/kit/ports.ts';
import type { TestRelay } from '#test/kit/relay.ts';
import { messageText } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { accepted, startRelay, submit } from './story.ts';

/** Where reports go. */
let home: Hop;
/** Knows every extension; refuses whom a test names. */
let modern: Hop;
/** Knows none. */
let old: Hop;
let relay: TestRelay;

const refusals: Readonly<Record<string, string>> = {
  'no@modern.example': '550 5.1.1 <no@modern.example> nobody here\n550 by that name',
  'full@modern.example': '452 4.2.2 full',
};

before(async () => {
  const [homePort, modernPort, oldPort] = [await freePort(), await freePort(), await freePort()];
  home = await Hop.start({ port: homePort });
  modern = await Hop.start({
    port: modernPort,
    answer: ({ step, line }) => (step === 'RCPT' ? refusals[/<(.*)>/.exec(line)?.[1] ?? ''] : undefined),
  });
  old = await Hop.start({
    port: oldPort,
    offers: ['PIPELINING'],
    answer: ({ step, line }) => (step === 'RCPT' && line.includes('<no@') ? '550 no such user' : undefined),
  });
  const to = (port: number) => `hosts: [{host: 127.0.0.1, port: ${port}}]`;
  relay = await startRelay({
    outbound: `
tls: {level: None, discover: []}
routes:
  - {recipientDomains: [modern.example], ${to(modernPort)}}
  - {recipientDomains: [old.example], ${to(oldPort)}}
  - {recipientDomains: [client.example], ${to(homePort)}}
`,
  });
});

after(async () => {
  await relay?.remove();
  for (const hop of [home, modern, old]) await hop?.down();
});

interface Report {
  readonly taken: Taken;
  readonly subject: string;
  readonly words: string;
  /** Fields of the message, then of each recipient. */
  readonly status: readonly Readonly<Record<string, string>>[];
  readonly original: { readonly type: string; readonly text: string };
}

/** As a mail program reads it. */
async function parsed(taken: Taken): Promise<Report> {
  assert.equal(taken.from, '', 'a report has the null sender');
  const mail = await PostalMime.parse(Buffer.from(taken.text, 'latin1'), { forceRfc822Attachments: true });
  const header = (name: string) => mail.headers.find(({ key }) => key === name)?.value ?? '';
  assert.match(header('content-type'), /^multipart\/report;\s*report-type=delivery-status;/);
  assert.equal(header('auto-submitted'), 'auto-replied');
  assert.match(header('message-id'), /^<\w+@relay\.example\.com>$/);
  assert.equal(mail.from?.address, 'MAILER-DAEMON@relay.example.com');
  assert.equal(mail.attachments.length, 2);
  const [status, original] = mail.attachments.map(({ mimeType, content }) => ({
    type: mimeType,
    text: new TextDecoder().decode(content as ArrayBuffer),
  }));
  assert.equal(status?.type, 'message/delivery-status');
  return {
    taken,
    subject: mail.subject ?? '',
    words: mail.text ?? '',
    status: (status?.text ?? '')
      .trim()
      .split(/\r?\n\r?\n/)
      .map(parseFields),
    original: original ?? { type: '', text: '' },
  };
}

function parseFields(block: string): Record<string, string> {
  return Object.fromEntries(
    block.split(/\r?\n/).map((line) => [line.split(':', 1)[0], line.replace(/^.*?: /, '')]),
  );
}

async function reportWith(text: string): Promise<Report> {
  return parsed(
    await until(`a report with ${text}`, () => home.taken.find((one) => one.text.includes(text))),
  );
}

test('each recipient of a message has its own end, and the report tells of those that failed', async () => {
  const yes = ['yes@modern.example', 'yes@old.example'];
  const id = await accepted(relay, {
    id: 'mixed',
    to: ['no@modern.example', 'full@modern.example', 'no@old.example', ...yes],
  });
  const report = await reportWith('<no@modern.example>');
  assert.deepEqual(report.taken.to, ['me@client.example']);
  assert.equal(report.subject, 'Undelivered mail returned to sender');
  assert.match(report.words, /127\.0\.0\.1:\d+ said: 550/);
  assert.match(report.words, new RegExp(id));
  const [message, recipient, ...more] = report.status;
  assert.deepEqual(more, []);
  assert.equal(message?.['Reporting-MTA'], 'dns; relay.example.com');
  assert.ok(Date.parse(message?.['Arrival-Date'] ?? '') > 0);
  assert.equal(recipient?.['Final-Recipient'], 'rfc822; no@modern.example');
  assert.equal(recipient?.['Action'], 'failed');
  assert.equal(recipient?.['Status'], '5.1.1');
  assert.equal(recipient?.['Remote-MTA'], 'dns; 127.0.0.1');
  assert.match(
    recipient?.['Diagnostic-Code'] ?? '',
    /^smtp; 550-5\.1\.1 <no@modern\.example> nobody here 550 by that/,
  );
  assert.equal(report.original.type, 'text/rfc822-headers');
  assert.match(report.original.text, /^X-Test-Id: mixed$/m);
  assert.doesNotMatch(report.original.text, /xxxx/);
  assert.equal((await reportWith('<no@old.example>')).status[1]?.['Status'], '5.0.0');
  for (const [hop, to] of [
    [modern, yes[0]],
    [old, yes[1]],
  ] as const) {
    const taken = await until('the good one', () => hop.taken.find(({ text }) => text.includes('mixed')));
    assert.deepEqual(taken.to, [to]);
  }
  // The one that waits is still there, and alone.
  await until('the rest', async () => (await relay.status()).queue.depth === 1);
});

test('what the sender wants to be told is passed on to a hop that knows DSN, for each recipient', async () => {
  await accepted(relay, {
    id: 'wishes',
    to: ['one@modern.example', 'two@modern.example', 'three@modern.example'],
    mail: 'RET=HDRS ENVID=QQ+2B314',
    rcpt: {
      'one@modern.example': 'NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;alias+2Bone@client.example',
      'two@modern.example': 'NOTIFY=NEVER',
    },
  });
  await until('the message', () => modern.ids().includes('wishes'));
  assert.equal(modern.ids().filter((id) => id === 'wishes').length, 1, 'one transaction');
  const mail = modern.lines('MAIL').find((line) => line.includes('ENVID')) ?? '';
  assert.match(mail, /^MAIL FROM:<me@client\.example> .*RET=HDRS ENVID=QQ\+2B314/);
  assert.deepEqual(
    modern.lines('RCPT').filter((line) => /<(one|two|three)@/.test(line)),
    [
      'RCPT TO:<one@modern.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;alias+2Bone@client.example',
      'RCPT TO:<two@modern.example> NOTIFY=NEVER',
      'RCPT TO:<three@modern.example>',
    ],
  );
});

test('where the hop knows no DSN, a sender who asked for success hears that it was relayed', async () => {
  await accepted(relay, {
    id: 'relayed',
    to: ['success@old.example', 'silent@old.example'],
    mail: 'ENVID=id-1',
    rcpt: { 'success@old.example': 'NOTIFY=SUCCESS ORCPT=rfc822;first@client.example' },
  });
  const { status, subject } = await reportWith('<success@old.example>');
  assert.equal(subject, 'Mail passed on');
  assert.equal(status[0]?.['Original-Envelope-Id'], 'id-1');
  assert.deepEqual(
    [status[1]?.['Action'], status[1]?.['Status'], status[1]?.['Original-Recipient'], status.length],
    ['relayed', '2.0.0', 'rfc822;first@client.example', 2],
  );
});

test('RET=FULL returns the message; NOTIFY without FAILURE, and a null sender, return nothing', async () => {
  await accepted(relay, { id: 'full', to: ['no@old.example'], mail: 'RET=FULL ENVID=full-1' });
  const { original } = await reportWith('full-1');
  assert.equal(original.type, 'message/rfc822');
  assert.match(original.text, /^X-Test-Id: full$/m);
  assert.match(original.text, /end\s*$/);
  const [reports, discarded] = [home.taken.length, count('discarded')];
  await accepted(relay, {
    id: 'quiet',
    to: ['no@old.example'],
    rcpt: { 'no@old.example': 'NOTIFY=SUCCESS' },
  });
  await accepted(relay, { id: 'nobody', from: '', to: ['no@old.example'] });
  await until('both to be given up', () => count('discarded') === discarded + 2);
  assert.equal(home.taken.length, reports);
});

test('a bounce that is refused itself is dropped, and a message that loops is not taken', async () => {
  const discarded = count('discarded');
  await accepted(relay, { id: 'dead-end', from: 'no@old.example', to: ['no@modern.example'] });
  await until('the bounce to be given up', () => count('discarded') === discarded + 1);
  const hops = Array.from({ length: 120 }, (_, index) => `Received: from h${index} by h${index + 1}\r\n`);
  const text = `${hops.join('')}${messageText('loop')}`;
  assert.match(await submit(relay, { id: 'loop', to: ['a@old.example'], text }), /^554 5\.4\.6 /);
});

test('SMTPUTF8 and 8BITMIME are passed on where they are offered', async () => {
  const text = international('Grüße', 'Grüße');
  await accepted(relay, { id: 'u1', to: ['a@modern.example'], mail: 'BODY=8BITMIME SMTPUTF8', text });
  await until('the message', () =>
    modern.taken.some((one) => Buffer.from(one.text, 'latin1').includes('Grüße')),
  );
  const [mail] = modern.lines('MAIL').filter((line) => line.includes('SMTPUTF8'));
  assert.match(mail ?? '', /BODY=8BITMIME.* SMTPUTF8$/);
});

test('what needs SMTPUTF8 or 8BITMIME goes back where they are not offered; what does not need them goes', async () => {
  const returned = async (id: string, to: string, mail: string, text: string) => {
    await accepted(relay, { id, to: [to], mail: `${mail} ENVID=${id}`, text });
    return reportWith(`Original-Envelope-Id: ${id}`);
  };
  const header = await returned('u2', 'b@old.example', 'SMTPUTF8', international('Grüße', 'plain'));
  assert.match(header.status[1]?.['Diagnostic-Code'] ?? '', /5\.6\.7 .*SMTPUTF8/);
  assert.equal(header.original.type, 'message/global-headers');
  const body = await returned('u3', 'c@old.example', 'BODY=8BITMIME', international('plain', 'Grüße'));
  assert.match(body.status[1]?.['Diagnostic-Code'] ?? '', /5\.6\.3 .*8BITMIME/);
  const address = await returned('u4', 'jürgen@old.example', 'SMTPUTF8', international('plain', 'plain'));
  assert.equal(address.status[1]?.['Final-Recipient'], 'utf-8; j\\x{FC}rgen@old.example');
  assert.equal(address.status[1]?.['Status'], '5.6.7');
  await accepted(relay, { id: 'u5', to: ['d@old.example'], mail: 'BODY=8BITMIME SMTPUTF8' });
  await until('the one without need', () => old.ids().includes('u5'));
});

test('a report on 8-bit mail arrives at a host that offers no 8BITMIME', async () => {
  const text = international('Grüße', 'Grüße');
  const mail = 'BODY=8BITMIME SMTPUTF8 ENVID=plain-host';
  await accepted(relay, { id: 'u6', from: 'me@old.example', to: ['no@modern.example'], mail, text });
  const taken = await until('the report', () => old.taken.find((one) => one.text.includes('plain-host')));
  assert.deepEqual(taken.to, ['me@old.example']);
  assert.doesNotMatch(taken.text, /[^\t\r\n -~]/);
  assert.match((await parsed(taken)).original.text, /^Subject: Grüße\r?$/m);
});

function international(subject: string, body: string): string {
  const type =
    'MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit';
  return `From: <me@client.example>\r\nSubject: ${subject}\r\n${type}\r\n\r\n${body}\r\nend`;
}

/** How often the relay logged this. */
function count(event: string): number {
  return relay.stderr.split(`"event":"${event}"`).length - 1;
}

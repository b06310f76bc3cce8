/** The trace: its format, which the pages show, what narrows it, and its end. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { readPages } from '#test/arch/pages.ts';
import { messageText } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { Rig, type Story } from './rig.ts';

const TRACED = '127.0.0.2';
/** Time and session, before each line. */
const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \[[^\]]+\] /;

/** The lines of a trace that the pages show, by page. */
function readSamples(): [page: string, lines: string[]][] {
  return readPages().flatMap(({ path, blocks }) =>
    blocks
      .filter(({ text }) => text.includes('Ready to start TLS<CRLF>'))
      .map(({ text }): [string, string[]] => [
        path,
        text.split('\n').filter((line) => !line.startsWith('$ ')),
      ]),
  );
}

const story = (trace: Readonly<Record<string, unknown>>): Story => ({
  listeners: { smtp: {} },
  inbound: { clients: { networks: ['127.0.0.0/8'] } },
  spec: () => ({ trace }),
});

let rig: Rig;

before(async () => {
  rig = await Rig.start(
    story({ level: 4, networks: [`${TRACED}/32`], recipientDomains: ['traced.example'] }),
  );
});

after(() => rig?.end());

/** Lines of the trace, without their time, by client or next hop. */
function lines(peer: string): string[] {
  return rig.relay.stderr
    .split('\n')
    .filter((line) => STAMP.test(line) && line.includes(peer))
    .map((line) => line.replace(STAMP, ''));
}

test('level 4: commands, replies, byte counts and TLS, as SMTPDebugIO shows them; no data', async () => {
  const client = await rig.secureClient('smtp', {}, TRACED);
  await client.send('a@x.example', ['b@traced.example'], messageText('traced'));
  await client.quit();
  await rig.arrived('traced');
  const shown = await until('the end of the trace', () => {
    const all = lines(TRACED);
    return all.some((line) => line.includes('session ends')) && all;
  });
  const text = shown.join('\n');
  assert.match(shown[0] ?? '', /^127\.0\.0\.2 session begins: smtp$/);
  const samples = readSamples();
  assert.equal(samples.length, 3);
  for (const [page, lines] of samples) {
    const sample = lines.map((line) => line.replace(STAMP, '').replaceAll('10.20.3.4', TRACED));
    assert.ok(
      lines.every((line) => STAMP.test(line)) && text.includes(sample.join('\n')),
      `${page}: ${text}`,
    );
  }
  assert.match(text, new RegExp(`^${TRACED.replaceAll('.', '\\.')} R: EHLO client\\.example<CRLF>$`, 'm'));
  assert.match(text, /R: RCPT TO:<b@traced\.example><CRLF>/);
  assert.match(text, /127\.0\.0\.2 message of \d+ bytes/);
  assert.doesNotMatch(text, /X-Test-Id|Subject/);
});

test('deliveries are narrowed by recipient domain, sessions by network', async () => {
  const client = await rig.client('smtp', '127.0.0.3');
  await client.send('a@x.example', ['b@other.example'], messageText('other'));
  await client.send('a@x.example', ['b@traced.example'], messageText('again'));
  await rig.arrived('other');
  await rig.arrived('again');
  assert.deepEqual(lines('127.0.0.3'), []);
  const out = await until('the delivery to be traced', () => {
    const all = lines('127.0.0.1:').join('\n');
    return all.split('message of').length > 2 && all;
  });
  assert.match(out, /127\.0\.0\.1:\d+ S: RCPT TO:<b@traced\.example>/);
  assert.doesNotMatch(out, /other\.example/);
});

test('levels below show less, and the trace ends by itself at its time, in open sessions too', async () => {
  // The edit and the session need a part of this time.
  const end = new Date(Date.now() + 30_000).toISOString().replace(/\.\d+Z$/, 'Z');
  await rig.edit(story({ level: 1, networks: ['127.0.0.4'], until: end }));
  const client = await rig.secureClient('smtp', {}, '127.0.0.4');
  await until('the session to be traced', () => lines('127.0.0.4').length >= 2);
  assert.deepEqual(
    lines('127.0.0.4').map((line) => line.split(' ').slice(1, 3).join(' ')),
    ['session begins:', 'TLS: TLSv1.3,'],
  );
  await until('the time to be over', () => Date.now() > Date.parse(end));
  await client.quit();
  await until('the trace to say so', () => rig.relay.stderr.includes('The trace ended, as trace.until says'));
  const later = await rig.client('smtp', '127.0.0.4');
  await later.send('a@x.example', ['b@y.example'], messageText('later'));
  // What comes in one stream has come in its order.
  await rig.logged({ event: 'accepted', client: '127.0.0.4' });
  assert.equal(lines('127.0.0.4').length, 2);
});

/** What the relay does to headers: Received, what a submission lacks, masquerading, copies, and DKIM. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import { until } from '#test/kit/wait.ts';
import { Rig } from './rig.ts';

const OURS = '127.0.0.2';
const STRANGER = '127.0.0.3';
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ed25519 = generateKeyPairSync('ed25519');

let rig: Rig;

before(async () => {
  const pem = (key: KeyObject) => String(key.export({ type: 'pkcs8', format: 'pem' }));
  rig = await Rig.start({
    listeners: {
      smtp: {},
      held: { clients: { networks: [OURS], senderDomains: ['*.example.com'] } },
    },
    inbound: {
      clients: { networks: [OURS] },
      acceptDomains: ['y.example'],
      masqueradeDomains: ['example.com'],
      alwaysBcc: 'archive@y.example',
    },
    spec: (hop) => ({
      outbound: {
        tls: { discover: [] },
        smartHosts: [{ host: '127.0.0.1', port: hop }],
        dkim: [
          { domain: 'example.com', selector: 'rsa', secretName: 'dkim-rsa' },
          { domain: 'example.com', selector: 'ed', secretName: 'dkim-ed' },
          { domain: 'boss.example', selector: 'ed', secretName: 'dkim-ed' },
        ],
      },
    }),
    secrets: {
      'dkim-rsa': { 'private.key': pem(rsa.privateKey) },
      'dkim-ed': { 'private.key': pem(ed25519.privateKey) },
    },
  });
});

after(() => rig?.end());

async function send(id: string, headers: string, from = OURS, listener = 'smtp'): Promise<string> {
  const client = await rig.client(listener, from);
  const reply = await client.send(
    'app@web1.example.com',
    ['b@y.example'],
    `${headers}X-Test-Id: ${id}\r\n\r\nbody`,
  );
  assert.match(reply, /^250 /);
  return (await rig.arrived(id)).text;
}

test('a submission without Date and Message-ID gets both, one with them keeps them', async () => {
  const added = await send('bare', 'From: app@web1.example.com\r\n');
  assert.match(added, /^Date: [A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000\r$/m);
  assert.match(added, /^Message-ID: <[^@>]+@relay\.example\.com>\r$/im);
  const date = 'Date: Tue, 24 Nov 2026 11:22:33 +0000\r\nMessage-Id: <1@x>\r\n';
  const kept = await send('whole', `From: app@web1.example.com\r\n${date}`);
  assert.equal(kept.match(/^(?:date|message-id):/gim)?.length, 2);
  assert.ok(kept.includes(date));
});

test('mail of strangers passes as it is, but for Received', async () => {
  const text = await send('stranger', 'From: Eve <eve@web1.example.com>\r\n', STRANGER);
  assert.match(
    text,
    /^Received: from client\.example \(\[127\.0\.0\.3\]\)\r\n\tby relay\.example\.com \(mailrelay\) with ESMTP id \S+\r\n\tfor <b@y\.example>;\r\n\t/,
  );
  assert.equal(
    text.slice(text.indexOf('From:')),
    'From: Eve <eve@web1.example.com>\r\nX-Test-Id: stranger\r\n\r\nbody\r\n',
  );
  assert.doesNotMatch(text, /^(?:date|message-id|dkim-signature):/im);
});

test('hosts below a masqueraded domain are hidden, in the envelope and in the sender fields', async () => {
  const text = await send(
    'mask',
    'From: App <app@web1.example.com>\r\nReply-To: x@other.example\r\nTo: b@web1.example.com\r\n',
  );
  assert.match(text, /^From: App <app@example\.com>\r$/m);
  assert.match(text, /^Reply-To: x@other\.example\r$/m);
  assert.match(text, /^To: b@web1\.example\.com\r$/m);
  assert.equal((await rig.arrived('mask')).from, 'app@example.com');
});

test('odd addresses go on as RFC 5321 has them, and a sender without a domain with that of the relay', async () => {
  const envelopes = [
    ['root', '"jane doe"@y.example', 'root@example.com', '"jane doe"@y.example'],
    ['name.@host.example', 'b@y.example.', '"name."@host.example', 'b@y.example'],
    ['a%b@host1.example', 'b..c@Y.example', 'a%b@host1.example', '"b..c"@y.example'],
  ] as const;
  for (const [index, [from, to, fromThen, toThen]] of envelopes.entries()) {
    const client = await rig.client('smtp', OURS);
    await client.send(from, [to], `X-Test-Id: odd${index}\r\n\r\nbody`);
    await until(`${from} to ${to} at the next hop`, () =>
      rig.hop.arrived.some(({ id, from: sender, to: [recipient] }) =>
        isDeepStrictEqual([id, sender, recipient], [`odd${index}`, fromThen, toThen]),
      ),
    );
  }
});

test('a first line that is no field never touches ours, from anybody; what is submitted has a date all the same', async () => {
  const lines = [
    ['blank', ' Subject: folded\r\n', '\r\n Subject: folded\r\n'],
    ['none', 'hello world\r\n', '\r\nhello world\r\n'],
    [
      'mbox',
      'From a@b Mon Jan  1 00:00:00 2026\r\n',
      'X-Mailbox-Line: From a@b Mon Jan  1 00:00:00 2026\r\n',
    ],
  ] as const;
  for (const [id, before, after] of lines) {
    // The id is behind what was the first line, and so in the body of two of them.
    const ours = await send(`${id}-ours`, before);
    assert.match(ours, /^Date: .*\r\nMessage-ID: /m);
    const theirs = await send(`${id}-theirs`, before, STRANGER);
    assert.ok(theirs.includes(`+0000\r\n${after}X-Test-Id`), theirs);
  }
});

test('Bcc of a submission goes, that of strangers stays', async () => {
  const fields =
    'From: app@web1.example.com\r\nBcc: secret@x.example,\r\n more@x.example\r\nRESENT-BCC: s@x.example\r\n';
  assert.doesNotMatch(await send('hidden', fields), /bcc|x\.example/i);
  assert.match(await send('shown', fields, STRANGER), /^Bcc: secret@x\.example,\r\n more@x\.example\r$/m);
});

test('a header above 64 KiB gets what it lacks', async () => {
  const text = await send('long', `From: a@web1.example.com\r\nX-Long: ${'x'.repeat(900)}\r\n`.repeat(80));
  assert.match(text, /^Date: .*\r\nMessage-ID: <[^>]+>\r\n\r\nbody/m);
});

test('a copy of every message goes to alwaysBcc, and no header tells of it', async () => {
  const text = await send('copy', 'From: app@web1.example.com\r\n');
  await until('the copy', () =>
    rig.hop.arrived.filter(({ id }) => id === 'copy').some(({ to }) => to.includes('archive@y.example')),
  );
  assert.doesNotMatch(text, /archive/);
});

test('both signatures of a submission verify, over what was masqueraded and added', async () => {
  const text = await send('signed', 'From: App <app@web1.example.com>\r\nSubject: hello\r\n');
  const spki = (key: KeyObject) => key.export({ type: 'spki', format: 'der' });
  const records: Record<string, string> = {
    'rsa._domainkey.example.com': `v=DKIM1; k=rsa; p=${spki(rsa.publicKey).toString('base64')}`,
    // RFC 8463 section 4: the bare key.
    'ed._domainkey.example.com': `v=DKIM1; k=ed25519; p=${spki(ed25519.publicKey).subarray(-32).toString('base64')}`,
  };
  const resolver = async (name: string) => [[records[name] ?? '']];
  const verified = async (message: string) => {
    const { results } = await dkimVerify(Buffer.from(message, 'latin1'), { resolver });
    return results.map(({ selector, status }) => `${selector} ${status.result}`).toSorted();
  };
  assert.deepEqual(await verified(text), ['ed pass', 'rsa pass']);
  assert.deepEqual(await verified(text.replace('hello', 'hallo')), ['ed fail', 'rsa fail']);
});

test('a client that is held to its domains gets no signature of another one, whatever its From says', async () => {
  const signature = /^DKIM-Signature: .*\bd=([\w.]+)/m;
  const signedBy = async (id: string, author: string, listener: string) =>
    signature.exec(await send(id, `From: ${author}\r\n`, OURS, listener))?.[1];
  assert.equal(await signedBy('free', 'a@boss.example', 'smtp'), 'boss.example');
  assert.equal(await signedBy('pretended', 'a@boss.example', 'held'), undefined);
  await rig.logged({ event: 'not_signed', domain: 'boss.example' });
  // Its host is hidden behind the domain that signs.
  assert.equal(await signedBy('own', 'app@web1.example.com', 'held'), 'example.com');
});

/**
 * Signatures of DKIM are verified by another implementation, and a message or key that cannot be signed with has a
 * reason.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import { judgeDkimKey } from '#crds/publickeys.ts';
import { opener } from '#test/fixtures/opener.ts';
import { FirstLine } from '../headers/firstline.ts';
import { type DkimKey, type Signing, selectKeys, signMessage } from './dkim.ts';
import { findFromDomain } from './fromdomain.ts';

function exportPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ed25519 = generateKeyPairSync('ed25519');
const RSA: DkimKey = { domain: 'example.com', selector: 'rsa', pem: exportPem(rsa.privateKey) };
const ED: DkimKey = { domain: 'example.com', selector: 'ed', pem: exportPem(ed25519.privateKey) };

/** RFC 6376 section 3.6.1. RFC 8463 section 4.2: the bare 32 bytes. */
const RECORDS = new Map([
  [
    'rsa._domainkey.example.com',
    `v=DKIM1; k=rsa; p=${rsa.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')}`,
  ],
  [
    'ed._domainkey.example.com',
    `v=DKIM1; k=ed25519; p=${ed25519.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('base64')}`,
  ],
]);

const resolver = async (name: string) => {
  const record = RECORDS.get(name);
  if (!record) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
  return [[record]];
};

/** The results of both signatures, in the words of RFC 8601. */
async function verify(message: Buffer): Promise<string[]> {
  const { results } = await dkimVerify(message, { resolver, strict: true });
  return results.map(({ status }) => `${status.result}`);
}

function signedHeader(signing: Signing): Buffer {
  assert.equal(signing.kind, 'signed', JSON.stringify(signing));
  return signing.kind === 'signed' ? signing.header : Buffer.alloc(0);
}

async function signed(bytes: Buffer, keys: readonly DkimKey[] = [RSA, ED], size = 1000): Promise<Buffer> {
  return Buffer.concat([signedHeader(await signMessage(opener(bytes, size), keys)), bytes]);
}

const HEAD =
  'From: Bob <bob@example.com>\r\nTo: a@example.org\r\nSubject: hi\r\nDate: Fri, 02 Jan 2026 03:04:05 +0000\r\n';

const MESSAGES: readonly [string, string][] = [
  ['a plain message', `${HEAD}\r\nHello.\r\n`],
  ['8-bit text', `${HEAD}X-J\xfc: \xff\r\n\r\n\xe4\xf6\xfc \x80\xff\r\n`],
  [
    'folded headers',
    `${HEAD}references: <a@b>\r\n\t<c@d>\r\n \r\n  <e@f>\r\nCc :\r\n x@example.org\r\n\r\nx\r\n`,
  ],
  ['an empty body', `${HEAD}\r\n`],
  ['no empty line', HEAD],
  ['no last line break', `${HEAD}\r\nx`],
  ['trailing empty lines', `${HEAD}\r\nx  \t y \r\n\r\n \r\n\r\n\r\n`],
  ['lines of dots', `${HEAD}\r\n.\r\n..\r\n.x\r\n`],
  ['names twice', `${HEAD}Subject: another\r\nX: y\r\nReceived: x\r\n\r\nx\r\n`],
  ['5 MB', `${HEAD}\r\n${`${'a \t=20'.repeat(12)}\r\n`.repeat(67000)}`],
  ['a header above 64 KiB', `${HEAD}X: ${`${'x'.repeat(900)}\r\n `.repeat(200)}\r\n\r\nx\r\n`],
  ['an odd From', HEAD.replace('Bob <bob', 'bob@home <bob').concat('\r\nx\r\n')],
  ['a very long line', `${HEAD}\r\n${'long '.repeat(200000)}\r\n`],
];

for (const [what, text] of MESSAGES) {
  test(`both signatures of a message with ${what} verify`, async () => {
    const message = Buffer.from(text, 'latin1');
    for (const size of text.length > 2000 ? [65536] : [1, 7, 1000]) {
      assert.deepEqual(await verify(await signed(message, [RSA, ED], size)), ['pass', 'pass'], `${size}`);
    }
  });
}

test('each signature is a field of its own, without l=, that stays within the lines of mail', async () => {
  const header = signedHeader(await signMessage(opener(Buffer.from(`${HEAD}\r\n`)), [RSA, ED])).toString();
  assert.equal(header.match(/^DKIM-Signature: v=1;/gm)?.length, 2);
  assert.match(header, /a=rsa-sha256; c=relaxed\/relaxed; d=example\.com;/);
  assert.match(header, /a=ed25519-sha256; c=relaxed\/relaxed; d=example\.com;/);
  assert.match(header, /(?<!\r\n)\r\n$/);
  assert.doesNotMatch(header, /\bl=|\bz=|\n\r\n|[^\r]\n/);
  assert.ok(header.split('\r\n').every(({ length }) => length <= 78));
});

const ALTERED: readonly [string, (message: string) => string][] = [
  ['a changed body', (message) => message.replace('Hello', 'hello')],
  ['a longer body', (message) => `${message}more\r\n`],
  ['a changed subject', (message) => message.replace('Subject: hi', 'Subject: Hi')],
  ...['From', 'Reply-To', 'To', 'Cc', 'Subject', 'Date', 'Content-Type'].map(
    (name): [string, (message: string) => string] => [
      `another ${name} in front`,
      (message) => `${name}: x@example.net\r\n${message}`,
    ],
  ),
  ['without its From', (message) => message.replace(/^From: .*\r\n/m, '')],
];

test('what was altered on the way does not verify', async () => {
  const message = (await signed(Buffer.from(`${HEAD}Content-Type: text/plain\r\n\r\nHello.\r\n`))).toString(
    'latin1',
  );
  assert.deepEqual(await verify(Buffer.from(message)), ['pass', 'pass']);
  for (const [what, alter] of ALTERED) {
    const results = await verify(Buffer.from(alter(message)));
    assert.ok(!results.includes('pass') && results.length === 2, `${what}: ${results}`);
  }
});

test('what servers on the way may add does not break a signature', async () => {
  const message = await signed(Buffer.from('From: a@example.com\r\n\r\nx\r\n'));
  const added = Buffer.from(
    'Received: x\r\nReturn-Path: <a@b>\r\nDate: x\r\nMessage-ID: <x@y>\r\nList-Id: x\r\n',
  );
  assert.deepEqual(await verify(Buffer.concat([added, message])), ['pass', 'pass']);
});

test('a large message is signed in little memory', async () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const held = () => {
    gc();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  await signMessage(opener(Buffer.from(`${HEAD}\r\n`)), [RSA]);
  const before = held();
  let most = 0;
  async function* large(): AsyncGenerator<Buffer> {
    yield Buffer.from(`${HEAD}\r\n`);
    for (let chunk = 0; chunk < 640; chunk += 1) {
      yield Buffer.from(`${'some text\t of a body \r\n'.repeat(2900)}\r\n\r\n`);
      if (chunk % 40 === 0) most = Math.max(most, held() - before);
    }
  }
  assert.equal(
    (await signMessage(() => Readable.from(large(), { highWaterMark: 2 }), [RSA, ED])).kind,
    'signed',
  );
  assert.ok(most < 4 * 2 ** 20, `${most} bytes of 43 MB were held`);
});

const UNSIGNABLE: readonly [string, DkimKey, string, RegExp][] = [
  ['no key', { ...RSA, pem: 'c2VjcmV0' }, HEAD, /key of example\.com with the selector rsa .* in PEM/],
  ['a key cut short', { ...RSA, pem: RSA.pem.slice(0, 800) }, HEAD, /example\.com .* rsa .* in PEM/],
  ['a selector that is none', { ...ED, selector: 'a b' }, HEAD, /example\.com .* a b .*s= value/],
  ['no From', ED, 'To: a@b\r\n\r\n', /example\.com .* rsa .*no From header/],
];

for (const [what, key, text, reason] of UNSIGNABLE) {
  test(`a message is not signed with ${what}, and the reason shows no key`, async () => {
    const signing = await signMessage(opener(Buffer.from(text), 65536), [RSA, key]);
    assert.equal(signing.kind, 'failed');
    const said = signing.kind === 'failed' ? signing.reason : '';
    assert.match(said, reason);
    assert.doesNotMatch(said, /BEGIN|MII|c2VjcmV0/);
  });
}

for (const [what, text, reason] of [
  ['an endless header', `${HEAD}X: ${'x'.repeat(270_000)}\r\n\r\n`, 'long_header'],
  ['a header of crumbs', `${HEAD}${' \r\n'.repeat(5_000)}\r\n`, 'many_lines'],
  ['an endless line', `${HEAD}\r\n${'x'.repeat(2 ** 21)}`, 'long_line'],
] as const)
  test(`no key signs a message with ${what}`, async () => {
    const signing = await signMessage(opener(Buffer.from(text), 65_536), [RSA, ED]);
    assert.deepEqual(signing, { kind: 'unsignable', reason });
  });

test('the line of a mailbox file keeps no message from its signature', async () => {
  const first = new FirstLine();
  const came = Buffer.from(`From bob@example.com Fri Jan  2 03:04:05 2026\r\n${HEAD}\r\nHello.\r\n`);
  const message = Buffer.concat([...first.push(came), ...first.end()]);
  assert.deepEqual(await findFromDomain(opener(message)), {
    kind: 'domain',
    domain: 'example.com',
    hasStrayLine: false,
  });
  assert.deepEqual(await verify(await signed(message)), ['pass', 'pass']);
});

test('without keys nothing is put in front; a message that cannot be read rejects', async () => {
  assert.deepEqual(await signMessage(opener(Buffer.from(HEAD)), []), {
    kind: 'signed',
    header: Buffer.alloc(0),
  });
  const broken = () =>
    new Readable({
      read() {
        this.destroy(new Error('disk'));
      },
    });
  await assert.rejects(signMessage(broken, [ED]), /disk/);
  await assert.rejects(findFromDomain(broken), /disk/);
});

test('judgeDkimKey takes RSA from 1024 bits and Ed25519, whatever their PEM is called', () => {
  const pkcs1 = rsa.privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
  assert.deepEqual(judgeDkimKey(pkcs1), { kind: 'usable', algorithm: 'rsa', bits: 2048 });
  assert.deepEqual(judgeDkimKey(RSA.pem), { kind: 'usable', algorithm: 'rsa', bits: 2048 });
  assert.deepEqual(judgeDkimKey(ED.pem), { kind: 'usable', algorithm: 'ed25519', bits: 256 });
  const short = exportPem(generateKeyPairSync('rsa', { modulusLength: 1023 }).privateKey);
  const encrypted = rsa.privateKey.export({
    ...{ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' },
  } as const);
  const UNUSABLE: readonly [string, RegExp][] = [
    [short, /1023 bits/],
    [exportPem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey), /type is ec/],
    [exportPem(generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey), /type is rsa-pss/],
    [exportPem(generateKeyPairSync('ed448').privateKey), /type is ed448/],
    [rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString(), /no unencrypted private key/],
    [encrypted.toString(), /no unencrypted private key/],
    ['', /no unencrypted private key/],
  ];
  for (const [pem, reason] of UNUSABLE) {
    const verdict = judgeDkimKey(pem);
    assert.match(verdict.kind === 'unusable' ? verdict.reason : 'usable', reason);
  }
});

test('selectKeys takes all keys of the nearest domain, at a label boundary', () => {
  const key = (domain: string, selector = 'a') => ({ domain, selector, pem: '' });
  const keys = [
    key('example.com'),
    key('Eu.Example.com', 'rsa'),
    key('eu.example.com.', 'ed'),
    key('m\u00fcller.de'),
  ];
  const FOUND: readonly [string, string[]][] = [
    ['example.com', ['example.com']],
    ['EXAMPLE.com.', ['example.com']],
    ['us.example.com', ['example.com']],
    ['eu.example.com', ['Eu.Example.com', 'eu.example.com.']],
    ['a.b.eu.example.com', ['Eu.Example.com', 'eu.example.com.']],
    ['beu.example.com', ['example.com']],
    ['badexample.com', []],
    ['com', []],
    ['', []],
    ['xn--mller-kva.de', ['m\u00fcller.de']],
  ];
  for (const [from, domains] of FOUND) {
    assert.deepEqual(
      selectKeys(keys, from).map(({ domain }) => domain),
      domains,
      from,
    );
  }
  assert.deepEqual(selectKeys([key('')], 'example.com'), []);
});
